package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) logsCommand() *cobra.Command {
	f := following{logs: true, needLog: true}
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs RUN",
		Short: "Print a run's log",
		Long: `Print a run's log, byte for byte. With --follow, go on until the run ends, wait for
it to start if it has not, and exit by its result (kubectl pipeline help exit-codes).

The log is read through the API server from hookd, with a token of the project's
ServiceAccount pipeline-log-reader: whoever may create one may read logs.

` + addressHelp + ` The name of a PIPELINE stands for its newest run.`,
		Example: `  kubectl pipeline logs app#12
  kubectl pipeline logs app@latest -f`,
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
			if follow {
				_, err = a.follow(cmd.Context(), p, run.v, &f, a.Out)
				return err
			}
			log, err := a.newLog(p, run.v, f.log)
			if err != nil {
				return err
			}
			return log.copy(cmd.Context(), a.Out, false)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "Go on until the run ends; exit by its result")
	f.bindWaiting(cmd)
	f.log.bind(cmd)
	return cmd
}
