package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// WriteReference writes the reference of every command as Markdown, from the command
// tree alone: the same tree gives the same bytes.
func WriteReference(w io.Writer) error {
	root := (&app{}).root()
	var b strings.Builder
	b.WriteString("# kubectl pipeline\n\nGenerated from the commands by `go run ./hack/gencli`; edit those.\n\n")
	b.WriteString(strings.TrimSpace(root.Long) + "\n\n")
	b.WriteString("| command | |\n|---|---|\n")
	var commands []*cobra.Command
	for _, g := range root.Groups() {
		for _, c := range root.Commands() {
			if c.GroupID == g.ID && c.IsAvailableCommand() {
				commands = append(commands, c)
				fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", c.Name(), c.Name(), c.Short)
			}
		}
	}
	b.WriteString("\nExit codes: [exit-codes.md](exit-codes.md).\n")
	b.WriteString("\n## Options of every command\n\n")
	writeFlags(&b, commonFlags(root))
	b.WriteString("\nThe other connection options of kubectl work too: ")
	var hidden []string
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			hidden = append(hidden, "`--"+f.Name+"`")
		}
	})
	b.WriteString(strings.Join(hidden, ", ") + ". As with every plugin, options come after the name: `kubectl pipeline -n shop list`.\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", c.Name(), paragraphs(c))
		fmt.Fprintf(&b, "```console\n%s\n```\n", useLine(c))
		if len(c.Aliases) > 0 {
			fmt.Fprintf(&b, "\nAlso called %s.\n", "`"+strings.Join(c.Aliases, "`, `")+"`")
		}
		if c.HasExample() {
			fmt.Fprintf(&b, "\n```console\n%s\n```\n", unindent(c.Example))
		}
		if c.LocalNonPersistentFlags().HasAvailableFlags() {
			b.WriteString("\n")
			writeFlags(&b, c.LocalNonPersistentFlags())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func paragraphs(c *cobra.Command) string {
	text := strings.TrimSpace(or(c.Long, c.Short))
	if last := text[len(text)-1]; last != '.' && !strings.Contains(text, "\n  ") {
		text += "."
	}
	// Indented lines are code in help; in Markdown that takes four spaces.
	return strings.ReplaceAll(text, "\n  ", "\n    ")
}

func unindent(text string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		lines = append(lines, strings.TrimPrefix(line, "  "))
	}
	return strings.Join(lines, "\n")
}

func writeFlags(b *strings.Builder, flags *pflag.FlagSet) {
	b.WriteString("| option | |\n|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		option := "--" + f.Name
		if f.Shorthand != "" {
			option = "-" + f.Shorthand + ", " + option
		}
		if name != "" {
			option += " " + name
		}
		switch f.DefValue {
		case "", "false", "0", "0s", "[]":
		default:
			usage += fmt.Sprintf(" (default `%s`)", f.DefValue)
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", option, strings.ReplaceAll(usage, "|", `\|`))
	})
}

// WriteExitCodes writes the table of exit codes as Markdown.
func WriteExitCodes(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Exit codes\n\nGenerated from the code by `go run ./hack/gencli`; edit that. `kubectl pipeline help exit-codes` shows the same.\n\n")
	b.WriteString(exitCodesIntro + "\n\n| code | meaning |\n|---|---|\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "| %d | %s |\n", e.code, strings.ReplaceAll(e.meaning, "|", `\|`))
	}
	b.WriteString("\nkubectl passes the plugin's exit code on.\n")
	_, err := io.WriteString(w, b.String())
	return err
}
