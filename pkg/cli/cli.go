package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
)

// app is what every verb is given: the streams, the clock and the world around it.
type app struct {
	genericiooptions.IOStreams
	now    func() time.Time
	getenv func(string) string
	// pause waits for d, or less when ctx ends first.
	pause func(ctx context.Context, d time.Duration) error
	// screen describes the terminal behind w.
	screen func(w io.Writer) screen

	conn  connection
	color string

	// waiting counts the runs that would go on without us, should we be interrupted.
	waiting atomic.Int32
	// restore undoes what was done to the terminal; it may be called at any time.
	restore atomic.Pointer[func()]
}

// Run runs the plugin with args (args[0] is the program) and returns its exit code;
// the codes are those of `kubectl pipeline help exit-codes`. The first interrupt
// ends what is under way in order, the second ends the program at once.
func Run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	// client-go reports through klog what it also returns as an error, in words for its
	// own developers.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	a := &app{IOStreams: streams, now: time.Now, getenv: os.Getenv, pause: pause, screen: detectScreen}
	return a.run(ctx, args, signals)
}

// run returns when the command is done, or at the second signal without it: whoever
// called then ends the program.
func (a *app) run(ctx context.Context, args []string, signals <-chan os.Signal) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan int, 1)
	go func() { done <- a.execute(ctx, args) }()
	for ending := false; ; ending = true {
		select {
		case code := <-done:
			return code
		case s := <-signals:
			if !ending {
				cancel(interrupted{s})
				continue
			}
			if restore := a.restore.Load(); restore != nil {
				(*restore)()
			}
			if a.waiting.Load() > 0 {
				return exitDetached
			}
			return interrupted{s}.code()
		}
	}
}

func (a *app) execute(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(pluginArgs(args))
	cmd, err := root.ExecuteContextC(ctx)
	if i, ok := interruption(ctx); ok && err != nil && !isExit(err) {
		return i.code()
	}
	return a.report(err, cmd)
}

// pluginArgs are the arguments without the program. kubectl asks for completions by
// running kubectl_complete-pipeline; a link of that name to this program is enough.
func pluginArgs(args []string) []string {
	if len(args) == 0 {
		return nil
	}
	if strings.HasPrefix(filepath.Base(args[0]), "kubectl_complete-") {
		return append([]string{"__complete"}, args[1:]...)
	}
	return append([]string{}, args[1:]...)
}

// interrupted is why a context ended when a signal ended it.
type interrupted struct{ signal os.Signal }

func (i interrupted) Error() string { return "interrupted by " + i.signal.String() }

// code is what a shell reports of a program that the signal ended.
func (i interrupted) code() int {
	if i.signal == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

func interruption(ctx context.Context) (interrupted, bool) {
	return errors.AsType[interrupted](context.Cause(ctx))
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
