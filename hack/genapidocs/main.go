// Command genapidocs writes docs/api.md, the reference of every field of the API, from
// the schemas in manifests/crd. Run it at the root of the repository.
//
// It must not say anything that the schemas do not: what a field means is written once,
// beside the field, in pkg/apis. Start reading at render.go.
package main

import (
	"fmt"
	"os"
)

const (
	source = "manifests/crd"
	target = "docs/api.md"
)

func main() {
	if err := run(source, target); err != nil {
		fmt.Fprintln(os.Stderr, "genapidocs:", err)
		os.Exit(1)
	}
}

func run(source, target string) error {
	crds, err := load(source)
	if err != nil {
		return err
	}
	if err := os.WriteFile(target, []byte(render(crds)), 0o644); err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	return nil
}
