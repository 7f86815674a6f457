// Package need ends tests for which this machine lacks something: they are skipped where
// people work, with what to install, and fail where the project is judged, which sets
// CI=true. It knows nothing of what the tests do.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Missing ends the test and says what is missing.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Program is the path of a program; without it the test ends. from says where it comes
// from, as "apt-get install git".
func Program(t testing.TB, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, "no %s in PATH (%s)", name, from)
	}
	return path
}
