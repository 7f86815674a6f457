// Command demo shows the main job on this machine: a real git push becomes a
// finished execution. It builds and starts everything, tells what is real and what
// is a double, and ends clean, with the run's result as exit code.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/klog/v2"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

const (
	project      = "shop"
	startTimeout = 2 * time.Minute
	interrupted  = 130 // as of a shell, for Ctrl-C
)

func main() {
	// Where real nodes can be had, everything runs in namespaces of its own, which end
	// with it: nothing can be left behind on this machine.
	if err := cluster.EnterSandbox(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	// What client-go says of streams that break when everything stops is no news.
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := demo(ctx)
	if ctx.Err() != nil {
		code, err = interrupted, nil
	}
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	os.Exit(code)
}

func demo(ctx context.Context) (code int, err error) {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "[%4.0fs] %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	opts := harness.Options{Log: say, Simulated: 3}
	if problem := cluster.RealProblem(); problem != "" {
		say("nodes are simulated, and steps run on this machine: %s", problem)
	} else {
		opts = harness.Options{Log: say, Real: 2}
	}
	w, err := harness.Start(ctx, opts)
	if err != nil {
		return 1, err
	}
	defer func() {
		say("stopping everything")
		err = errors.Join(err, w.Stop())
	}()

	say("making the project %q: Jenkins address and token, webhook secret, repository, pipeline", project)
	if err := w.Project(ctx, project, v1alpha1.DefaultQuota); err != nil {
		return 1, err
	}
	repo, err := w.Repository(ctx, project, "app")
	if err != nil {
		return 1, err
	}
	if _, err := w.Pipeline(ctx, project, "app", repo.Name); err != nil {
		return 1, err
	}
	commit, err := repo.Commit(ctx, "Greet the cluster", app(harness.GoImage))
	if err != nil {
		return 1, err
	}

	shell := shell{world: w}
	shell.show("git push origin main   # commit " + commit[:7])
	if err := repo.Push(ctx, "main"); err != nil {
		return 1, err
	}
	run, err := w.WaitExecution(ctx, project, startTimeout, func(e *v1alpha1.PipelineExecution) bool {
		return e.Spec.Source != nil && e.Spec.Source.Commit == commit
	})
	if err != nil {
		return 1, err
	}
	say("the signed webhook reached hookd, which stored %s", run.Name)

	code, err = shell.kubectl(ctx, "pipeline", "watch", run.Name)
	if err != nil {
		return 1, err
	}
	// The Pipeline's own status gathers changes for a second.
	rolledUp := w.Kubectl(ctx, project, "wait", "--for=jsonpath={.status.lastExecution.finishedAt}", "--timeout=10s", "pipeline/app")
	if out, err := rolledUp.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("wait for the pipeline's status: %w\n%s", err, out)
	}
	for _, args := range [][]string{
		{"pipeline", "describe", run.Name},
		{"pipeline", "logs", run.Name},
		{"get", "pipelines,pipelineexecutions"},
	} {
		if _, err := shell.kubectl(ctx, args...); err != nil {
			return 1, err
		}
	}
	say("real: etcd, API server, scheduler, controller manager, hookd, kubectl and its plugin, git%s", realNodes(opts))
	say("double: Jenkins (it interpreted the generated Jenkinsfile and ran its steps in agent pods); docs/jenkins.md tells what a real one needs")
	return code, nil
}

func realNodes(o harness.Options) string {
	if o.Real > 0 {
		return ", and the nodes (kubelet, containerd, runc)"
	}
	return "; simulated: the nodes"
}

// shell runs commands as a person would see them typed.
type shell struct{ world *harness.World }

func (shell) show(line string) { fmt.Printf("\n$ %s\n", line) }

func (s shell) kubectl(ctx context.Context, args ...string) (int, error) {
	s.show("kubectl " + strings.Join(args, " "))
	cmd := s.world.Kubectl(ctx, project, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}
