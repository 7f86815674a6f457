package jenkins_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestStopTermKill(t *testing.T) {
	ctx := context.Background()
	for name, act := range map[string]func(p pair) error{
		"stop": func(p pair) error { return p.Stop(ctx, ref, 1) },
		"term": func(p pair) error { return p.Term(ctx, ref, 1) },
		"kill": func(p pair) error { return p.Kill(ctx, ref, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			agents, release := hold()
			defer release()
			p := newPair(t, jenkinstest.Options{Agents: agents})
			p.start(t, pipelineOf(oneStep))
			eventually(t, "the step", func() bool { return strings.Contains(p.log(t), "[Pipeline] sh\n") })
			ok(t, act(p))
			if b := p.finished(t); b.Result != jenkins.Aborted {
				t.Errorf("build = %+v", b)
			}
			ok(t, act(p)) // again: nothing more to do
		})
	}
	p := newPair(t, jenkinstest.Options{})
	if err := p.Stop(ctx, ref, 1); !jenkins.IsNotFound(err) {
		t.Errorf("stop of a build that is not there: %v", err)
	}
}

func TestPauseAndResume(t *testing.T) {
	ctx := context.Background()
	p := newPair(t, jenkinstest.Options{})
	p.start(t, "input(id: 'go', message: 'Go?', ok: 'Yes')\necho('done')\n")
	var inputs []jenkins.Input
	eventually(t, "the question", func() bool {
		inputs = must[[]jenkins.Input](t)(p.PendingInputs(ctx, ref, 1))
		return len(inputs) > 0
	})
	if diff := cmp.Diff([]jenkins.Input{{ID: "Go", Message: "Go?", OK: "Yes"}}, inputs); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	for _, want := range []bool{true, true, false, true} { // the same again does not toggle
		ok(t, p.SetPaused(ctx, ref, 1, want))
		if paused, building, err := p.PauseState(ctx, ref, 1); paused != want || !building || err != nil {
			t.Errorf("state = %t, %t, %v, want paused %t", paused, building, err, want)
		}
	}
	p.double.Spoil(jenkinstest.Fault{Path: "pause/toggle", DropAfter: true})
	if err := p.SetPaused(ctx, ref, 1, false); !errors.Is(err, jenkins.ErrUnknownOutcome) {
		t.Errorf("a lost answer: %v", err)
	}
	ok(t, p.SetPaused(ctx, ref, 1, false))
	if answered := must[bool](t)(p.Proceed(ctx, ref, 1, "Go")); !answered {
		t.Error("the question was not answered")
	}
	if b := p.finished(t); b.Result != jenkins.Success {
		t.Errorf("build = %+v\n%s", b, p.log(t))
	}
	if answered := must[bool](t)(p.Proceed(ctx, ref, 1, "Go")); answered {
		t.Error("the question was answered twice")
	}
	ok(t, p.SetPaused(ctx, ref, 1, true)) // over: nothing to pause
}

func TestAbortedInput(t *testing.T) {
	ctx := context.Background()
	p := newPair(t, jenkinstest.Options{})
	p.start(t, "stage('ask') {\n  input(message: 'Go?')\n}\n")
	eventually(t, "the question", func() bool { return len(must[[]jenkins.Input](t)(p.PendingInputs(ctx, ref, 1))) > 0 })
	if stages := must[[]jenkins.Stage](t)(p.Stages(ctx, ref, 1)); stages[0].Status != jenkins.StagePaused {
		t.Errorf("stages = %+v", stages)
	}
	must[bool](t)(p.AbortInput(ctx, ref, 1, must[[]jenkins.Input](t)(p.PendingInputs(ctx, ref, 1))[0].ID))
	if b := p.finished(t); b.Result != jenkins.Aborted {
		t.Errorf("build = %+v", b)
	}
}

func TestDeletionOfABusyJobIsAConflict(t *testing.T) {
	ctx := context.Background()
	agents, release := hold()
	p := newPair(t, jenkinstest.Options{Agents: agents})
	p.start(t, pipelineOf(oneStep))
	release()
	ok(t, p.DeleteJob(ctx, ref, "uid-1"))
	if left := p.double.Jobs(); len(left) > 0 {
		t.Errorf("jobs = %v", left)
	}
	if err := p.DeleteFolder(ctx, ""); !errors.Is(err, jenkins.ErrInvalid) {
		t.Errorf("deletion of the root: %v", err)
	}
	c := rawPair(t, xerror("Failed to interrupt and stop 1 build of shop/app"))
	if err := c.DeleteJob(ctx, ref, "uid-1"); !jenkins.IsConflict(err) || !strings.Contains(err.Error(), "Failed to interrupt") {
		t.Errorf("error = %v", err)
	}
}

