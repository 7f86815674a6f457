package jenkinstest

import (
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

// Options say what kind of Jenkins to be. The zero value is one without security whose every `sh` succeeds.
type Options struct {
	Agents Agents      // what `node` runs on; nil: ScriptedAgents where every step succeeds. Closed by Server.Close
	Clock  clock.Clock // nil: the real one

	User     string // the first account; without any, anyone may do anything
	Token    string // its API token: no crumb needed
	Password string // its password: POSTs need a crumb if Crumbs is set
	Accounts []Account
	Crumbs   bool // protection against forged requests is on

	SessionTimeout time.Duration // how long a session may be idle; 0: it ends with Jenkins

	ContextPath string // as of Jenkins' --prefix, e.g. /jenkins
	RootURL     string // what Jenkins believes its URL to be; default http://jenkins.example:8080<ContextPath>/, never where it listens
	Version     string // X-Jenkins; default 2.516.3. Below 2.509 progressiveText speaks its old dialect

	NoStageREST bool // plugin pipeline-rest-api is missing: no wfapi
	NoGraphView bool // plugin pipeline-graph-view is missing: no stages/tree, no stages/pauseState

	LeftTick   time.Duration         // how long an item is out of the queue before its build exists
	HiddenTick time.Duration         // how long the queue names a build that is not there yet: 404
	LogTick    time.Duration         // how long a build runs before its log begins: empty, X-More-Data, NOT_EXECUTED
	InputTick  time.Duration         // how long an input is still listed after it was answered
	StopGrace  time.Duration         // how long a stopped `sh` may go on before its step is given up; default 60 s
	RefuseRun  func(job string) bool // a queue decision handler: true makes Jenkins refuse a trigger
}

const (
	quietPeriod   = 5 * time.Second
	leftItemTTL   = 5 * time.Minute
	queueSaveLag  = 60 * time.Second // what is younger dies with a crash
	deleteWait    = 15 * time.Second // how long a deletion waits for builds to end
	defaultListed = 100              // builds in `builds`
)

func (o *Options) setDefaults() {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Version == "" {
		o.Version = "2.516.3"
	}
	o.ContextPath = strings.TrimRight(o.ContextPath, "/")
	if o.RootURL == "" {
		o.RootURL = "http://jenkins.example:8080" + o.ContextPath + "/"
	}
	o.RootURL = strings.TrimRight(o.RootURL, "/") + "/"
	if o.StopGrace == 0 {
		o.StopGrace = time.Minute
	}
	if o.Agents == nil {
		o.Agents = ScriptedAgents(nil)
	}
}

// since tells whether this Jenkins is at least 2.minor. Long-term versions 2.minor.patch count as the weekly one they come from.
func (o *Options) since(minor int) bool {
	major, rest, _ := strings.Cut(o.Version, ".")
	text, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(text)
	return a > 2 || a == 2 && b >= minor
}

// oldLog tells whether progressiveText counts only what it sends.
func (o *Options) oldLog() bool { return !o.since(509) }
