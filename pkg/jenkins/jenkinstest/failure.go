package jenkinstest

import (
	"errors"
	"fmt"
)

// failure is an exception of a build. Its class and message are what wfapi and the log show.
type failure struct {
	class string
	msg   string
	quiet bool // a reason of Jenkins' own: the log shows "ERROR: msg" instead of a stack trace
}

func (f *failure) Error() string { return f.msg }

const (
	classAbort       = "hudson.AbortException"
	classInterrupted = "org.jenkinsci.plugins.workflow.steps.FlowInterruptedException"
)

func abort(format string, args ...any) error {
	return &failure{classAbort, fmt.Sprintf(format, args...), true}
}

func interrupted(cause string) error { return &failure{classInterrupted, cause, true} }

func thrown(class, format string, args ...any) error {
	return &failure{class, fmt.Sprintf(format, args...), false}
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
	switch {
	case err == nil:
		return "SUCCESS"
	case isInterrupted(err):
		return "ABORTED"
	}
	return "FAILURE"
}

// classOf gives class and message for wfapi.
func classOf(err error) (class, msg string) {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.class, f.msg
	}
	return "java.lang.RuntimeException", err.Error()
}
