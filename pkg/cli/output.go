package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
)

// output is what -o asks for.
type output struct {
	format  string // "", wide, json, yaml, name, jsonpath=…
	tables  bool   // table and wide are among the formats
	headers bool
}

// bind adds -o. Verbs that show many things in columns have tables.
func (o *output) bind(cmd *cobra.Command, tables bool) {
	o.tables = tables
	formats := o.formats()
	cmd.Flags().StringVarP(&o.format, "output", "o", "", "Output format: one of "+strings.Join(formats, "|"))
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)))
	o.headers = true
	if tables {
		cmd.Flags().BoolFunc("no-headers", "Leave out the column titles", func(string) error {
			o.headers = false
			return nil
		})
	}
}

func (o *output) formats() []string {
	f := []string{"json", "yaml", "name", "jsonpath="}
	if o.tables {
		f = append([]string{"table", "wide"}, f...)
	}
	return f
}

// machine tells whether a program reads the answer.
func (o *output) machine() bool { return o.format != "" && o.format != "table" && o.format != "wide" }

// check refuses an unknown format before anything is sent.
func (o *output) check() error {
	if !o.machine() {
		if o.format != "" && !o.tables {
			return fmt.Errorf("unknown output format %q: wanted one of %s", o.format, strings.Join(o.formats(), ", "))
		}
		return nil
	}
	_, err := o.printer()
	return err
}

func (o *output) printer() (printers.ResourcePrinter, error) {
	switch {
	case o.format == "json":
		return &printers.JSONPrinter{}, nil
	case o.format == "yaml":
		return &printers.YAMLPrinter{}, nil
	case o.format == "name":
		return &printers.NamePrinter{ShortOutput: true}, nil
	case strings.HasPrefix(o.format, "jsonpath="):
		template := strings.TrimPrefix(o.format, "jsonpath=")
		if template == "" {
			return nil, hinted(fmt.Errorf("jsonpath needs a template"), `-o jsonpath='{.status.phase}'`)
		}
		p, err := printers.NewJSONPathPrinter(template)
		if err != nil {
			return nil, fmt.Errorf("read the jsonpath template %q: %w", template, err)
		}
		p.AllowMissingKeys(true)
		return p, nil
	}
	return nil, fmt.Errorf("unknown output format %q: wanted one of %s", o.format, strings.Join(o.formats(), ", "))
}

type printable interface {
	unstructured() (*unstructured.Unstructured, error)
}

// printOne writes one object in a machine's format.
func (o *output) printOne(w io.Writer, obj printable) error {
	u, err := obj.unstructured()
	if err != nil {
		return err
	}
	return o.print(w, u)
}

// printList writes objects in a machine's format, as one List.
func printList[T printable](o *output, w io.Writer, objs []T) error {
	l := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}}}
	for _, obj := range objs {
		u, err := obj.unstructured()
		if err != nil {
			return err
		}
		l.Items = append(l.Items, *u)
	}
	return o.print(w, l)
}

func (o *output) print(w io.Writer, obj runtime.Object) error {
	p, err := o.printer()
	if err != nil {
		return err
	}
	strip(obj)
	if err := p.PrintObj(obj, w); err != nil {
		return fmt.Errorf("print as %s: %w", o.format, err)
	}
	if strings.HasPrefix(o.format, "jsonpath=") {
		_, err = io.WriteString(w, "\n") // kubectl does not; a prompt glued to the answer helps nobody
	}
	return err
}

// strip removes what kubectl does not show either unless it is asked to.
func strip(obj runtime.Object) {
	switch u := obj.(type) {
	case *unstructured.Unstructured:
		u.SetManagedFields(nil)
	case *unstructured.UnstructuredList:
		for i := range u.Items {
			u.Items[i].SetManagedFields(nil)
		}
	}
}

// must is for calls that can only fail when the program is written wrongly.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