func TestSnapshot(t *testing.T) {
	ctx := context.Background()
	agents, release := hold()
	p := newPair(t, jenkinstest.Options{Agents: agents, RootURL: "https://public.example.org/x"})
	for i := range 20 {
		j := job(pipelineOf(oneStep))
		j.Ref = jenkins.JobRef{Folder: fmt.Sprintf("p%d", i%2), Name: fmt.Sprintf("app-%d", i)}
		must[bool](t)(p.EnsureJob(ctx, j))
		for attempt := range 2 {
			must[jenkins.Queued](t)(p.Start(ctx, j.Ref, jenkins.Params{UID: "uid-1", Attempt: attempt}))
		}
	}
	p.double.Requests()
	snap := must[jenkins.Snapshot](t)(p.Snapshot(ctx, "p0", "p1", "nobody"))
	if n := len(p.double.Requests()); n != 4 {
		t.Errorf("%d requests, want one for the queue and one per folder", n)
	}
	if len(snap.Jobs) != 20 || snap.Session != p.double.Session() || !cmp.Equal(snap.Missing, []string{"nobody"}) {
		t.Errorf("snapshot of %d jobs, session %s, missing %v", len(snap.Jobs), snap.Session, snap.Missing)
	}
	st := snap.Jobs[jenkins.JobRef{Folder: "p1", Name: "app-3"}]
	want := jenkins.JobState{
		InQueue: true, NextBuild: 2,
		Builds: []jenkins.Build{{
			Number: 1, Building: true, InProgress: true, UID: "uid-1", URL: "https://public.example.org/x/job/p1/job/app-3/1/",
		}},
		Queued: []jenkins.QueueItem{{UID: "uid-1", Attempt: 1, Why: "Build #1 is already in progress (ETA: N/A)"}},
	}
	if diff := cmp.Diff(want, st, cmpopts.IgnoreFields(jenkins.Build{}, "Start", "QueueID"), cmpopts.IgnoreFields(jenkins.QueueItem{}, "ID", "Since")); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	release()
}

func TestSnapshotShowsWhyAnAgentIsMissing(t *testing.T) {
	ctx := context.Background()
	p := newPair(t, jenkinstest.Options{Agents: neverAgents{}, ContextPath: "/ci"})
	p.start(t, pipelineOf(oneStep))
	eventually(t, "the reason", func() bool {
		st := must[jenkins.Snapshot](t)(p.Snapshot(ctx, "shop")).Jobs[ref]
		return len(st.Agents) == 1 && strings.HasPrefix(st.Agents[0].Why, "There are no nodes with the label ‘shop_app-1a2b3c_1-") && len(st.Queued) == 0
	})
	ok(t, p.Stop(ctx, ref, 1))
	p.finished(t)
}

// TestAFolderThatCannotBeRead concerns nobody but its own jobs.
func TestAFolderThatCannotBeRead(t *testing.T) {
	ctx := context.Background()
	p := newPair(t, jenkinstest.Options{})
	j := job("echo('x')\n")
	must[bool](t)(p.EnsureJob(ctx, j))
	ok(t, p.EnsureFolder(ctx, "b"))
	p.double.Spoil(jenkinstest.Fault{Path: "/job/b/", Status: 502, Times: -1})
	snap, err := p.Snapshot(ctx, "b", "shop")
	ok(t, err)
	if _, shown := snap.Jobs[j.Ref]; !shown || len(snap.Failed) != 1 || !jenkins.IsTemporary(snap.Failed["b"]) {
		t.Errorf("snapshot = %+v, want the job of shop, and b failed", snap)
	}
	if snap, err := p.Snapshot(ctx, "b"); !jenkins.IsTemporary(err) {
		t.Errorf("snapshot = %+v, %v, want a temporary error when no folder can be read", snap, err)
	}
}
