package controller_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// weatherModes: a Jenkins that is away, starting, slow, or hidden behind something that
// answers in its place. None of it is a verdict.
var weatherModes = map[string]func(*testing.T, *modes){
	"J2 Jenkins is starting": func(t *testing.T, m *modes) {
		g := newGate()
		w := m.world(t, jenkinstest.Options{Agents: g.agents()})
		w.running("a")
		w.jenkins.Restart(jenkinstest.RestartOptions{Starting: 40 * time.Second, Resume: 5 * time.Second})
		w.awaitReason("a", v1alpha1.PhaseRunning, v1alpha1.ReasonEngineUnavailable, "503")
		g.open("a")
		w.succeeds("a")
		w.builds(1)
	},
	"J3 Jenkins restarts while a build runs": func(t *testing.T, m *modes) {
		g := newGate()
		w := m.world(t, jenkinstest.Options{Agents: g.agents()})
		w.run("app", "a", func(e *v1alpha1.PipelineExecution) { e.Spec.Config = twoSteps })
		w.awaitPhase("a", v1alpha1.PhaseRunning)
		before := w.jenkins.Session()
		w.jenkins.Restart(jenkinstest.RestartOptions{Down: 3 * time.Second, Starting: 3 * time.Second, Resume: 3 * time.Second})
		g.open("a")
		if e := w.succeeds("a"); e.Status.Engine.Attempt != 1 || e.Status.Engine.Build != 1 {
			t.Errorf("engine = %+v, want the first build of the first attempt", e.Status.Engine)
		}
		w.builds(1)
		if log := w.jenkins.Builds()[0].Log; !strings.Contains(log, "Resuming build") || before == w.jenkins.Session() {
			t.Errorf("it was not restarted: session %s, log\n%s", w.jenkins.Session(), log)
		}
	},
	"J21 a page answers in the place of Jenkins": func(t *testing.T, m *modes) {
		g := newGate()
		w := m.world(t, jenkinstest.Options{Agents: g.agents()})
		w.running("a")
		w.jenkins.Spoil(jenkinstest.Fault{HTML: true, Times: -1})
		w.awaitReason("a", v1alpha1.PhaseRunning, v1alpha1.ReasonEngineUnavailable, "an answer that is not from Jenkins")
		w.jenkins.Mend()
		g.open("a")
		w.succeeds("a")
		w.builds(1)
	},
	"J22 R2 errors that pass do not fail a run": func(t *testing.T, m *modes) {
		g := newGate()
		w := m.world(t, jenkinstest.Options{Agents: g.agents()})
		for i, f := range []jenkinstest.Fault{{Status: 502}, {Status: 504}, {Truncate: 40}, {DropAfter: true}, {DropBefore: true}, {Status: 500}} {
			f.Method, f.Path, f.Skip = "GET", "json", 2+2*i // of those that the faults before let through
			w.jenkins.Spoil(f)
		}
		w.running("a")
		for _, f := range []jenkinstest.Fault{{Status: 502}, {Truncate: 20}, {DropAfter: true}} {
			f.Method, f.Path = "GET", "json"
			w.jenkins.Spoil(f)
		}
		g.open("a")
		w.succeeds("a")
		w.builds(1)
	},
	"J23 stages that do not come hold up no result": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{Clock: fastClock{time.Now(), 60}})
		w.jenkins.Spoil(jenkinstest.Fault{Path: "/wfapi/", Delay: time.Minute, Times: -1})
		w.run("app", "a")
		if e := w.succeeds("a"); e.Status.Stages[0].Phase != v1alpha1.PhaseSucceeded {
			t.Errorf("stages = %+v", e.Status.Stages)
		}
	},
	"J45 Jenkins cannot write to its disk": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		w.jenkins.Spoil(jenkinstest.Fault{Method: "POST", Path: "createItem", Status: 500, Times: 4})
		w.jenkins.Spoil(jenkinstest.Fault{Method: "POST", Path: "buildWithParameters", Status: 500})
		w.run("app", "a")
		w.awaitReason("a", v1alpha1.PhasePending, v1alpha1.ReasonEngineUnavailable, "500")
		w.succeeds("a")
		w.builds(1)
		if n := w.asked("createItem"); n[0] > 8 {
			t.Errorf("it was asked %d times to make a job, want a few", n[0])
		}
	},
}

