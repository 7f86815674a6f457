//go:build !linux

package cluster

import (
	"context"
	"errors"
)

func runSandbox(context.Context, string, []string) (int, error) {
	return 0, errors.New("make sandbox: this is not Linux")
}

func runInPrivate(context.Context, string, []string) error {
	return errors.New("make sandbox: this is not Linux")
}

func tryNamespaces() error { return errors.New("not Linux") }
