package cluster

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// Main is TestMain for tests with clusters: it builds what is missing and runs the
// tests, inside a sandbox where that is possible (as root on Linux), so that they
// can have real nodes and leave nothing behind. The result is for os.Exit.
func Main(m *testing.M) int {
	if !Sandboxed() {
		ctx := context.Background()
		if err := Build(ctx, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, "cluster:", err)
			return 1
		}
		if err := EnterSandbox(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "cluster:", err)
			return 1
		}
	}
	return m.Run()
}

// RequireReal skips a test where real nodes cannot run, saying why.
func RequireReal(t testing.TB) {
	t.Helper()
	if problem := RealProblem(); problem != "" {
		t.Skip("real nodes cannot run here: " + problem)
	}
}
