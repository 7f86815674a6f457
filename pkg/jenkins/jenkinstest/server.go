package jenkinstest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Server is the double. It is an http.Handler; serve it with httptest.NewServer or any http.Server.
type Server struct {
	opts   Options
	clock  clock.Clock
	agents Agents
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu          sync.Mutex
	root        *item
	session     string
	salt        string
	sessions    map[string]session // by cookie value
	accounts    map[string]Account // none: no security
	phase       phase
	quiet       bool
	queue       []*queueItem
	left        map[int64]*queueItem
	lastQueueID int64
	changed     chan struct{} // closed and replaced when a held build may go on
	faults      []*Fault
	requests    []string
	denials     []Denial
	failures    []string // of /health/
}

// phase is what of Jenkins is there.
type phase int

const (
	phaseUp         phase = iota
	phaseRestarting       // answers 503
	phaseStarting         // answers 503
	phaseFailed           // answers 503: it could not start
	phaseDown             // answers nothing
)

const maxRequests = 100_000 // remembered for Requests

// New starts a double. Close it.
func New(opts Options) *Server {
	opts.setDefaults()
	s := &Server{
		opts: opts, clock: opts.Clock, agents: opts.Agents, salt: randomHex(32),
		root: &item{def: definition{kind: "hudson.model.Hudson"}, children: map[string]*item{}}, left: map[int64]*queueItem{},
		accounts: map[string]Account{},
	}
	for _, a := range append([]Account{{opts.User, opts.Token, opts.Password}}, opts.Accounts...) {
		if a.Name != "" {
			s.accounts[a.Name] = a
		}
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.changed = make(chan struct{})
	s.newSession()
	return s
}

// Close ends all builds, removes all agents and waits until nothing of the double runs any more.
func (s *Server) Close() {
	s.mu.Lock() // whoever starts something holds it and looks at ctx first
	s.cancel(errClosed)
	s.mu.Unlock()
	s.wg.Wait()
	_ = s.agents.Close()
}

func (s *Server) newSession() {
	s.session = randomHex(4)
	s.sessions = map[string]session{}
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // does not fail
	return hex.EncodeToString(b)
}

// after calls f when d has passed on the double's clock, unless the double is closed before. It is called with the lock held.
func (s *Server) after(d time.Duration, f func()) {
	if s.ctx.Err() != nil {
		return
	}
	t := s.clock.NewTimer(d)
	s.wg.Go(func() {
		defer t.Stop()
		select {
		case <-t.C():
			f()
		case <-s.ctx.Done():
		}
	})
}

// wake lets held builds look again.
func (s *Server) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeLocked()
}

func (s *Server) wakeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// holds says why a build may not run its next step, "" when it may, and gives a channel that closes when that may have changed.
func (s *Server) holds(b *build) (<-chan struct{}, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case s.quiet, s.phase != phaseUp, b.resuming:
		return s.changed, "Preparing for shutdown"
	case b.paused:
		return s.changed, "paused"
	}
	return s.changed, ""
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if len(s.requests) < maxRequests {
		s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	}
	fault := s.takeFault(r)
	s.mu.Unlock()
	if fault != nil {
		fault.serve(s, w, r)
		return
	}
	s.serve(w, r)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	phase := s.phase
	s.mu.Unlock()
	switch phase {
	case phaseDown:
		panic(http.ErrAbortHandler)
	case phaseStarting:
		page(w, http.StatusServiceUnavailable, "Starting Jenkins", "Please wait while Jenkins is getting ready to work ...")
		return
	case phaseRestarting:
		page(w, http.StatusServiceUnavailable, "Restarting Jenkins", "Please wait while Jenkins is restarting ...")
		return
	case phaseFailed:
		page(w, http.StatusServiceUnavailable, "Error", "Jenkins failed to start: java.lang.Error")
		return
	}
	segs, ok := s.segments(r)
	if !ok {
		page(w, http.StatusNotFound, "Error 404 Not Found", "HTTP ERROR 404 Not Found")
		return
	}
	s.identify(w)
	user, ok := s.authenticate(w, r, segs)
	if !ok {
		return
	}
	s.route(w, r, segs, user)
}

// identify sets the headers by which an answer is known to be Jenkins'.
func (s *Server) identify(w http.ResponseWriter) {
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	h := w.Header()
	h.Set("X-Jenkins", s.opts.Version)
	h.Set("X-Jenkins-Session", session)
	h.Set("X-Hudson", "1.395")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "deny")
}
