// Command gendocs writes the reference of the config file, docs/config.md, and its JSON schema, docs/config.schema.json, from the Go
// types of pkg/pipeline and their comments. It runs in the repository's root:
//
//	go run ./hack/gendocs          writes both
//	go run ./hack/gendocs -check   says which is out of date, and fails
//
// The same tree gives the same bytes. It must not read anything but the tree. Start reading at generate.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	root := flag.String("root", ".", "the repository's root")
	flag.Parse()
	if err := run(*root, *check, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run(root string, check bool, out io.Writer) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	stale := 0
	for _, f := range files {
		path := filepath.Join(root, f.path)
		before, err := os.ReadFile(path)
		if err == nil && bytes.Equal(before, f.text) {
			continue
		}
		stale++
		if check {
			fmt.Fprintf(out, "%s is out of date\n", f.path)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.text, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(out, "wrote %s\n", f.path)
	}
	if check && stale > 0 {
		return fmt.Errorf("run 'go run ./hack/gendocs' and commit what it writes")
	}
	return nil
}
