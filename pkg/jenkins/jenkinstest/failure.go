package jenkinstest

import (
	"errors"
	"fmt"
	"slices"
)

// failure is an exception of a build. Its class and message are what wfapi and the log show.
type failure struct {
	class  string
	msg    string
	quiet  bool   // a reason of Jenkins' own: the log shows "ERROR: msg" instead of a stack trace
	result string // of an interruption that does not end the build as ABORTED
}

func (f *failure) Error() string { return f.msg }

const (
	classAbort       = "hudson.AbortException"
	classInterrupted = "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException"
)

func abort(format string, args ...any) error {
	return &failure{class: classAbort, msg: fmt.Sprintf(format, args...), quiet: true}
}

func interrupted(cause string) error {
	return &failure{class: classInterrupted, msg: cause, quiet: true}
}

func thrown(class, format string, args ...any) error {
	return &failure{class: class, msg: fmt.Sprintf(format, args...)}
}

// errKilled ends what a hard kill leaves running; errClosed what the end of the server does.
var (
	errKilled = errors.New("killed")
	errClosed = errors.New("the double was closed")
)

func isInterrupted(err error) bool {
	var f *failure
	return errors.Is(err, errKilled) || errors.Is(err, errClosed) || errors.As(err, &f) && f.class == classInterrupted
}

func outcome(err error) string {
	f, _ := errors.AsType[*failure](err)
	switch {
	case err == nil:
		return "SUCCESS"
	case f != nil && f.result != "":
		return f.result
	case isInterrupted(err):
		return "ABORTED"
	}
	return "FAILURE"
}

// results are Jenkins' in their order: a build's can only become worse. One that it does not know is the worst.
var results = []string{"", "SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED"}

func worse(a, b string) string {
	rank := func(result string) int {
		if i := slices.Index(results, result); i >= 0 {
			return i
		}
		return len(results)
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// classOf gives class and message for wfapi.
func classOf(err error) (class, msg string) {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.class, f.msg
	}
	return "java.lang.RuntimeException", err.Error()
}
