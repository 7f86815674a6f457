package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a shell's completion script",
		Long: `Print the script that completes kubectl-pipeline in a shell.

For kubectl pipeline <TAB>, kubectl (1.26 and newer) asks a program of the name
kubectl_complete-pipeline on the PATH. A link of that name to the plugin is enough:

  ln -s "$(command -v kubectl-pipeline)" ~/.local/bin/kubectl_complete-pipeline`,
		Example: `  source <(kubectl pipeline completion bash)
  kubectl pipeline completion fish > ~/.config/fish/completions/kubectl-pipeline.fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.Out)
			case "fish":
				return root.GenFishCompletion(a.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Out)
			}
			return fmt.Errorf("unknown shell %q", args[0])
		},
	}
}
