package harness

import (
	"fmt"
	"slices"
	"syscall"
)

// Kill ends the replica as a crash would: it gets no chance to tidy up.
func (h *Hookd) Kill() error { return h.end(syscall.SIGKILL) }

// Done is closed when the replica has ended, for whatever reason.
func (h *Hookd) Done() <-chan struct{} { return h.done }

// Pid is the process id of the replica.
func (h *Hookd) Pid() int { return h.cmd.Process.Pid }

// Respawn starts a replica that has ended once more, at the same addresses and going on
// with the same log, as a kubelet restarts a container. It needs no API server, and does
// not wait until the new replica, which takes the old one's place in w.Hookd, is ready.
func (w *World) Respawn(h *Hookd) (*Hookd, error) {
	i := slices.Index(w.Hookd, h)
	if i < 0 {
		return nil, fmt.Errorf("respawn hookd at %s: it is none of the replicas", h.URL)
	}
	next := &Hookd{URL: h.URL, Metrics: h.Metrics, LogFile: h.LogFile, args: h.args, env: h.env, done: make(chan struct{})}
	if err := w.launch(next); err != nil {
		return nil, err
	}
	w.Hookd[i] = next
	return next, nil
}
