package controller_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// skewed is a clock that is wrong.
type skewed struct {
	clock.WithTicker
	by time.Duration
}

func (s skewed) Now() time.Time                  { return s.WithTicker.Now().Add(s.by) }
func (s skewed) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

func fails(exit int) jenkinstest.Agents {
	return jenkinstest.ScriptedAgents(func(context.Context, jenkinstest.Command) jenkinstest.Result {
		return jenkinstest.Result{Exit: exit}
	})
}

// oddModes: a Jenkins that says what we did not expect, or is otherwise than most.
var oddModes = map[string]func(*testing.T, *modes){
	"J31 a result and a status that nobody knows": func(t *testing.T, m *modes) {
		odd := strings.NewReplacer(`"result":"FAILURE"`, `"result":"SPLENDID"`, `"status":"FAILED"`, `"status":"DREAMING"`)
		w := m.world(t, jenkinstest.Options{Agents: fails(3)}, m.via(rewrite(odd.Replace)))
		w.run("app", "a")
		w.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonStepFailed, `step "compile"`)
		w = m.world(t, jenkinstest.Options{}, m.via(rewrite(odd.Replace)), m.scripted(func(string) string { return "error('odd')\n" }))
		w.run("app", "a")
		w.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonEngineError, "SPLENDID")
	},
	"J32 Jenkins cannot tell stages": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{NoStageREST: true, NoGraphView: true})
		for _, name := range []string{"a", "b"} {
			w.run("app", name)
			if e := w.succeeds(name); e.Status.Stages[0].Phase != v1alpha1.PhaseSucceeded {
				t.Errorf("%s: stages = %+v", name, e.Status.Stages)
			}
		}
		if n := w.asked("/wfapi/", "/stages/tree"); n[0] > 2 || n[1] > 2 {
			t.Errorf("it was asked %d and %d times for what it lacks, want hardly more than once", n[0], n[1])
		}
	},
	"J33 a question is answered by somebody else": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{}, m.scripted(func(string) string {
			return "stage('1 Build') {\n  stage('1.1 compile') {\n    input(id: 'go', message: 'Go?')\n  }\n}\n"
		}))
		w.run("app", "a")
		e := w.awaitReason("a", v1alpha1.PhasePaused, v1alpha1.ReasonWaitingForApproval, `"Build"`)
		w.byHand("POST", jobPath(e.Status.Engine.Job)+"/1/input/Go/proceedEmpty", "")
		w.succeeds("a")
	},
	"J34 the answer to a pause is lost": func(t *testing.T, m *modes) {
		g := newGate()
		w := m.world(t, jenkinstest.Options{Agents: g.agents()})
		w.running("a")
		w.jenkins.Spoil(jenkinstest.Fault{Path: "pause/toggle", DropAfter: true})
		w.control("a", v1alpha1.ControlPause)
		w.awaitPhase("a", v1alpha1.PhasePaused)
		if n := w.asked("pause/toggle"); n[0] != 1 {
			t.Errorf("pause was toggled %d times, want once", n[0])
		}
		w.control("a", v1alpha1.ControlRun)
		g.open("a")
		w.succeeds("a")
	},
	"J37 the clock of Jenkins is an hour ahead":  func(t *testing.T, m *modes) { modeSkew(t, m, time.Hour) },
	"J37 the clock of Jenkins is an hour behind": func(t *testing.T, m *modes) { modeSkew(t, m, -time.Hour) },
	"J41 the script does not compile": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{}, m.scripted(func(s string) string { return s + "\n}" }))
		w.run("app", "a")
		w.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonScriptError, "cannot compile the Jenkinsfile")
		w.builds(1)
	},
	"J42 the sandbox refuses the script": func(t *testing.T, m *modes) {
		const refusal = "org.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException: Scripts not permitted to use method x"
		w := m.world(t, jenkinstest.Options{}, m.scripted(func(string) string { return "error('" + refusal + "')\n" }))
		w.run("app", "a")
		w.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonScriptError, "Scripts not permitted to use method x")
		w.builds(1)
	},
	"J43 Jenkins believes to be elsewhere": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{ContextPath: "/ci", RootURL: "https://jenkins.example.org/x/"})
		w.run("app", "a")
		e := w.succeeds("a")
		if want := "https://jenkins.example.org/x" + jobPath(e.Status.Engine.Job) + "/1/"; e.Status.Engine.URL != want {
			t.Errorf("url = %s, want %s", e.Status.Engine.URL, want)
		}
		for _, r := range w.jenkins.Requests() {
			if !strings.Contains(r, " /ci/") {
				t.Errorf("request %s, want only such below /ci/", r)
			}
		}
	},
	"J44 an upgrade changes the answers": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{}, m.via(rewrite(func(body string) string {
			if !strings.HasPrefix(body, "{") {
				return body
			}
			return strings.ReplaceAll(body, `{"`, `{"aNewField":[{"deep":{}},null,1e9],"`)
		})))
		w.run("app", "a")
		w.succeeds("a")
	},
	"R3 the log cannot be read": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		w.jenkins.Spoil(jenkinstest.Fault{Path: "logText", Status: 500, Times: -1})
		w.run("app", "a")
		w.succeeds("a")
		bad := m.world(t, jenkinstest.Options{}, m.scripted(func(string) string { return "error('odd')\n" }))
		bad.jenkins.Spoil(jenkinstest.Fault{Path: "logText", Status: 500, Times: -1})
		bad.run("app", "a")
		bad.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonEngineError, "")
	},
	"R19 a script arrives byte by byte": func(t *testing.T, m *modes) {
		var got atomic.Value
		w := m.world(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(func(_ context.Context, cmd jenkinstest.Command) jenkinstest.Result {
			got.Store(cmd.Script)
			return jenkinstest.Result{}
		})})
		const script = "echo ''' \"\"\" \\n \\\\ $x ${x} $(x) `x` ^ & < > ]]> /* */ // \t 世界 🚀\\"
		w.run("app", "a", func(e *v1alpha1.PipelineExecution) {
			e.Spec.Config = "stages:\n- name: A\n  steps:\n  - runScriptConfig:\n      image: a\n      shellScript: |-\n        " + script + "\n"
		})
		w.succeeds("a")
		if diff := cmp.Diff(script, got.Load()); diff != "" {
			t.Errorf("script (-want +got):\n%s", diff)
		}
	},
}

