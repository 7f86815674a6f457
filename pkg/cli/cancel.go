package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// stopPatch asks for a run to be stopped; there is no way back.
const stopPatch = `{"spec":{"control":"Stop"}}`

func (a *app) cancelCommand() *cobra.Command {
	var out output
	var wait bool
	f := following{wait: true, exitZero: true}
	cmd := &cobra.Command{
		Use:     "cancel RUN...",
		Aliases: []string{"stop"},
		Short:   "Stop runs",
		Long: `Ask for runs to be stopped. A run that is over already stays as it is, and is no
error.

` + addressHelp,
		Example: `  kubectl pipeline cancel app#12 web#7
  kubectl pipeline cancel app@latest --wait`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeRuns(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if f.timeout > 0 && !wait {
				return errors.New("--timeout needs --wait")
			}
			if err := f.check(); err != nil {
				return err
			}
			p, err := a.connect()
			if err != nil {
				return err
			}
			var stopped []*v1alpha1.PipelineExecution
			failed := false
			for _, arg := range args {
				run, err := a.cancel(cmd.Context(), p, arg, &out)
				if err != nil {
					a.report(fmt.Errorf("cancel %s: %w", arg, err), nil)
					failed = true
					continue
				}
				stopped = append(stopped, run.v)
			}
			if wait && len(stopped) > 0 {
				err = a.waitAll(cmd.Context(), p, stopped, &f)
			}
			if failed {
				return &exit{code: exitError} // each was reported
			}
			return err
		},
	}
	out.bind(cmd, false)
	cmd.Flags().BoolVar(&wait, "wait", false, "Wait until they have stopped")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "With --wait: stop waiting after this time, with exit code 124")
	f.onInterrupt = "detach"
	return cmd
}

func (a *app) cancel(ctx context.Context, p *project, arg string, out *output) (executionObject, error) {
	run, err := p.runOf(ctx, arg, true)
	if err != nil {
		return run, err
	}
	if terminal(run.v) {
		fmt.Fprintf(a.ErrOut, "run %s is over already: %s\n", title(run.v), run.v.Status.Phase)
		if out.machine() {
			return run, out.printOne(a.Out, run)
		}
		return run, nil
	}
	run, err = mergePatch[v1alpha1.PipelineExecution](ctx, p, executionsResource, run.v.Name, stopPatch)
	if err != nil {
		return run, err
	}
	if out.machine() {
		return run, out.printOne(a.Out, run)
	}
	u, err := run.unstructured()
	if err != nil {
		return run, err
	}
	return run, (&printers.NamePrinter{Operation: "asked to stop"}).PrintObj(u, a.Out)
}
