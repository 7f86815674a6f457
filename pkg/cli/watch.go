package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) watchCommand() *cobra.Command {
	f := following{watch: true}
	cmd := &cobra.Command{
		Use:   "watch RUN",
		Short: "Show a run's tree until it ends; exit by its result",
		Long: `Show a run's tree until it ends, redrawn on a terminal and one line per change
anywhere else, and exit by its result (kubectl pipeline help exit-codes).

` + addressHelp + ` The name of a PIPELINE stands for its newest run.

Ctrl-C leaves the run going, with exit code 125; a second one ends the command at once.`,
		Example: `  kubectl pipeline watch app#12
  kubectl pipeline watch @latest --timeout 30m`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRuns(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			p, err := a.connect()
			if err != nil {
				return err
			}
			run, err := p.runOf(cmd.Context(), args[0], false)
			if err != nil {
				return err
			}
			_, err = a.follow(cmd.Context(), p, run.v, &f, a.Out)
			return err
		},
	}
	f.bindWaiting(cmd)
	return cmd
}
