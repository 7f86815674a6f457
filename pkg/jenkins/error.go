package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Errors that callers branch on. Match them with errors.Is.
var (
	// ErrUnknownOutcome marks a POST whose answer was lost after the request may have reached Jenkins. It must not be sent again
	// before evidence was searched.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrNotTriggered marks a Start that Jenkins answered without putting anything into its queue (a queue decision handler or a
	// throttling plugin refused it). It is safe to start again later.
	ErrNotTriggered = errors.New("not triggered")
	// ErrNameConflict marks a name in Jenkins that is taken by something which is not ours.
	ErrNameConflict = errors.New("name is taken")
	// ErrHidden marks a thing that is there, but that Jenkins hides from our account: it answers 404, as for what is not there.
	ErrHidden = errors.New("hidden from our account, which lacks the permission to read it")
	// ErrNoStages marks a Jenkins that can tell nothing about stages: neither pipeline-rest-api nor pipeline-graph-view answers.
	ErrNoStages = errors.New("stages are not available")
	// ErrInvalid marks an argument that Jenkins could not store or would refuse.
	ErrInvalid = errors.New("invalid argument")
)

// Error is the one error of requests to Jenkins: everything that is known about an answer, or the lack of one.
type Error struct {
	Method string // HTTP method
	Path   string // path below the base URL, without the query
	Status int    // HTTP status; 0 when no answer arrived

	XError        string // X-Error header: Jenkins' own one line reason
	Permission    string // X-Required-Permission header, e.g. hudson.model.Item.Build
	Authenticated string // X-You-Are-Authenticated-As header
	Session       string // X-Jenkins-Session header; empty when the answer did not come from Jenkins itself
	Snippet       string // beginning of the body, tags removed, at most 200 characters

	Sent bool  // whether any byte of the request may have reached the server
	Err  error // cause: a transport error, or what was wrong with an answer of status 2xx
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Method, e.Path)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d %s", e.Status, http.StatusText(e.Status))
	}
	switch {
	case e.XError != "":
		b.WriteString(": " + e.XError)
	case e.Permission != "":
		b.WriteString(": needs permission " + e.Permission)
	case e.Err == nil && e.Snippet != "":
		b.WriteString(": " + e.Snippet)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
		if e.Status != 0 && e.Snippet != "" {
			fmt.Fprintf(&b, " (%q)", e.Snippet)
		}
	}
	return b.String()
}

// Unwrap gives the transport error, so that errors.Is finds context.DeadlineExceeded and its like.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) notFound() bool { return e.Status == http.StatusNotFound }

// Jenkins answers 401 for wrong credentials, and 403 without naming a permission when there were none it knew.
func (e *Error) unauthorized() bool {
	return e.Status == http.StatusUnauthorized ||
		e.Status == http.StatusForbidden && e.Permission == "" && e.Authenticated == "" && !isCrumbComplaint(e.Snippet)
}

func (e *Error) conflict() bool {
	return e.Status == http.StatusConflict || e.Status == http.StatusBadRequest && e.XError != ""
}

func (e *Error) temporary() bool {
	switch {
	case errors.Is(e.Err, context.Canceled):
		return false // the caller gave up; Jenkins is not to blame
	case e.Status == 0, e.Status >= 500, e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestTimeout:
		return true
	}
	return e.Status < 400 && e.Err != nil // an answer that is not what Jenkins would have said
}

func is(err error, pred func(*Error) bool) bool {
	var e *Error
	return errors.As(err, &e) && pred(e)
}

// IsNotFound tells whether Jenkins has no such thing, or hides it from our account. [Client.Gone] finds out which.
func IsNotFound(err error) bool { return is(err, (*Error).notFound) }

// IsUnauthorized tells whether Jenkins does not accept our credentials. Trying again soon may lock the account.
func IsUnauthorized(err error) bool { return is(err, (*Error).unauthorized) }

// IsForbidden tells whether our account lacks a permission, which [Error.Permission] names.
func IsForbidden(err error) bool {
	return is(err, func(e *Error) bool { return e.Status == http.StatusForbidden && !e.unauthorized() })
}

// IsConflict tells whether Jenkins refused because of the state of the thing: it exists, is being deleted, could not be interrupted.
func IsConflict(err error) bool { return is(err, (*Error).conflict) }

// IsTemporary tells whether the same request may succeed later without anyone changing anything: Jenkins is down, starting, slow,
// or something between us and Jenkins answered in its place. No verdict about a build follows from it.
func IsTemporary(err error) bool { return is(err, (*Error).temporary) }
