package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const displayName = "kubectl pipeline"

// The groups of commands in help.
const (
	groupRuns      = "runs"
	groupPipelines = "pipelines"
	groupConfig    = "config"
	groupSetup     = "setup"
)

// root is the command tree: the one table of verbs.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-pipeline",
		Short: "Run and inspect CI/CD pipelines",
		Long: `Run and inspect CI/CD pipelines that are Kubernetes objects and that Jenkins executes.

` + addressHelp + `

Data goes to standard output, everything else to standard error.`,
		Annotations:        map[string]string{cobra.CommandDisplayNameAnnotation: displayName},
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true, // ours are hints, see unknownCommandHint
		CompletionOptions:  cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:               cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q", args[0])
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if a.color != "auto" && a.color != "always" && a.color != "never" {
				return fmt.Errorf("--color %q: wanted auto, always or never", a.color)
			}
			return nil
		},
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.ErrOut)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hinted(err, cmd.CommandPath()+" --help")
	})
	root.SetUsageFunc(usage)
	root.SetHelpFunc(help)
	a.conn.bind(root.PersistentFlags())
	root.PersistentFlags().StringVar(&a.color, "color", "auto", "Colour: auto, always or never; NO_COLOR and CLICOLOR_FORCE count too")
	must(root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp)))
	must(root.RegisterFlagCompletionFunc("context", a.completeContexts))

	root.AddGroup(
		&cobra.Group{ID: groupRuns, Title: "Runs:"},
		&cobra.Group{ID: groupPipelines, Title: "Pipelines:"},
		&cobra.Group{ID: groupConfig, Title: "Config files, without a cluster:"},
		&cobra.Group{ID: groupSetup, Title: "Setup:"},
	)
	for _, g := range []struct {
		group    string
		commands []*cobra.Command
	}{
		{groupRuns, []*cobra.Command{a.runCommand(), a.runsCommand(), a.watchCommand(), a.waitCommand(), a.logsCommand(), a.cancelCommand(), a.rerunCommand()}},
		{groupPipelines, []*cobra.Command{a.listCommand(), a.describeCommand()}},
		{groupConfig, []*cobra.Command{a.lintCommand(), a.renderCommand()}},
		{groupSetup, []*cobra.Command{a.installCommand(), a.versionCommand(), a.completionCommand()}},
	} {
		for _, c := range g.commands {
			c.GroupID = g.group
			c.Args = hintUsage(c.Args)
			root.AddCommand(c)
		}
	}
	root.SetHelpCommand(helpCommand())
	root.AddCommand(exitCodesTopic())
	return root
}

// hintUsage shows what a verb takes to whoever gave it something else. The words are
// ours: cobra counts "arg(s)".
func hintUsage(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		err := args(cmd, given)
		if err == nil {
			return nil
		}
		_, takes, _ := strings.Cut(cmd.Use, " ")
		takes = strings.TrimSuffix(takes, "...")
		switch {
		case takes == "":
			err = fmt.Errorf("%s takes no argument, got %q", cmd.Name(), given[0])
		case len(given) == 0:
			err = fmt.Errorf("%s needs %s", cmd.Name(), takes)
		case len(given) > 1:
			err = fmt.Errorf("%s takes one %s, got %d", cmd.Name(), strings.Trim(takes, "[]"), len(given))
		default:
			err = fmt.Errorf("%s %q: wanted %s", cmd.Name(), given[0], takes)
		}
		return hinted(err, "usage: "+useLine(cmd))
	}
}

// useLine is how a verb is typed. Options are named only where a verb has some of its own.
func useLine(cmd *cobra.Command) string {
	options := ""
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			options = " [options]"
		}
	})
	return strings.TrimSuffix(cmd.UseLine(), " [flags]") + options
}

// helpCommand fails for a name that is no command's, unlike cobra's own.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		Long:  "Show the help of a command, or of all.",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			switch {
			case err != nil:
				return err
			case len(rest) > 0:
				return fmt.Errorf("unknown command %q", rest[0])
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

func exitCodesTopic() *cobra.Command {
	var b strings.Builder
	writeExitCodes(&b)
	return &cobra.Command{Use: "exit-codes", Short: "The exit codes of every command", Long: strings.TrimSpace(b.String())}
}

func help(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	fmt.Fprintf(w, "%s\n", strings.TrimSpace(text))
	if cmd.Runnable() || cmd.HasSubCommands() {
		fmt.Fprintln(w)
		writeUsage(w, cmd)
	}
}

func usage(cmd *cobra.Command) error {
	writeUsage(cmd.ErrOrStderr(), cmd)
	return nil
}

// writeUsage is cobra's own but shorter: kubectl's connection flags, which everybody
// knows and which are longer than all of ours, are one line.
func writeUsage(w io.Writer, cmd *cobra.Command) {
	if cmd.HasExample() {
		fmt.Fprintf(w, "Examples:\n%s\n\n", strings.Trim(cmd.Example, "\n"))
	}
	for _, g := range cmd.Groups() {
		fmt.Fprintln(w, g.Title)
		for _, c := range cmd.Commands() {
			if c.GroupID == g.ID && c.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-11s %s\n", c.Name(), c.Short)
			}
		}
		fmt.Fprintln(w)
	}
	if topics := topics(cmd); len(topics) > 0 {
		fmt.Fprintln(w, "Topics:")
		for _, c := range topics {
			fmt.Fprintf(w, "  %-11s %s\n", c.Name(), c.Short)
		}
		fmt.Fprintln(w)
	}
	if flags := cmd.LocalNonPersistentFlags(); flags.HasAvailableFlags() && cmd.HasParent() {
		fmt.Fprintf(w, "Options:\n%s\n", flags.FlagUsagesWrapped(100))
	}
	line := cmd.CommandPath() + " COMMAND [options]"
	if cmd.HasParent() {
		line = useLine(cmd)
	}
	fmt.Fprintf(w, "Usage:\n  %s\n\n", line)
	fmt.Fprintf(w, "Options of every command:\n%s", commonFlags(cmd).FlagUsagesWrapped(100))
	fmt.Fprintln(w, "      and the other connection options of kubectl (kubectl options)")
}

func topics(cmd *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool {
		return !c.IsAdditionalHelpTopicCommand() || c.Hidden
	})
}

func commonFlags(cmd *cobra.Command) *pflag.FlagSet {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	cmd.Root().PersistentFlags().VisitAll(own.AddFlag)
	return own
}
