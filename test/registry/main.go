// Registry is a real container registry for tests: the distribution, version 3, with files
// as its store, and none of the clouds that its own program brings along.
//
// It is a module of its own, so that the product needs none of it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves as the configuration file says that is the last argument.
func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: registry serve <config.yml>")
	}
	file, err := os.Open(args[len(args)-1])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	config, err := configuration.Parse(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", file.Name(), err)
	}
	r, err := registry.NewRegistry(context.Background(), config)
	if err != nil {
		return err
	}
	return r.ListenAndServe()
}
