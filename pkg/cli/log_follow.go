package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// logStream prints a run's log while a tracker follows the run.
type logStream struct {
	a      *app
	log    *runLog
	ready  chan struct{} // closed when there is a build, or will never be one
	once   sync.Once
	build  bool
	done   chan struct{}
	cancel context.CancelFunc
	err    error // valid after done
}

func (a *app) startLogs(ctx context.Context, p *project, run *v1alpha1.PipelineExecution, flags logFlags) *logStream {
	ctx, cancel := context.WithCancel(ctx)
	s := &logStream{a: a, ready: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
	s.log, s.err = a.newLog(p, run, flags)
	go s.run(ctx)
	return s
}

func (s *logStream) run(ctx context.Context) {
	defer close(s.done)
	if s.err == nil {
		select {
		case <-ctx.Done():
			return
		case <-s.ready:
		}
		if !s.build {
			return
		}
		s.err = s.log.copy(ctx, s.a.Out, true)
	}
	if s.err != nil && ctx.Err() == nil && !readerGone(s.err) {
		message, hint := explain(s.err)
		fmt.Fprintln(s.a.ErrOut, message)
		if hint != "" {
			fmt.Fprintln(s.a.ErrOut, "hint: "+hint)
		}
	}
}

// state is told of every state of the run: a stream that is opened before there is a
// build would only be cut by whatever is between for its silence.
func (s *logStream) state(pe *v1alpha1.PipelineExecution) {
	build := pe.Status.Engine != nil && pe.Status.Engine.Build > 0
	if build || terminal(pe) {
		s.once.Do(func() {
			s.build = build
			close(s.ready)
		})
	}
}

// finish waits for the rest of the log of a run that is over, as long as it moves.
func (s *logStream) finish(ctx context.Context) {
	defer s.cancel()
	select {
	case <-s.ready:
	default:
		s.cancel() // waiting ended before the run began
	}
	if s.log == nil {
		<-s.done
		return
	}
	t := time.NewTicker(drainIdle)
	defer t.Stop()
	for before := s.log.written.Load(); ; {
		select {
		case <-s.done:
			return
		case <-ctx.Done():
			<-s.done
			return
		case <-t.C:
			now := s.log.written.Load()
			if now == before {
				s.cancel()
				<-s.done
				s.err = errors.New("the rest of the log did not arrive")
				fmt.Fprintln(s.a.ErrOut, s.err)
				return
			}
			before = now
		}
	}
}
