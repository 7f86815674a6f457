package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// TestConnectionFlagsAreKubectls: every kubectl plugin has the same flags; ours are made
// without the package that defines them, which would double the binary.
func TestConnectionFlagsAreKubectls(t *testing.T) {
	want, got := pflag.NewFlagSet("", 0), pflag.NewFlagSet("", 0)
	genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(1).AddFlags(want)
	(&connection{}).bind(got)
	// What we leave out, and why.
	missing := map[string]string{
		"cache-dir": "there is no discovery to cache",
		"username":  "API servers have no basic authentication since 1.19",
		"password":  "API servers have no basic authentication since 1.19",
	}
	want.VisitAll(func(f *pflag.Flag) {
		ours := got.Lookup(f.Name)
		if ours == nil {
			if missing[f.Name] == "" {
				t.Errorf("--%s is missing", f.Name)
			}
			return
		}
		if ours.Shorthand != f.Shorthand {
			t.Errorf("--%s: shorthand %q, kubectl has %q", f.Name, ours.Shorthand, f.Shorthand)
		}
		if ours.Value.Type() != f.Value.Type() {
			t.Errorf("--%s: type %s, kubectl has %s", f.Name, ours.Value.Type(), f.Value.Type())
		}
	})
	got.VisitAll(func(f *pflag.Flag) {
		if want.Lookup(f.Name) == nil {
			t.Errorf("--%s is no flag of kubectl", f.Name)
		}
	})
}

// TestFlagWords: a letter means one thing in every verb, and texts follow kubectl's
// conventions.
func TestFlagWords(t *testing.T) {
	letters := map[string]string{}
	exceptions := map[string]bool{"f": true} // a file, and follow in logs, as in kubectl itself
	for _, c := range (&app{}).root().Commands() {
		check := func(f *pflag.Flag) {
			if f.Shorthand != "" && !exceptions[f.Shorthand] {
				if other := letters[f.Shorthand]; other != "" && other != f.Name {
					t.Errorf("%s: -%s is --%s here and --%s elsewhere", c.Name(), f.Shorthand, f.Name, other)
				}
				letters[f.Shorthand] = f.Name
			}
			if f.Name == "help" {
				return
			}
			if strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: the text ends with a full stop: %q", c.Name(), f.Name, f.Usage)
			}
		}
		c.LocalNonPersistentFlags().VisitAll(check)
		if c.Runnable() && c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short text %q", c.Name(), c.Short)
		}
		if c.Runnable() && c.Example == "" {
			t.Errorf("%s has no example", c.Name())
		}
	}
}

// TestHelpNamesThePlugin: commands in help start with `kubectl pipeline`, never with the file's
// name, and fit a screen.
func TestHelpNamesThePlugin(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		var b bytes.Buffer
		c.SetOut(&b)
		help(c, nil)
		for line := range strings.Lines(b.String()) {
			if strings.HasPrefix(strings.TrimSpace(line), "kubectl-pipeline ") {
				t.Errorf("%s: %s", c.Name(), line)
			}
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 120 {
				t.Errorf("%s: a line of %d characters: %s", c.Name(), n, line)
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&app{}).root())
}

// TestReferenceIsUpToDate: docs/cli.md and docs/exit-codes.md are what the commands say.
func TestReferenceIsUpToDate(t *testing.T) {
	for file, write := range map[string]func(*bytes.Buffer) error{
		"cli.md":        func(b *bytes.Buffer) error { return WriteReference(b) },
		"exit-codes.md": func(b *bytes.Buffer) error { return WriteExitCodes(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(filepath.Join("../../docs", file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(have), b.String()); diff != "" {
			t.Errorf("docs/%s is not up to date; go run ./hack/gencli (-have +want):\n%s", file, diff)
		}
	}
}
