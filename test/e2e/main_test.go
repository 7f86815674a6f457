package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

const runTimeout = 2 * time.Minute

// One world serves all tests: each test has a project of its own.
var (
	worldOnce sync.Once
	world     *harness.World
	worldErr  error
	projects  atomic.Int32
)

func TestMain(m *testing.M) {
	code := cluster.Main(m)
	if world != nil {
		if err := world.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func theWorld(t *testing.T) *harness.World {
	t.Helper()
	worldOnce.Do(func() {
		world, worldErr = harness.Start(context.Background(), harness.Options{
			Simulated: 3, Replicas: 2,
			Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "e2e: "+format+"\n", args...) },
		})
	})
	if worldErr != nil {
		t.Fatal(worldErr)
	}
	return world
}

// project is one test's namespace with a repository and a pipeline.
type project struct {
	*testing.T
	*harness.World
	name string
	repo *harness.Repository
}

func newProject(t *testing.T, quota int32, change ...func(*v1alpha1.Pipeline)) *project {
	t.Helper()
	return newProjectIn(t, theWorld(t), quota, change...)
}

func newProjectIn(t *testing.T, w *harness.World, quota int32, change ...func(*v1alpha1.Pipeline)) *project {
	t.Helper()
	p := &project{T: t, World: w, name: fmt.Sprintf("e2e-%d", projects.Add(1))}
	ctx := t.Context()
	if err := w.Project(ctx, p.name, quota); err != nil {
		t.Fatal(err)
	}
	repo, err := w.Repository(ctx, p.name, "app")
	if err != nil {
		t.Fatal(err)
	}
	p.repo = repo
	if _, err := w.Pipeline(ctx, p.name, "app", "app", change...); err != nil {
		t.Fatal(err)
	}
	return p
}

// push commits a config and other files and pushes them to main.
func (p *project) push(message string, files map[string]string) (commit string) {
	p.Helper()
	commit, err := p.repo.Commit(p.Context(), message, files)
	if err != nil {
		p.Fatal(err)
	}
	if err := p.repo.Push(p.Context(), "main"); err != nil {
		p.Fatal(err)
	}
	return commit
}

// config is a config file whose single step runs script.
func config(script string) map[string]string {
	return map[string]string{".pipeline.yml": fmt.Sprintf(
		"stages:\n- name: Test\n  steps:\n  - name: run\n    runScriptConfig: {image: %q, shellScript: %q}\n", harness.AgentImage, script)}
}

// ended waits for the end of the run of a commit.
func (p *project) ended(commit string) *v1alpha1.PipelineExecution {
	p.Helper()
	return p.wait(func(e *v1alpha1.PipelineExecution) bool {
		return e.Spec.Source != nil && e.Spec.Source.Commit == commit && e.Status.FinishedAt != nil
	})
}

// succeeded waits for the end of the run of a commit, which has to be a good one.
func (p *project) succeeded(commit string) *v1alpha1.PipelineExecution {
	p.Helper()
	e := p.ended(commit)
	if e.Status.Phase != v1alpha1.PhaseSucceeded {
		log, stderr, _ := p.kubectl("pipeline", "logs", e.Name)
		p.Fatalf("phase %s, reason %s: %s\n%s%s", e.Status.Phase, e.Status.Reason, e.Status.Message, log, stderr)
	}
	return e
}

func (p *project) wait(done func(*v1alpha1.PipelineExecution) bool) *v1alpha1.PipelineExecution {
	p.Helper()
	e, err := p.WaitExecution(p.Context(), p.name, runTimeout, done)
	if err != nil {
		p.Fatal(err)
	}
	return e
}

func (p *project) executions() []v1alpha1.PipelineExecution {
	p.Helper()
	list, err := p.Clients.Executions(p.name).List(p.Context(), metav1.ListOptions{})
	if err != nil {
		p.Fatal(err)
	}
	return list.Items
}

// kubectl runs a command and returns what it printed and its exit code.
func (p *project) kubectl(args ...string) (stdout, stderr string, code int) {
	p.Helper()
	cmd := p.Kubectl(p.Context(), p.name, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		p.Fatalf("kubectl %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (p *project) mustKubectl(args ...string) string {
	p.Helper()
	stdout, stderr, code := p.kubectl(args...)
	if code != 0 {
		p.Fatalf("kubectl %v: exit code %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}
