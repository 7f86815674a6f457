package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func (a *app) waitCommand() *cobra.Command {
	f := following{wait: true}
	cmd := &cobra.Command{
		Use:   "wait RUN...",
		Short: "Wait until runs end; exit by their results",
		Long: `Wait until all of the runs have ended, and exit by the worst result (kubectl pipeline
help exit-codes). One line per run is printed when all have ended.

` + addressHelp + ` The name of a PIPELINE stands for its newest run.`,
		Example:           `  kubectl pipeline wait app#12 web#7 --timeout 30m`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeRuns(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			p, err := a.connect()
			if err != nil {
				return err
			}
			runs := make([]*v1alpha1.PipelineExecution, len(args))
			for i, arg := range args {
				run, err := p.runOf(cmd.Context(), arg, false)
				if err != nil {
					return err
				}
				runs[i] = run.v
			}
			return a.waitAll(cmd.Context(), p, runs, &f)
		},
	}
	f.bindWaiting(cmd)
	return cmd
}

// waitAll waits for runs side by side and joins what came of them.
func (a *app) waitAll(ctx context.Context, p *project, runs []*v1alpha1.PipelineExecution, f *following) error {
	errs := make([]error, len(runs))
	var g errgroup.Group
	for i := range runs {
		g.Go(func() error {
			last, err := a.follow(ctx, p, runs[i], f, a.Out)
			runs[i], errs[i] = last, err
			return nil
		})
	}
	_ = g.Wait() // what went wrong is in errs, one for each run
	if len(runs) == 1 {
		if errs[0] == nil || !isExit(errs[0]) {
			return errs[0]
		}
	}
	var codes []int
	for i, run := range runs {
		fmt.Fprintf(a.Out, "%s %s\n", run.Name, phaseOf(run))
		if errs[i] != nil {
			codes = append(codes, a.report(errs[i], nil))
		}
	}
	if code := worst(codes...); code != exitOK {
		return &exit{code: code}
	}
	return nil
}
