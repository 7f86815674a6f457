package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

func (a *app) rerunCommand() *cobra.Command {
	var s starting
	cmd := &cobra.Command{
		Use:     "rerun RUN",
		Aliases: []string{"retry"},
		Short:   "Run again: same commit, same config, same parameters",
		Long: `Start a new run of the same commit, with the same config file and parameters. The run
that it repeats stays as it is.

` + addressHelp,
		Example: `  kubectl pipeline rerun app#12 -w
  kubectl pipeline rerun app@latest`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRuns(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.check(); err != nil {
				return err
			}
			p, err := a.connect()
			if err != nil {
				return err
			}
			old, err := p.runOf(cmd.Context(), args[0], true)
			if err != nil {
				return err
			}
			pe, err := p.repeat(cmd.Context(), old.v)
			if err != nil {
				return err
			}
			return a.start(cmd.Context(), p, pe, &s)
		},
	}
	s.bind(cmd)
	return cmd
}

// repeat makes the run that repeats old. Where old was never admitted, what it would
// have built is not known yet, and the new run finds out for itself.
func (p *project) repeat(ctx context.Context, old *v1alpha1.PipelineExecution) (*v1alpha1.PipelineExecution, error) {
	var pl pipelineObject
	var user string
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		user = p.userName(gctx)
		return nil
	})
	g.Go(func() (err error) {
		pl, err = p.pipeline(gctx, old.Spec.PipelineRef.Name)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("repeat run %s: %w", old.Name, err)
	}
	ev := pipeline.Event{Type: v1alpha1.EventRerun, User: user}
	if old.Spec.Source != nil {
		ev.Source = *old.Spec.Source.DeepCopy()
	}
	pe := pipeline.NewExecution(pl.v, ev)
	pe.Spec.Trigger.RerunOf = old.Name
	pe.Spec.Trigger.Image = old.Spec.Trigger.Image.DeepCopy()
	pe.Spec.Parameters = old.DeepCopy().Spec.Parameters
	pe.Spec.Config = old.Spec.Config
	return pe, nil
}
