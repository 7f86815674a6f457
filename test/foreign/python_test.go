package foreign

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/need"
)

// python finds the Python that Debian's packages are for, which need not be the first one on the PATH.
func python(t *testing.T) string {
	t.Helper()
	var err error
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if err = exec.CommandContext(t.Context(), path, "-c", "import jenkins").Run(); err == nil {
			return path
		}
	}
	need.Missing(t, "no python3-jenkins (apt-get install --no-install-recommends python3-jenkins): %v", err)
	return ""
}

// agents run the scripts "say TEXT" and "hang"; anything else succeeds silently.
func agents() jenkinstest.Agents {
	return jenkinstest.ScriptedAgents(func(ctx context.Context, c jenkinstest.Command) jenkinstest.Result {
		verb, text, _ := strings.Cut(c.Script, " ")
		switch verb {
		case "say":
			return jenkinstest.Result{Output: text + "\n"}
		case "hang":
			<-ctx.Done()
			return jenkinstest.Result{Exit: 143}
		}
		return jenkinstest.Result{}
	})
}

// hurried is a clock that goes fifty times as fast: a client that waits for the quiet period of five seconds waits for a tenth of one.
type hurried struct {
	clock.RealClock
	start time.Time
}

const haste = 50

func (c hurried) Now() time.Time                       { return c.start.Add(haste * time.Since(c.start)) }
func (c hurried) Since(t time.Time) time.Duration      { return c.Now().Sub(t) }
func (c hurried) NewTimer(d time.Duration) clock.Timer { return c.RealClock.NewTimer(d / haste) }

// serve starts a double. Its configured root is where it really is: foreign clients address by it.
func serve(t *testing.T, opts jenkinstest.Options) (*jenkinstest.Server, string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	url := "http://" + srv.Listener.Addr().String() + opts.ContextPath
	if opts.RootURL == "" {
		opts.RootURL = url
	}
	opts.Agents, opts.Clock = agents(), hurried{start: time.Now()}
	double := jenkinstest.New(opts)
	srv.Config.Handler = double
	srv.Start()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		double.Close()
	})
	return double, url
}

func TestPythonJenkins(t *testing.T) {
	interpreter := python(t)
	for name, tc := range map[string]struct {
		opts   jenkinstest.Options
		secret string
	}{
		"a password, with crumbs":                  {jenkinstest.Options{User: "u", Password: "pw", Crumbs: true}, "pw"},
		"a password, with crumbs, below a context": {jenkinstest.Options{User: "u", Password: "pw", Crumbs: true, ContextPath: "/ci"}, "pw"},
		"a password, without crumbs":               {jenkinstest.Options{User: "u", Password: "pw"}, "pw"},
		"a token, which needs no crumb":            {jenkinstest.Options{User: "u", Token: "t", Crumbs: true, Version: "2.541.1"}, "t"},
		"nobody, with crumbs":                      {jenkinstest.Options{Crumbs: true, LeftTick: 30 * time.Millisecond}, ""},
		"nobody, an old Jenkins":                   {jenkinstest.Options{Version: "2.199"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			double, url := serve(t, tc.opts)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, interpreter, "-B", "testdata/python_jenkins.py", url, tc.opts.User, tc.secret)
			cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8", "NO_PROXY=*", "no_proxy=*")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			for lines := bufio.NewScanner(out); lines.Scan(); {
				got = nil
				if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
					t.Errorf("it printed %s", lines.Text())
				}
				if got["step"] == "quiet" {
					double.SetQuiet(false)
					fmt.Fprintln(in)
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			if diff := cmp.Diff(wantOfPython(tc.opts), got); diff != "" {
				t.Errorf("what python-jenkins saw (-want +got):\n%s", diff)
			}
			if snap := double.Snapshot(false); len(snap.Jobs)+len(snap.Folders)+len(snap.Credentials)+len(snap.Queue)+len(snap.Builds) > 0 {
				t.Errorf("left: %+v", snap)
			}
			if requests := double.Requests(); !slices.Contains(requests, "GET "+tc.opts.ContextPath+"/crumbIssuer/api/json") {
				t.Errorf("it never asked for a crumb: %q", requests)
			}
		})
	}
}

func wantOfPython(opts jenkinstest.Options) map[string]any {
	type list = []any
	want := map[string]any{
		"version": "2.516.3", "plugin": true,
		"exists": list{true, nil, true}, "twice": "JenkinsException: job[team é/app 1] already exists",
		"nowhere": "JenkinsException: Cannot create job[none/app] because folder for the job does not exist",
		"config":  list{true, true, "zweite ü"}, "listed": list{"plain", "team é", "team é/app 1"}, "debug": list{1.0, false, "notbuilt"},
		"build":   list{1.0, "SUCCESS", map[string]any{"WHO": "a b&c=é"}, true},
		"console": list{true, true, false}, "plain": 1.0, "disabled": "disabled",
		"queue":  list{list{true, "app 1", "Jenkins is about to shut down"}},
		"cancel": "EmptyResponseException", "cancelled": true, "stopped": list{2.0, "ABORTED"},
		"credentials": list{
			list{"token"}, true, false, "JenkinsException: credential[token] already exists in the domain[_] of [team é]",
			"JenkinsException: Error in request. Possibly authentication failed [500]: Internal Server Error",
		},
		"delete": "fine", "left": list{2.0}, "gone": "JenkinsException: job[team é/app 1] number[1] does not exist", "end": list{}, "wrong": "",
	}
	if opts.Version != "" {
		want["version"] = opts.Version
	}
	if opts.Version == "2.199" { // cancelItem redirects there
		want["cancel"] = "fine"
	}
	if opts.Crumbs {
		want["delete"] = "TypeError"
	}
	if opts.User != "" {
		want["whoami"] = opts.User
		want["wrong"] = "JenkinsException: Error in request. Possibly authentication failed [401]: Unauthorized"
	}
	return want
}
