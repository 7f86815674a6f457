package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

func (a *app) lintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check config files",
		Long: `Check config files as admission does, without a cluster: fields, values, and step types
that cannot be run. Each mistake is a line FILE:LINE:COLUMN: on standard output, and
the exit code is 1. FILE may be - for standard input.`,
		Example: `  kubectl pipeline lint .pipeline.yml
  git show main:.pipeline.yml | kubectl pipeline lint -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			bad := 0
			for _, file := range args {
				text, err := a.readInput(file)
				if err != nil {
					return err
				}
				config, err := checkConfig(inputName(file), text)
				var mistakes *badConfig
				switch {
				case errors.As(err, &mistakes):
					bad += len(mistakes.problems)
					for _, line := range mistakes.problems {
						fmt.Fprintln(a.Out, line)
					}
				case err != nil:
					return err
				default:
					fmt.Fprintf(a.ErrOut, "%s: %s, no mistakes\n", inputName(file), sizeOf(config))
				}
			}
			if bad > 0 {
				return fmt.Errorf("%s", plural(bad, "mistake"))
			}
			return nil
		},
	}
}

func sizeOf(c *pipeline.Config) string {
	steps := 0
	for _, s := range c.Stages {
		steps += len(s.Steps)
	}
	return plural(len(c.Stages), "stage") + ", " + plural(steps, "step")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
