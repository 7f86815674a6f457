package cluster

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// KubernetesVersion is the version of the control plane and of real nodes; it
// is the one that parts/go.mod requires.
const KubernetesVersion = "v1.37.2"

// AssetsEnv names a folder with etcd and kube-apiserver to use instead of
// building them. It is the variable that envtest reads.
const AssetsEnv = "KUBEBUILDER_ASSETS"

const modulePath = "github.com/kubectl-pipeline/kubectl-pipeline"

// programs are the names that the parts binary answers to.
var programs = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kwok", "kwok-stages", "simulated-kubelet"}

// assets is where everything that a cluster runs lies.
type assets struct {
	// bin holds the programs by name. With AssetsEnv only some are there.
	bin string
	// helper is the program of package helper; empty where there is none.
	helper string
	// images is the containerd folder that real nodes start from; empty until
	// buildImages.
	images string
}

// program returns the path of a program, or an error that says where it was looked for.
func (a assets) program(name string) (string, error) {
	path := filepath.Join(a.bin, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find %s: %w (%s chooses this folder; unset it to build every program)", name, err, AssetsEnv)
	}
	return path, nil
}

// Build makes what clusters run and keeps it in CacheDir: the programs and, where
// real nodes can run, their images. What is there already is not made again. The
// first build compiles Kubernetes: about ten minutes on two cores; progress gets a
// line every 15 seconds of it.
func Build(ctx context.Context, progress io.Writer) error {
	built, err := buildPrograms(ctx, progress)
	if err != nil {
		return err
	}
	if SandboxProblem() != "" || len(missingTools()) > 0 || os.Getenv(AssetsEnv) != "" {
		return nil // no real nodes here
	}
	return built.buildImages(ctx, progress)
}

func (a *assets) buildImages(ctx context.Context, w io.Writer) error {
	c, err := openCache(w)
	if err != nil {
		return err
	}
	root, err := sourceRoot()
	if err != nil {
		return err
	}
	a.images, err = buildNodeImages(ctx, c, root, a.helper)
	return err
}

func buildPrograms(ctx context.Context, w io.Writer) (assets, error) {
	c, err := openCache(w)
	if err != nil {
		return assets{}, err
	}
	root, err := sourceRoot()
	if err != nil {
		return assets{}, err
	}
	var a assets
	if a.helper, err = buildHelper(ctx, c, root); err != nil {
		return assets{}, err
	}
	if dir := os.Getenv(AssetsEnv); dir != "" {
		a.bin = dir
		return a, nil
	}
	a.bin, err = buildParts(ctx, c, root)
	return a, err
}

func openCache(w io.Writer) (*cache, error) {
	dir, err := CacheDir()
	if err != nil {
		return nil, err
	}
	return &cache{dir: dir, progress: newProgress(w)}, nil
}

// buildParts makes the multi-call binary and a link to it for each program.
func buildParts(ctx context.Context, c *cache, root string) (string, error) {
	source := filepath.Join(root, "test", "cluster", "parts")
	const v = "k8s.io/component-base/version"
	major, minor, _ := strings.Cut(strings.TrimPrefix(KubernetesVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	ldflags := fmt.Sprintf("-s -w -X %s.gitVersion=%s -X %s.gitMajor=%s -X %s.gitMinor=%s -X %s.gitTreeState=clean -X %s.gitCommit=unknown",
		v, KubernetesVersion, v, major, v, minor, v, v)
	files, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil {
		return "", err
	}
	key, err := hashOf(append(slices.Clone(programs), ldflags), append(files, filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum"))...)
	if err != nil {
		return "", fmt.Errorf("hash the parts: %w", err)
	}
	return c.get(ctx, "parts", key, func(dir string) error {
		err := goBuild(ctx, c.progress, "build Kubernetes "+KubernetesVersion+" (about 10 minutes when nothing is compiled yet)",
			source, filepath.Join(dir, "parts"), "-ldflags", ldflags)
		if err != nil {
			return err
		}
		for _, name := range programs {
			if err := os.Symlink("parts", filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// buildHelper makes the small program that sets up namespaces; see package helper.
func buildHelper(ctx context.Context, c *cache, root string) (string, error) {
	if runtime.GOOS != "linux" {
		return "", nil
	}
	source := filepath.Join(root, "test", "cluster", "helper")
	files, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("find the helper's source in %s: %v", source, err)
	}
	key, err := hashOf(nil, files...)
	if err != nil {
		return "", fmt.Errorf("hash the helper: %w", err)
	}
	dir, err := c.get(ctx, "helper", key, func(dir string) error {
		return goBuild(ctx, c.progress, "build the namespace helper", source, filepath.Join(dir, "helper"), "-ldflags", "-s -w")
	})
	return filepath.Join(dir, "helper"), err
}

// goBuild runs go build in source. The flags are the same for every program, so
// that they share one build cache.
func goBuild(ctx context.Context, p *progress, what, source, out string, flags ...string) error {
	args := append([]string{"build", "-v", "-trimpath", "-buildvcs=false", "-o", out}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOOS=", "GOARCH=")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	var lines compileLines
	done := p.stepWith(what, lines.detail)
	defer done()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	lines.read(stderr)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", what, err, lines.tail.String())
	}
	return nil
}

// compileLines counts the packages that go build -v names, and keeps the end of
// its output for an error message.
type compileLines struct {
	mu    sync.Mutex
	count int
	last  string
	tail  bytes.Buffer
}

func (l *compileLines) read(r io.Reader) {
	for s := bufio.NewScanner(r); s.Scan(); {
		l.mu.Lock()
		l.count++
		l.last = s.Text()
		if l.tail.Len() > 8<<10 {
			l.tail.Next(l.tail.Len() / 2)
		}
		fmt.Fprintln(&l.tail, l.last)
		l.mu.Unlock()
	}
}

func (l *compileLines) detail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.count == 0:
		return ""
	case strings.HasPrefix(l.last, "go: downloading"):
		return ", " + l.last
	default:
		return fmt.Sprintf(", %d packages compiled, now at %s", l.count, l.last)
	}
}

// sourceRoot is the top of the source tree, found from the current folder (tests
// run inside the tree), else from where this file was compiled.
func sourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	starts := []string{dir}
	if _, file, _, ok := runtime.Caller(0); ok {
		starts = append(starts, filepath.Dir(file))
	}
	for _, dir := range starts {
		for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err == nil && strings.HasPrefix(string(mod), "module "+modulePath+"\n") {
				return dir, nil
			}
		}
	}
	return "", fmt.Errorf("find the source of %s: run inside its tree", modulePath)
}
