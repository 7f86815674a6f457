package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Labels and annotations of this group.
const (
	// LabelPipeline is the name of the Pipeline an execution is a run of (hashed when
	// it is no label value).
	LabelPipeline = GroupName + "/pipeline"
	// LabelRun is the number of an execution, once it has one.
	LabelRun = GroupName + "/run"
	// LabelBranchHash is ShortHash of the branch, since branch names are no label values.
	LabelBranchHash = GroupName + "/branch-hash"
	// LabelTrigger is the type of the event that started an execution.
	LabelTrigger = GroupName + "/trigger"
	// LabelPhaseClass is active or finished: what informers select by.
	LabelPhaseClass = GroupName + "/phase-class"
	// LabelExecutionUID is on the agent pod: the uid of its execution.
	LabelExecutionUID = GroupName + "/execution-uid"
	// LabelExecution is on the agent pod: the name of its execution (hashed when it is no
	// label value).
	LabelExecution = GroupName + "/execution"
	// LabelProject joins a namespace to a project, and marks what belongs to one.
	LabelProject = GroupName + "/project"

	// PhaseClassActive and PhaseClassFinished are the values of LabelPhaseClass.
	PhaseClassActive   = "active"
	PhaseClassFinished = "finished"

	// Finalizer holds an execution until its Jenkins job, agent pod and archived log are
	// gone.
	Finalizer = GroupName + "/cleanup"
	// AnnotationForceRemove on an execution gives up on cleaning a Jenkins that is gone
	// for ever: the finalizer is removed without it.
	AnnotationForceRemove = GroupName + "/force-remove"
)

// ShortHash is the first 10 hex digits of the SHA-256 of the parts, each preceded by
// its length so that no two lists collide.
func ShortHash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p))))
		h.Write([]byte{':'})
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))[:10]
}

// LabelValue returns s when it is a valid label value, else a readable prefix and
// its hash (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/).
func LabelValue(s string) string {
	if s == "" || (len(s) <= 63 && isLabelValue(s)) {
		return s
	}
	readable := Truncate(sanitize(s), 63-11)
	if readable == "" {
		return ShortHash(s)
	}
	return readable + "-" + ShortHash(s)
}

// EventExecutionName is the name of the execution that an event starts: the same
// event, redelivered, gets the same name.
func EventExecutionName(pipeline, deliveryID, ref string) string {
	return Truncate(pipeline, 253-11) + "-" + ShortHash(deliveryID, pipeline, ref)
}

// Truncate cuts s to at most n bytes and removes what may not end a name.
func Truncate(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.TrimRight(s, "-._")
}

// ProjectNames derives the names of everything that belongs to a project.
type ProjectNames struct {
	// Namespace is the project's namespace.
	Namespace string
}

// ExecutorNamespace is where agents and components live by default:
// <project>-pipeline.
func (p ProjectNames) ExecutorNamespace() string { return p.Namespace + "-pipeline" }

// JenkinsFolder is the Jenkins folder that holds the project's jobs.
func (p ProjectNames) JenkinsFolder() string { return p.Namespace }

// JenkinsJob is the job of one execution: its name for people and 8 digits of its
// uid, so that an execution that is deleted and made again under the same name never
// meets the old job. At most 200 bytes, lower case (Jenkins' names are not case
// sensitive).
func (p ProjectNames) JenkinsJob(execution, uid string) string {
	return Truncate(strings.ToLower(execution), 191) + "-" + ShortHash(uid)[:8]
}

func isLabelValue(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		edge := i == 0 || i == len(s)-1
		if !alnum && (edge || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return true
}

func sanitize(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' {
			continue
		}
		b[i] = '-'
	}
	return strings.Trim(string(b), "-._")
}
