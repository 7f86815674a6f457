package scm

import (
	"context"
	"errors"
	"sync"
	"time"
)

// slots bounds the calls that run at once: of one host, so that one that hangs delays
// nobody but those who read from it, and of all together.
type slots struct {
	perHost  int
	patience time.Duration // how long a call waits for others of its host
	all      chan struct{}

	mu    sync.Mutex
	hosts map[string]*hostSlots
}

type hostSlots struct {
	taken chan struct{}
	users int // that have a slot or wait for one
}

var errHostBusy = errors.New("other reads of this host have not ended yet")

func newSlots(perHost, all int, patience time.Duration) *slots {
	return &slots{perHost: perHost, patience: patience, all: make(chan struct{}, all), hosts: map[string]*hostSlots{}}
}

// take waits for a slot. Whoever waits for a host that hangs holds up a worker that others
// need, so it is not waited for long.
func (s *slots) take(ctx context.Context, host string) (release func(), err error) {
	s.mu.Lock()
	h := s.hosts[host]
	if h == nil {
		h = &hostSlots{taken: make(chan struct{}, s.perHost)}
		s.hosts[host] = h
	}
	h.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(s.hosts, host)
		}
	}
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case h.taken <- struct{}{}:
	case <-timer.C:
		leave()
		return nil, errHostBusy
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
	select {
	case s.all <- struct{}{}:
	case <-ctx.Done():
		<-h.taken
		leave()
		return nil, ctx.Err()
	}
	return func() {
		<-s.all
		<-h.taken
		leave()
	}, nil
}
