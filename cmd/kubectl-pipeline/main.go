// Command kubectl-pipeline is the kubectl plugin behind `kubectl pipeline`. Everything
// it does is in pkg/cli.
package main

import (
	"context"
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/cli"
)

func main() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(cli.Run(context.Background(), os.Args, streams))
}
