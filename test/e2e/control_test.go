package e2e

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// waitsFor is a script that runs until somebody makes a file in the workspace's
// parent: here, until it is stopped.
const waitsForEver = "while :; do sleep 1; done"

// TestQuotaIsFirstInFirstOut: one runs, the others wait in order and say so; what ends
// lets the next one in.
func TestQuotaIsFirstInFirstOut(t *testing.T) {
	p := newProject(t, 1)
	first := p.push("Wait", config(waitsForEver))
	running := p.wait(func(e *v1alpha1.PipelineExecution) bool {
		return e.Spec.Source.Commit == first && e.Status.Phase == v1alpha1.PhaseRunning
	})
	second := p.push("Next", config("true"))
	queued := p.wait(func(e *v1alpha1.PipelineExecution) bool {
		return e.Spec.Source.Commit == second && e.Status.Queue != nil
	})
	if q := queued.Status.Queue; queued.Status.Phase != v1alpha1.PhaseQueued || q.Position != 1 || q.Reason != v1alpha1.ReasonWaitingForQuota {
		t.Errorf("phase %s, queue %+v: want Queued at position 1 for the quota", queued.Status.Phase, q)
	}
	if _, stderr, code := p.kubectl("pipeline", "cancel", running.Name); code != 0 {
		t.Fatalf("cancel: exit code %d: %s", code, stderr)
	}
	stopped := p.ended(first)
	if stopped.Status.Phase != v1alpha1.PhaseAborted || stopped.Status.Reason != v1alpha1.ReasonStopped {
		t.Errorf("the cancelled run is %s, %s: want Aborted, Stopped", stopped.Status.Phase, stopped.Status.Reason)
	}
	if e := p.ended(second); e.Status.Phase != v1alpha1.PhaseSucceeded {
		t.Errorf("the queued run is %s, %s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
}

// TestDeleteWhileRunning leaves nothing behind: no job, no pod, no secret.
func TestDeleteWhileRunning(t *testing.T) {
	p := newProject(t, 1)
	commit := p.push("Wait", config(waitsForEver))
	e := p.wait(func(e *v1alpha1.PipelineExecution) bool {
		return e.Spec.Source.Commit == commit && e.Status.Phase == v1alpha1.PhaseRunning
	})
	job := e.Status.Engine.Job
	p.mustKubectl("delete", "pe", e.Name, "--timeout=90s")
	for _, j := range p.Jenkins.Jobs() {
		if strings.EqualFold(j, job) {
			t.Errorf("Jenkins still has the job %s", j)
		}
	}
	selector := metav1.ListOptions{LabelSelector: v1alpha1.LabelExecutionUID + "=" + string(e.UID)}
	secrets, err := p.Clients.Secrets("").List(t.Context(), selector)
	if err != nil || len(secrets.Items) > 0 {
		t.Errorf("%d secrets left, error %v", len(secrets.Items), err)
	}
	pods, err := p.Clients.Pods("").List(t.Context(), selector)
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp == nil {
			t.Errorf("agent pod %s is still there", pod.Name)
		}
	}
	if _, err := p.Clients.Executions(p.name).Get(t.Context(), e.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the execution is still there: %v", err)
	}
}

// TestTemporaryConfig runs a config that nobody committed, and reports its result by
// exit code.
func TestTemporaryConfig(t *testing.T) {
	p := newProject(t, 2)
	p.ended(p.push("First", config("true")))
	file := t.TempDir() + "/temporary.yml"
	writeFile(t, file, config("echo temporary; exit 3")[".pipeline.yml"])
	stdout, stderr, code := p.kubectl("pipeline", "run", "app", "-f", file, "-w")
	if code != 2 {
		t.Fatalf("exit code %d, want 2\n%s%s", code, stdout, stderr)
	}
	for _, e := range p.executions() {
		if e.Spec.Trigger.Type == v1alpha1.EventManual && !strings.Contains(e.Spec.Config, "temporary") {
			t.Errorf("execution %s follows another config", e.Name)
		}
	}
}

// TestHistoryLimit keeps as many finished runs as the pipeline says.
func TestHistoryLimit(t *testing.T) {
	keep := int32(1)
	p := newProject(t, 2, func(pl *v1alpha1.Pipeline) { pl.Spec.History = &v1alpha1.History{Succeeded: &keep} })
	var last string
	for i := range 3 {
		last = p.push(fmt.Sprintf("Run %d", i), config("true"))
		p.ended(last)
	}
	eventually(t, func() error {
		all := p.executions()
		if len(all) != 1 || all[0].Spec.Source.Commit != last {
			return fmt.Errorf("%d executions, want the newest alone", len(all))
		}
		return nil
	})
}