// modeSkew: timeouts are counted on our clock, and no time in the status is absurd.
func modeSkew(t *testing.T, m *modes, by time.Duration) {
	g := newGate()
	w := m.world(t, jenkinstest.Options{Agents: g.agents(), Clock: skewed{m.clock, by}}, agentTimeout(10*time.Minute))
	w.pipeline("short", twoSteps, func(p *v1alpha1.Pipeline) { p.Spec.Timeout = &metav1.Duration{Duration: 30 * time.Minute} })
	for _, name := range []string{"ends", "stops"} {
		w.run("short", name)
		if e := w.awaitPhase(name, v1alpha1.PhaseRunning); m.clock.Since(e.Status.StartedAt.Time).Abs() > 5*time.Minute {
			t.Errorf("%s: startedAt = %s, now it is %s", name, e.Status.StartedAt, m.clock.Now())
		}
	}
	w.jenkins.Requests()
	looks := 0
	eventually(t, "it is looked at ten times", func() error {
		if looks += w.asked("/queue/api/json")[0]; looks < 10 {
			return fmt.Errorf("%d looks", looks)
		}
		return nil
	})
	g.open("ends")
	w.control("stops", v1alpha1.ControlStop)
	ended, stopped := w.succeeds("ends"), w.ends("stops", v1alpha1.PhaseAborted, v1alpha1.ReasonStopped, "")
	for _, e := range []*v1alpha1.PipelineExecution{ended, stopped} {
		s := e.Status
		if s.FinishedAt.Before(s.StartedAt) {
			t.Errorf("%s: started at %s and finished at %s", e.Name, s.StartedAt, s.FinishedAt)
		}
		for _, st := range s.Stages {
			if st.StartedAt != nil && st.FinishedAt.Before(st.StartedAt) {
				t.Errorf("%s: stage %s started at %s and finished at %s", e.Name, st.Name, st.StartedAt, st.FinishedAt)
			}
			for _, step := range st.Steps {
				if step.StartedAt != nil && step.FinishedAt.Before(step.StartedAt) {
					t.Errorf("%s: step %s started at %s and finished at %s", e.Name, step.Name, step.StartedAt, step.FinishedAt)
				}
			}
		}
	}
}
