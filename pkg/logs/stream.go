package logs

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// stream is an answer that grows. It has either a body of its own, for an error that
// is known before anything was sent, or log text and trailers.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	started bool
}

func newStream(w http.ResponseWriter) *stream {
	s := &stream{w: w, control: http.NewResponseController(w)}
	// The server's deadlines are for requests that end. Where they cannot be lifted (a
	// recorder in a test) there are none.
	_ = s.control.SetReadDeadline(time.Time{})
	_ = s.control.SetWriteDeadline(time.Time{})
	return s
}

// start sends the header. From then on an error can only be said in a trailer.
func (s *stream) start() {
	if s.started {
		return
	}
	s.started = true
	h := s.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff") // a log is what a user's script wrote
	h.Set("Cache-Control", "no-store")
	h.Set("Trailer", TrailerComplete+", "+TrailerError)
	s.w.WriteHeader(http.StatusOK)
	_ = s.flush() // a reader that is gone is found at the next write
}

// Write sends a piece of the log and waits until it is on its way: what a slow reader
// does not take is held by whoever wrote it, not by us.
func (s *stream) Write(p []byte) (int, error) {
	s.start()
	_ = s.control.SetWriteDeadline(time.Now().Add(chunkTimeout))
	n, err := s.w.Write(p)
	if err == nil {
		err = s.flush()
	}
	_ = s.control.SetWriteDeadline(time.Time{})
	if err != nil {
		return n, fmt.Errorf("send log: %w", err)
	}
	return n, nil
}

func (s *stream) flush() error {
	if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// finish ends the answer: complete when err is nil.
func (s *stream) finish(err error) {
	if err != nil && !s.started && !errors.Is(err, ErrRunning) {
		refuse(s.w, err)
		return
	}
	s.start()
	_ = s.control.SetWriteDeadline(time.Now().Add(chunkTimeout))
	h := s.w.Header()
	h.Set(TrailerComplete, fmt.Sprint(err == nil))
	if err != nil && !errors.Is(err, ErrRunning) {
		h.Set(TrailerError, headerText(err.Error()))
	}
}

// httpError is an error with the status that says it best.
type httpError struct {
	status int
	err    error
}

func failure(status int, format string, args ...any) *httpError {
	return &httpError{status, fmt.Errorf(format, args...)}
}

func (e *httpError) Error() string { return e.err.Error() }
func (e *httpError) Unwrap() error { return e.err }

// refuse answers with an error and nothing else.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	if he, ok := errors.AsType[*httpError](err); ok {
		status = he.status
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	switch status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	}
	w.WriteHeader(status)
	// A write that fails has nobody left to tell.
	_ = json.NewEncoder(w).Encode(map[string]string{"error": clip(err.Error())})
}

// headerText makes a text fit for a header: one line of printable ASCII, since what
// lies between us and the reader may refuse anything else.
func headerText(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ':
			return ' '
		case r > '~':
			return '?'
		}
		return r
	}, s)
	return clip(strings.TrimSpace(s))
}

func clip(s string) string {
	if len(s) > maxMessage {
		return strings.ToValidUTF8(s[:maxMessage], "") + "..."
	}
	return s
}
