package chaos

import (
	"fmt"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// kind is a kind of run: the pipeline, what people do to its run, and how that ends
// when nothing breaks.
type kind struct {
	name   string
	weight int
	// config of the Pipeline; given is that of the run itself, a temporary one.
	config, given string
	// repository: the config, which is then a file of the repository, is cloned.
	repository bool
	// change what else the Pipeline or the execution says.
	pipeline func(*v1alpha1.Pipeline)
	run      func(*v1alpha1.PipelineExecution)
	// act is what people do to the run. It ends with ctx.
	act func(*person) error
	// want are the ends that are right; gone: the run is deleted, in whatever phase.
	want []verdict
	gone bool
	// steps are the ends of single steps, "stage/step", when the first of want comes true.
	steps map[string]v1alpha1.Phase
	// unbuilt: no build may ever be started.
	unbuilt bool
	// stuck: it belongs to the project whose agents have little time to start.
	stuck bool
	// long: it takes too long for the short version.
	long bool
}

// verdict is how a run ends.
type verdict struct {
	phase  v1alpha1.Phase
	reason string
}

func (v verdict) String() string { return fmt.Sprintf("%s (%s)", v.phase, v.reason) }

const (
	ok      = v1alpha1.PhaseSucceeded
	failed  = v1alpha1.PhaseFailed
	aborted = v1alpha1.PhaseAborted
	skipped = v1alpha1.PhaseSkipped
)

var succeeds = []verdict{{ok, v1alpha1.ReasonSucceeded}}

// forEver runs until it is stopped, and ends at once then.
const forEver = "while :; do sleep 1; done"

// kinds is the mix. A name is also that of the Pipeline.
func kinds() []kind {
	return []kind{
		{name: "one-step", weight: 8, config: stages(stage("Build", step("compile", "echo compiled; sleep 1"))),
			want: succeeds, steps: map[string]v1alpha1.Phase{"Build/compile": ok}},
		{name: "many-stages", weight: 8, config: stages(
			stage("Build", step("compile", "echo compiled")),
			stage("Test", step("unit", "sleep 1; echo unit"), step("lint", "echo lint"), step("vet", "sleep 1; echo vet")),
			stage("Pack", step("tar", "echo packed")),
		), want: succeeds, steps: map[string]v1alpha1.Phase{"Build/compile": ok, "Test/unit": ok, "Test/lint": ok, "Test/vet": ok, "Pack/tar": ok}},
		{name: "fails", weight: 6, config: stages(
			stage("Build", step("compile", "echo compiled")), stage("Test", step("unit", "sleep 1; exit 3")), stage("Pack", step("tar", "echo packed")),
		), want: []verdict{{failed, v1alpha1.ReasonStepFailed}}, steps: map[string]v1alpha1.Phase{"Build/compile": ok, "Test/unit": failed, "Pack/tar": skipped}},
		{name: "fails-beside", weight: 4, config: stages(
			stage("Test", step("unit", "sleep 1; exit 4"), step("lint", forEver)), stage("Pack", step("tar", "echo packed")),
		), want: []verdict{{failed, v1alpha1.ReasonStepFailed}}, steps: map[string]v1alpha1.Phase{"Test/unit": failed, "Pack/tar": skipped}},
		{name: "skips-some", weight: 5, config: stages(
			stage("Build", step("compile", "echo compiled")),
			stage("Release", step("publish", "exit 9"))+"  when: {event: tag}\n",
			stage("Pack", step("tar", "echo packed"), step("sign", "exit 9")+"    when: {event: push}\n"),
		), want: succeeds, steps: map[string]v1alpha1.Phase{"Build/compile": ok, "Release/publish": skipped, "Pack/tar": ok, "Pack/sign": skipped}},
		{name: "skips-all", weight: 3, config: stages(stage("Release", step("publish", "exit 9")) + "  when: {event: tag}\n"),
			want: []verdict{{ok, v1alpha1.ReasonNothingToRun}}, steps: map[string]v1alpha1.Phase{"Release/publish": skipped}, unbuilt: true},
		{name: "slow-step", weight: 4, config: stages(stage("Test", step("unit", forEver)+"    timeout: 4s\n"), stage("Pack", step("tar", "echo packed"))),
			want: []verdict{{failed, v1alpha1.ReasonTimeout}}, steps: map[string]v1alpha1.Phase{"Test/unit": failed, "Pack/tar": skipped}},
		{name: "slow-run", weight: 3, config: stages(stage("Test", step("unit", forEver))),
			pipeline: func(p *v1alpha1.Pipeline) { p.Spec.Timeout = seconds(5) },
			want:     []verdict{{failed, v1alpha1.ReasonTimeout}}},
		{name: "stopped", weight: 6, config: stages(stage("Test", step("unit", forEver)), stage("Pack", step("tar", "echo packed"))), act: stopWhenItRuns,
			want: []verdict{{aborted, v1alpha1.ReasonStopped}}, steps: map[string]v1alpha1.Phase{"Test/unit": aborted, "Pack/tar": skipped}},
		{name: "stopped-early", weight: 5, config: stages(stage("Test", step("unit", forEver))), act: stopAtOnce,
			want: []verdict{{aborted, v1alpha1.ReasonStopped}}},
		{name: "stubborn", weight: 2, config: stages(stage("Test", step("unit", "trap '' TERM INT; "+forEver))), act: stopWhenItRuns, long: true,
			want: []verdict{{aborted, v1alpha1.ReasonStopped}}},
		{name: "paused", weight: 5, config: stages(
			stage("One", step("a", "sleep 2")), stage("Two", step("b", "sleep 1")), stage("Three", step("c", "sleep 1")), stage("Four", step("d", "echo done")),
		), act: pauseAndGoOn, want: succeeds, steps: map[string]v1alpha1.Phase{"One/a": ok, "Two/b": ok, "Three/c": ok, "Four/d": ok}},
		{name: "temporary", weight: 4, config: stages(stage("Build", step("compile", "exit 9"))),
			given: stages(stage("Try", step("it", "echo tried"))), want: succeeds, steps: map[string]v1alpha1.Phase{"Try/it": ok}},
		{name: "invalid", weight: 3, config: stages(stage("Build", step("compile", "exit 9"))),
			given: "stages:\n- name: Build\n  stepz: []\n", want: []verdict{{failed, v1alpha1.ReasonInvalidConfig}}, unbuilt: true},
		{name: "secret", weight: 5, config: stages(stage("Use", step("it", `test "$TOKEN" = `+secretValue)+"    envFrom: [{sourceName: login, sourceKey: token, targetKey: TOKEN}]\n")),
			want: succeeds, steps: map[string]v1alpha1.Phase{"Use/it": ok}},
		{name: "cloned", weight: 5, repository: true, config: stages(stage("Build", step("compile", "grep -q hello greeting.txt"))),
			want: succeeds, steps: map[string]v1alpha1.Phase{"Build/compile": ok}},
		{name: "no-branch", weight: 2, repository: true, config: stages(stage("Build", step("compile", "true"))),
			pipeline: func(p *v1alpha1.Pipeline) { p.Spec.Branch = "no-such-branch" },
			want:     []verdict{{failed, v1alpha1.ReasonSourceNotFound}}, unbuilt: true},
		{name: "in-line", weight: 6, config: stages(stage("Build", step("compile", "sleep 1"))), pipeline: concurrency(v1alpha1.ConcurrencyQueue),
			want: succeeds, steps: map[string]v1alpha1.Phase{"Build/compile": ok}},
		{name: "superseded", weight: 5, config: stages(stage("Build", step("compile", "sleep 3"))), pipeline: concurrency(v1alpha1.ConcurrencyCancelSuperseded),
			want: append([]verdict{{aborted, v1alpha1.ReasonSuperseded}}, succeeds...)},
		{name: "deleted", weight: 5, config: stages(stage("Test", step("unit", forEver))), act: deleteWhenItRuns, gone: true},
		{name: "deleted-early", weight: 3, config: stages(stage("Test", step("unit", "sleep 5"))), act: deleteAtOnce, gone: true},
		{name: "no-agent", weight: 2, stuck: true, config: stages(stage("Test", step("unit", "echo never")+"    cpuRequest: \"500\"\n")),
			want: []verdict{{failed, v1alpha1.ReasonAgentTimeout}}, steps: map[string]v1alpha1.Phase{"Test/unit": skipped}},
	}
}

const secretValue = "s3cret"

func concurrency(policy v1alpha1.ConcurrencyPolicy) func(*v1alpha1.Pipeline) {
	return func(p *v1alpha1.Pipeline) { p.Spec.Concurrency = &v1alpha1.Concurrency{Policy: policy} }
}

func stages(all ...string) string { return "stages:\n" + strings.Join(all, "") }

func stage(name string, steps ...string) string {
	return fmt.Sprintf("- name: %s\n  steps:\n%s", name, strings.Join(steps, ""))
}

func step(name, script string) string {
	return fmt.Sprintf("  - name: %s\n    runScriptConfig: {image: %q, shellScript: %q}\n", name, harness.AgentImage, script)
}
