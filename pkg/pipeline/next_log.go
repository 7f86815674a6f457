package pipeline

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// cause is how Jenkins words, in the log of a build, why that ended.
type cause struct {
	line   *regexp.Regexp // the first group is quoted, or the whole match
	reason string
	says   string // before the quotation
}

// causes, the most telling first: lines of Jenkins and of its plugins. Nothing else of a log
// is quoted. (A step may print the like; it misleads nobody but those who run it.)
var causes = []cause{
	{regexp.MustCompile(`(?m)^Aborted by (.+)$`), v1alpha1.ReasonAbortedInEngine, "the build was aborted in Jenkins by "},
	{regexp.MustCompile(`(?m)^WorkflowScript: \d+: (.+)$`), v1alpha1.ReasonScriptError, "Jenkins cannot compile the Jenkinsfile: "},
	{regexp.MustCompile(`(?m)MultipleCompilationErrorsException: (.+)$`), v1alpha1.ReasonScriptError, "Jenkins cannot compile the Jenkinsfile: "},
	{regexp.MustCompile(`(?m)Method ?(?:code )?[Tt]oo ?[Ll]arge.*$`), v1alpha1.ReasonScriptError, "Jenkins cannot compile the Jenkinsfile: "},
	{regexp.MustCompile(`(?m)RejectedAccessException: (.+)$`), v1alpha1.ReasonScriptError, "the script sandbox of Jenkins forbids it: "},
	{regexp.MustCompile(`(?m)UnapprovedUsageException: (.+)$`), v1alpha1.ReasonScriptError, "Jenkins does not run the Jenkinsfile in its sandbox: "},
	{regexp.MustCompile(`(No such DSL method '[^']*')`), v1alpha1.ReasonScriptError, "a plugin is missing in Jenkins: "},
	{regexp.MustCompile(`(?m)^.*Container \S+ was terminated\..*OOMKilled.*$`), v1alpha1.ReasonAgentLost, ""},
	{regexp.MustCompile(`(?m)^.*(?:Pod \S+ was just deleted|Agent was removed|Agent \S+ was deleted|assuming it is not coming back).*$`), v1alpha1.ReasonAgentLost, ""},
	{regexp.MustCompile(`(?m)^.*Unable to (?:create pod|pull container image).*$`), v1alpha1.ReasonEngineError, ""},
	{regexp.MustCompile(`(?m)^.*(?:Could not find credentials|CredentialId? .*could not be found).*$`), v1alpha1.ReasonEngineError, ""},
	{regexp.MustCompile(`(?m)^.*(?:No Kubernetes cloud was found|Not authorized to use Kubernetes cloud|No flow definition, cannot run|Queue task was cancelled).*$`), v1alpha1.ReasonEngineError, ""},
	{regexp.MustCompile(`(?m)^(?:Cancelling nested steps due to timeout|Timeout has been exceeded)$`), v1alpha1.ReasonTimeout, "Jenkins' own timeout passed: "},
}

// guesses are what many a log has. They explain a failure that nothing else does.
var guesses = []cause{
	{regexp.MustCompile(`(?m)^ERROR: script returned (exit code -?\d+)$`), v1alpha1.ReasonStepFailed, "a script ended with "},
	{regexp.MustCompile(`(?m)^ERROR: (.+)$`), v1alpha1.ReasonEngineError, ""},
	{regexp.MustCompile(`(?m)^(?:\w+\.)+\w*(?:Exception|Error): .+$`), v1alpha1.ReasonEngineError, ""},
}

// explained is the verdict with what the log says. A verdict on a step stays one, unless
// the step lost its agent.
func (v verdict) explained(log string) verdict {
	likely := causes
	if v.reason == v1alpha1.ReasonEngineError {
		likely = slices.Concat(causes, guesses)
	}
	for _, c := range likely {
		all := c.line.FindAllStringSubmatch(log, -1)
		if all == nil {
			continue
		}
		found := all[len(all)-1]
		if c.reason == v1alpha1.ReasonScriptError {
			found = all[0] // the others follow from it
		}
		if v.reason == v1alpha1.ReasonStepFailed && c.reason != v1alpha1.ReasonAgentLost {
			continue
		}
		if v.reason == v1alpha1.ReasonEngineError && c.reason == v1alpha1.ReasonAbortedInEngine {
			continue // a failure is no abort
		}
		quote := clip(strings.TrimSpace(found[len(found)-1]), 512)
		if quote == "" {
			continue
		}
		v.vague = false
		v.reason, v.message = c.reason, c.says+quote
		if v.phase = v1alpha1.PhaseFailed; c.reason == v1alpha1.ReasonAbortedInEngine {
			v.phase = v1alpha1.PhaseAborted
		}
		return v
	}
	return v
}
