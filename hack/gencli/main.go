// Command gencli writes docs/cli.md and docs/exit-codes.md from the plugin's command
// tree. Run it from the repository's root: go run ./hack/gencli
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/cli"
)

func main() {
	for file, write := range map[string]func(io.Writer) error{
		"docs/cli.md":        cli.WriteReference,
		"docs/exit-codes.md": cli.WriteExitCodes,
	} {
		var b bytes.Buffer
		err := write(&b)
		if err == nil {
			err = os.WriteFile(file, b.Bytes(), 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "gencli:", err)
			os.Exit(1)
		}
	}
}
