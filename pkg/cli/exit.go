package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// The exit codes. They are borrowed, not invented: 1 is kubectl's, 2 is Jenkins'
// FAILURE, 124 is timeout(1)'s, 125 is what Jenkins' own client gives when Ctrl-C
// leaves a build running, and 128 and above are the shell's for signals.
const (
	exitOK          = 0
	exitError       = 1
	exitFailed      = 2
	exitAborted     = 3
	exitTimeout     = 124
	exitDetached    = 125
	exitInterrupted = 130
	exitBrokenPipe  = 141
	exitTerminated  = 143
)

// exitCodes is the table that help and docs/exit-codes.md show.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "The command did what it was asked; when it waited for a run, the run succeeded."},
	{exitError, "The command itself failed: bad usage, no connection, refused by the API server, a config file with errors."},
	{exitFailed, "It waited for a run, and the run failed."},
	{exitAborted, "It waited for a run, and the run was stopped, superseded or aborted."},
	{exitTimeout, "--timeout passed; the run goes on."},
	{exitDetached, "Ctrl-C (or SIGTERM) while it waited for a run; the run goes on."},
	{exitInterrupted, "Ctrl-C in any other case."},
	{exitBrokenPipe, "Whoever read standard output went away, as in `kubectl pipeline runs | head -1`."},
	{exitTerminated, "SIGTERM in any other case."},
}

const exitCodesIntro = `Commands that wait for a run (run --watch, --wait and --logs, rerun with the same
flags, watch, wait, logs --follow) end with a code that tells how it went, unless
--exit-zero is given. With several runs it is the worst: 1, 124, 125, 2, 3, 0.`

// writeExitCodes writes the table as text, for help.
func writeExitCodes(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", exitCodesIntro)
	for _, e := range exitCodes {
		fmt.Fprintf(w, "  %3d  %s\n", e.code, e.meaning)
	}
}

// exit is an error that ends the program with a code of its own. With a nil cause
// nothing is said about it.
type exit struct {
	code  int
	cause error
}

func (e *exit) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.cause.Error()
}

func (e *exit) Unwrap() error { return e.cause }

func isExit(err error) bool {
	_, ok := errors.AsType[*exit](err)
	return ok
}

// phaseCode is the exit code for a finished run.
func phaseCode(p v1alpha1.Phase) int {
	switch p {
	case v1alpha1.PhaseSucceeded, v1alpha1.PhaseSkipped:
		return exitOK
	case v1alpha1.PhaseFailed:
		return exitFailed
	case v1alpha1.PhaseAborted:
		return exitAborted
	default:
		return exitError
	}
}

// worst picks the exit code for several runs.
func worst(codes ...int) int {
	for _, c := range []int{exitError, exitTimeout, exitDetached, exitFailed, exitAborted} {
		if slices.Contains(codes, c) {
			return c
		}
	}
	return exitOK
}
