package harness

import (
	"os/exec"
	"runtime"
)

// starter starts programs from one thread that lives as long as they may. Linux sends
// the signal of a parent's death (see childAttributes) when the thread that started a
// program ends, and threads of this process do end: those that a goroutine locked, to
// enter a namespace for example.
type starter struct{ requests chan func() }

func newStarter() *starter {
	s := &starter{requests: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for start := range s.requests {
			start()
		}
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) error {
	done := make(chan error)
	s.requests <- func() { done <- cmd.Start() }
	return <-done
}

// Close ends the thread, and every program that it started and that still runs.
func (s *starter) Close() error {
	close(s.requests)
	return nil
}
