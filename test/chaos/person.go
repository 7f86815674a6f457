package chaos

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// person starts one run and does to it what its kind says.
type person struct {
	ctx context.Context
	w   *world
	run run
}

// begin makes the execution. A person whose request failed looks whether it is there
// before the next try, which is what the fixed name does.
func (p *person) begin() error {
	e := &v1alpha1.PipelineExecution{
		ObjectMeta: metav1.ObjectMeta{
			Name:       p.run.name,
			Labels:     map[string]string{v1alpha1.LabelPipeline: p.run.kind.name, v1alpha1.LabelTrigger: string(v1alpha1.EventManual), v1alpha1.LabelPhaseClass: v1alpha1.PhaseClassActive},
			Finalizers: []string{v1alpha1.Finalizer},
		},
		Spec: v1alpha1.PipelineExecutionSpec{
			PipelineRef: v1alpha1.LocalReference{Name: p.run.kind.name},
			Trigger:     v1alpha1.Trigger{Type: v1alpha1.EventManual, User: "chaos"},
			Config:      p.run.kind.given,
		},
	}
	if p.run.kind.run != nil {
		p.run.kind.run(e)
	}
	executions := p.w.Clients.Executions(p.run.project)
	err := stubborn(p.ctx, func() error {
		made, err := executions.Create(p.ctx, e, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			made, err = executions.Get(p.ctx, e.Name, metav1.GetOptions{})
		}
		if err == nil {
			p.w.watch.know(made)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	p.w.log.note("%s/%s: begins", p.run.project, p.run.name)
	return nil
}

func (p *person) await(what string, done func(*v1alpha1.PipelineExecution) bool) error {
	if err := p.w.watch.await(p.ctx, p.run, done); err != nil {
		return fmt.Errorf("wait until it %s: %w", what, err)
	}
	return nil
}

// runs: its agent does, or it is over.
func runs(e *v1alpha1.PipelineExecution) bool { return rank(e.Status.Phase) >= 2 }

func (p *person) control(c v1alpha1.Control) error {
	p.w.log.note("%s/%s: control %s", p.run.project, p.run.name, c)
	patch := fmt.Appendf(nil, `{"spec":{"control":%q}}`, c)
	return stubborn(p.ctx, func() error {
		_, err := p.w.Clients.Executions(p.run.project).Patch(p.ctx, p.run.name, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

func (p *person) delete() error {
	p.w.log.note("%s/%s: delete", p.run.project, p.run.name)
	return stubborn(p.ctx, func() error {
		return p.w.Clients.Executions(p.run.project).Delete(p.ctx, p.run.name, metav1.DeleteOptions{})
	})
}

func stopWhenItRuns(p *person) error {
	if err := p.await("runs", runs); err != nil {
		return err
	}
	return p.control(v1alpha1.ControlStop)
}

func stopAtOnce(p *person) error { return p.control(v1alpha1.ControlStop) }

func deleteWhenItRuns(p *person) error {
	if err := p.await("runs", runs); err != nil {
		return err
	}
	return p.delete()
}

func deleteAtOnce(p *person) error { return p.delete() }

const (
	// pauseTime is how long a run is left paused.
	pauseTime = 2 * time.Second
	// pauseWait is how long a person waits for the pause: it comes between two steps, and
	// a run may be over before.
	pauseWait = 20 * time.Second
)

func pauseAndGoOn(p *person) error {
	if err := p.await("runs", runs); err != nil {
		return err
	}
	if err := p.control(v1alpha1.ControlPause); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(p.ctx, pauseWait)
	defer cancel()
	err := p.w.watch.await(ctx, p.run, func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhasePaused || terminal(e.Status.Phase)
	})
	if rec := p.w.watch.find(p.run); err == nil && rec != nil && rec.latest.Status.Phase == v1alpha1.PhasePaused {
		p.w.paused.Add(1)
	}
	if err := pass(p.ctx, pauseTime); err != nil {
		return err
	}
	return p.control(v1alpha1.ControlRun)
}

func seconds(n int) *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(n) * time.Second}
}

// live is all that a person does about a run.
func (p *person) live() error {
	if err := pass(p.ctx, p.run.at); err != nil {
		return err
	}
	if err := p.begin(); err != nil {
		return err
	}
	if p.run.kind.act == nil {
		return nil
	}
	return p.run.kind.act(p)
}