// TestModeUnreachableForAnHour: J1. Phases stay, nothing is judged, Jenkins is asked ever
// more rarely; everything goes on when it is back.
func TestModeUnreachableForAnHour(t *testing.T) {
	clock, g := newJumpClock(t), newGate()
	w := newWorld(t, jenkinstest.Options{Clock: clock, Agents: g.agents()}, quota(0))
	w.start()
	w.pipeline("app", oneStep, func(p *v1alpha1.Pipeline) { p.Spec.Timeout = &metav1.Duration{Duration: 3 * time.Hour} })
	w.running("runs")
	w.running("stops")
	w.jenkins.SetDown(true)
	w.control("stops", v1alpha1.ControlStop)
	w.run("app", "new")
	for name, phase := range map[string]v1alpha1.Phase{"runs": v1alpha1.PhaseRunning, "stops": v1alpha1.PhaseRunning, "new": v1alpha1.PhasePending} {
		w.awaitReason(name, phase, v1alpha1.ReasonEngineUnavailable, "Jenkins")
	}
	eventually(t, "the setting says so", func() error {
		s, err := w.clients.Settings(w.project).Get(t.Context(), v1alpha1.SettingName, metav1.GetOptions{})
		if err == nil && !meta.IsStatusConditionFalse(s.Status.Conditions, v1alpha1.ConditionEngineReady) {
			err = fmt.Errorf("conditions are %+v", s.Status.Conditions)
		}
		return err
	})
	version := w.get("runs").ResourceVersion
	requests := 0
	for range 60 {
		clock.Step(time.Minute)
		asked := 0
		eventually(t, "Jenkins is asked within a minute", func() error {
			if asked += len(w.jenkins.Requests()); asked == 0 {
				return errors.New("it is not")
			}
			return nil
		})
		requests += asked
	}
	if requests > 600 {
		t.Errorf("a Jenkins that is away was asked %d times in an hour", requests)
	}
	e := w.get("runs")
	if e.Status.Phase != v1alpha1.PhaseRunning || e.ResourceVersion != version {
		t.Errorf("status = %s %s, version %s, want Running as before, of version %s", e.Status.Phase, e.Status.Reason, e.ResourceVersion, version)
	}
	w.jenkins.SetDown(false)
	clock.Step(time.Minute)
	w.ends("stops", v1alpha1.PhaseAborted, v1alpha1.ReasonStopped, "")
	g.open("runs")
	g.open("new")
	w.succeeds("runs")
	w.succeeds("new")
	w.builds(3)
}

// TestModeSlowJenkins: J23, R11. A Jenkins that takes 30 seconds for each answer keeps
// nobody waiting but its own project, though that has more runs than there are workers.
func TestModeSlowJenkins(t *testing.T) {
	slow := newWorld(t, jenkinstest.Options{}, quota(0))
	slow.jenkins.Spoil(jenkinstest.Fault{Delay: 30 * time.Second, Times: -1})
	slow.start(func(o *controller.Options) { o.Workers = 12 })
	slow.pipeline("app", oneStep)
	for i := range 16 {
		slow.run("app", fmt.Sprintf("r%d", i))
	}
	eventually(t, "it is asked for as much as it may be", func() error {
		if n := slow.asked("createItem")[0]; n == 0 {
			return errors.New("no job is being made")
		}
		return nil
	})
	fine := newWorld(t, jenkinstest.Options{Clock: slow.clock})
	fine.pipeline("app", oneStep)
	fine.run("app", "a")
	fine.succeeds("a")
	slow.builds(0) // none of its answers is even there
	slow.jenkins.Mend()
	slow.succeeds("r0")
}

// TestModeQuietForAnHour: J24. A Jenkins that prepares to shut down starts nothing and
// freezes what runs: that is told, and no clock of ours runs.
func TestModeQuietForAnHour(t *testing.T) {
	clock, g := newJumpClock(t), newGate()
	w := newWorld(t, jenkinstest.Options{Clock: clock, Agents: g.agents()}, quota(0))
	w.start()
	w.pipeline("app", twoSteps, func(p *v1alpha1.Pipeline) { p.Spec.Timeout = &metav1.Duration{Duration: 10 * time.Minute} })
	w.running("runs")
	w.jenkins.SetQuiet(true)
	w.run("app", "waits")
	g.open("runs") // it freezes before its second step
	w.awaitReason("runs", v1alpha1.PhaseRunning, v1alpha1.ReasonRunning, "preparing to shut down")
	w.awaitReason("waits", v1alpha1.PhasePending, v1alpha1.ReasonInEngineQueue, "preparing to shut down")
	for range 6 {
		clock.Step(10 * time.Minute)
		w.jenkins.Requests()
		eventually(t, "Jenkins is looked at", func() error {
			clock.Step(time.Second) // a look that took ten minutes makes the next one come late
			if n := w.asked("/queue/api/json"); n[0] == 0 {
				return errors.New("it is not")
			}
			return nil
		})
	}
	for _, name := range []string{"runs", "waits"} {
		if e := w.get(name); e.Status.FinishedAt != nil || e.Status.Engine.StopReason != "" {
			t.Errorf("%s: %s %s %q after an hour", name, e.Status.Phase, e.Status.Reason, e.Status.Message)
		}
	}
	w.jenkins.SetQuiet(false)
	g.open("waits")
	w.succeeds("runs")
	w.succeeds("waits")
	w.builds(2)
}

const twoSteps = `stages:
- {name: Build, steps: [{name: compile, runScriptConfig: {image: alpine, shellScript: make}}]}
- {name: Test, steps: [{name: unit, runScriptConfig: {image: alpine, shellScript: make test}}]}
`
