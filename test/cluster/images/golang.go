package images

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const goRoot, goCache = "/usr/local/go", "/root/.cache/go-build"

func golangEnv() []string {
	env := env()
	env[0] += ":" + goRoot + "/bin"
	return append(env, "GOCACHE="+goCache, "CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOPROXY=off", "GOFLAGS=")
}

// fillGolang makes a root with the toolchain, without its own source and tests, and
// with a build cache.
func fillGolang(ctx context.Context, root string, tools Tools) error {
	err := filepath.WalkDir(tools.GoRoot, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, tools.GoRoot), "/")
		switch {
		case entry.IsDir() && name != "" && !wantGoDir(name):
			return fs.SkipDir
		case entry.Type().IsRegular() && wantGoFile(name):
			return copyFile(path, filepath.Join(root, goRoot, name))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return fillGoCache(ctx, root)
}

func wantGoDir(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	return (top == "bin" || top == "pkg" || top == "src" || top == "lib") && name != "src/cmd" && filepath.Base(name) != "testdata"
}

func wantGoFile(name string) bool {
	return (strings.Contains(name, "/") || name == "VERSION" || name == "go.env") && !strings.HasSuffix(name, "_test.go")
}

// warmUp is a program that uses what small programs use.
var warmUp = map[string]string{
	"go.mod":       "module warm\n\ngo 1.21\n",
	"main.go":      "package main\n\nimport (\n\t_ \"encoding/json\"\n\t_ \"flag\"\n\t_ \"net/http\"\n\t_ \"os/exec\"\n\t_ \"sort\"\n\t_ \"text/tabwriter\"\n\t_ \"text/template\"\n)\n\nfunc main() {}\n",
	"main_test.go": "package main\n\nimport \"testing\"\n\nfunc Test(t *testing.T) {}\n",
}

// fillGoCache builds and tests a program inside the root, so that the standard
// library is in the image's build cache: else the first build in every container
// compiles it, for half a minute.
func fillGoCache(ctx context.Context, root string) error {
	work := filepath.Join(root, "warm")
	for _, dir := range []string{work, filepath.Join(root, "dev"), filepath.Join(root, "tmp"), filepath.Join(root, goCache)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for name, content := range warmUp {
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	// Without this, the go command starts itself again to count its use.
	telemetry := filepath.Join(root, "root/.config/go/telemetry")
	if err := os.MkdirAll(telemetry, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(telemetry, "mode"), []byte("off 2026-01-01\n"), 0o644); err != nil {
		return err
	}
	null := filepath.Join(root, "dev", "null")
	if err := syscall.Mknod(null, syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
		return fmt.Errorf("make /dev/null: %w", err)
	}
	for _, args := range [][]string{{"build", "-o", "/tmp/warm", "."}, {"test", "."}} {
		cmd := exec.CommandContext(ctx, goRoot+"/bin/go", args...)
		cmd.Dir, cmd.Env = "/warm", append(golangEnv(), "GOROOT="+goRoot) // there is no /proc to find it by
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
		}
	}
	for _, dir := range []string{work, filepath.Join(root, "dev"), filepath.Join(root, "tmp")} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}
