package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// following is how a verb waits for a run.
type following struct {
	watch, wait, logs bool
	timeout           time.Duration
	exitZero          bool
	onInterrupt       string
	log               logFlags
	// needLog makes a log that cannot be read an error, not a note.
	needLog bool
}

// bind adds the flags of verbs that start a run and may wait for it.
func (f *following) bind(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVarP(&f.watch, "watch", "w", false, "Show the run's tree until it ends; exit by its result")
	fs.BoolVar(&f.wait, "wait", false, "Wait in silence until the run ends; exit by its result")
	fs.BoolVar(&f.logs, "logs", false, "Print the run's log until it ends; exit by its result")
	cmd.MarkFlagsMutuallyExclusive("watch", "wait", "logs")
	f.bindWaiting(cmd)
	f.log.bind(cmd)
}

// bindWaiting adds the flags of everything that waits.
func (f *following) bindWaiting(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.DurationVar(&f.timeout, "timeout", 0, "Stop waiting after this time, such as 30m, with exit code 124; the run goes on (0: wait for ever)")
	fs.BoolVar(&f.exitZero, "exit-zero", false, "Exit 0 however the run ends")
	fs.StringVar(&f.onInterrupt, "on-interrupt", "detach", "What Ctrl-C does to the run: detach leaves it running, cancel stops it")
	must(cmd.RegisterFlagCompletionFunc("on-interrupt", cobra.FixedCompletions([]string{"detach", "cancel"}, cobra.ShellCompDirectiveNoFileComp)))
}

func (f *following) active() bool { return f.watch || f.wait || f.logs }

func (f *following) check() error {
	if f.onInterrupt != "detach" && f.onInterrupt != "cancel" {
		return fmt.Errorf("--on-interrupt %q: wanted detach or cancel", f.onInterrupt)
	}
	if f.timeout < 0 {
		return fmt.Errorf("--timeout %s: wanted a positive duration", f.timeout)
	}
	return nil
}

// follow waits for the run to end, showing it on w as f says. The error, if any,
// carries the exit code; the run is the last state that was seen.
func (a *app) follow(ctx context.Context, p *project, run *v1alpha1.PipelineExecution, f *following, w io.Writer) (*v1alpha1.PipelineExecution, error) {
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	shown := view(silent{})
	switch {
	case f.watch:
		shown = a.newView(w)
	case f.logs && !terminal(run):
		shown = &lineView{w: a.ErrOut, now: a.now}
	}
	waiting := ctx
	if f.timeout > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(ctx, f.timeout, errTimeout)
		defer cancel()
	}
	var logs *logStream
	if f.logs {
		logs = a.startLogs(waiting, p, run, f.log)
	}
	t := a.tracker(p, run, func(pe *v1alpha1.PipelineExecution) {
		shown.show(pe)
		if logs != nil {
			logs.state(pe)
		}
	})
	last, err := t.follow(waiting)
	if i, ok := interruption(ctx); ok && err != nil && f.onInterrupt == "cancel" {
		last, err = a.cancelAndWait(ctx, p, t, i)
	}
	if logs != nil {
		logs.finish(waiting)
	}
	shown.close()
	if last == nil {
		last = run
	}
	err = a.verdict(ctx, waiting, last, err, f)
	if err == nil && logs != nil && f.needLog {
		err = logs.err
	}
	return last, err
}

var errTimeout = errors.New("timeout")

// tracker follows run, saying on standard error when the API server is out of reach.
func (a *app) tracker(p *project, run *v1alpha1.PipelineExecution, changed func(*v1alpha1.PipelineExecution)) *tracker {
	lost := false
	return &tracker{
		runs: p.Executions(run.Namespace), name: run.Name, uid: run.UID, changed: changed, pause: a.pause,
		trouble: func(err error) {
			switch {
			case err != nil && !lost:
				message, _ := explain(err)
				fmt.Fprintf(a.ErrOut, "cannot see the run at the moment, trying again: %s\n", message)
			case err == nil && lost:
				fmt.Fprintln(a.ErrOut, "connected again")
			}
			lost = err != nil
		},
	}
}

// cancelAndWait stops the run that somebody interrupted, and follows it to its end.
func (a *app) cancelAndWait(ctx context.Context, p *project, t *tracker, i interrupted) (*v1alpha1.PipelineExecution, error) {
	ctx = context.WithoutCancel(ctx)
	fmt.Fprintf(a.ErrOut, "%s: stopping %s; again to leave it\n", i.signal, t.name)
	if _, err := mergePatch[v1alpha1.PipelineExecution](ctx, p, executionsResource, t.name, stopPatch); err != nil {
		return t.last, fmt.Errorf("stop run %s: %w", t.name, err)
	}
	return t.follow(ctx)
}

// verdict turns the end of waiting into an exit code and what is said about it.
func (a *app) verdict(ctx, waiting context.Context, run *v1alpha1.PipelineExecution, err error, f *following) error {
	again := "kubectl pipeline watch " + run.Name
	if run.Namespace != "" && a.conn.overrides.Context.Namespace != "" {
		again += " -n " + run.Namespace
	}
	i, wasInterrupted := interruption(ctx)
	switch {
	case err == nil:
		return result(run, f.exitZero)
	case wasInterrupted:
		fmt.Fprintf(a.ErrOut, "\n%s: left %s running\nhint: %s shows it again, kubectl pipeline cancel %s stops it\n", i.signal, title(run), again, run.Name)
		return &exit{code: exitDetached}
	case errors.Is(context.Cause(waiting), errTimeout):
		return &exit{code: exitTimeout, cause: hinted(fmt.Errorf("run %s is still %s after %s", title(run), phaseOf(run), f.timeout), again+" goes on waiting")}
	case errors.Is(err, errDeleted):
		return &exit{code: exitError, cause: fmt.Errorf("wait for run %s: %w", run.Name, err)}
	}
	return fmt.Errorf("wait for run %s: %w", run.Name, err)
}

// result is what the end of a run means to whoever waited for it.
func result(run *v1alpha1.PipelineExecution, exitZero bool) error {
	code := phaseCode(run.Status.Phase)
	if code == exitOK || exitZero {
		return nil
	}
	ended := "failed"
	if code == exitAborted {
		ended = "was aborted"
	}
	err := fmt.Errorf("run %s %s", title(run), ended)
	if why := cause(run); why != "" {
		err = fmt.Errorf("%w: %s", err, why)
	}
	return &exit{code: code, cause: hinted(err, "kubectl pipeline logs "+run.Name)}
}

// silent shows nothing.
type silent struct{}

func (silent) show(*v1alpha1.PipelineExecution) {}
func (silent) close()                           {}
