package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// budgets bound the released programs, stripped, in bytes: the plugin is downloaded to
// laptops, hookd is pulled to nodes.
var budgets = map[string]int64{
	"kubectl-pipeline": 16 << 20,
	"hookd":            30 << 20,
}

func TestProgramSizes(t *testing.T) {
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./cmd/...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build programs: %v\n%s", err, out)
	}
	for program, budget := range budgets {
		info, err := os.Stat(filepath.Join(bin, program))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MiB of %d", program, float64(info.Size())/(1<<20), budget>>20)
		if info.Size() > budget {
			t.Errorf("%s has %d bytes, budget %d: go list -deps ./cmd/%s tells what came in", program, info.Size(), budget, program)
		}
	}
}
