package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrRunning is what [Follow] with Once returns when it delivered all there is of a
// log that may still grow.
var ErrRunning = errors.New("the build is still running")

// FollowOptions says how to follow. The zero value waits for the end on the real clock.
type FollowOptions struct {
	// Once ends with what there is now: nil when that is the whole log, else ErrRunning.
	Once bool
	// Sleep waits for d, or until ctx is done and returns its error. Default: the clock's.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Follow writes the log of a build to w until the build has ended and all of its log
// was written; then, and only then, it returns nil. Every byte is written once, in
// order; what is written at once is no line and perhaps no whole character.
//
//	        ┌──── news, silence, temporary error: wait 1 to 5 s ────┐
//	        ▼                                                       │
//	─────▶ read ──────────── more to come ──────────────────────────┤
//	        ├─ more than was sent at once ─▶ read on without waiting
//	        ├─ log may have been cut ─▶ read from the beginning, skip what was written ─┘
//	        ├─ no more to come ─▶ nil
//	        ├─ permanent error, or maxFailures temporary ones in a row ─▶ that error
//	        └─ w fails, or ctx is done ─▶ that error
//
// It holds at most historySize bytes of the log. An error of w is returned as it is.
func Follow(ctx context.Context, src Source, job string, build int64, opts FollowOptions, w io.Writer) error {
	if opts.Sleep == nil {
		opts.Sleep = sleep
	}
	out := newReplay(w)
	var (
		from     Position
		failures int
		delay    time.Duration
	)
	for {
		before := out.seen
		read, err := src.ReadLog(ctx, job, build, from, out)
		switch {
		case out.err != nil:
			return out.err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && isPermanent(err):
			return fmt.Errorf("read log of %s #%d: %w", job, build, err)
		}
		news := out.seen > before
		if news {
			failures = 0
		}
		from = read.Next
		switch {
		case err != nil:
			failures++
		case read.Reset:
			// A log that is shorter than nothing would be read for ever.
			failures++
			out.restart()
			err = errCut
		case !read.More:
			return out.end()
		case read.Full && news:
			continue
		case opts.Once:
			return ErrRunning
		default:
			failures = 0
		}
		if failures > maxFailures {
			return fmt.Errorf("read log of %s #%d: gave up after %d attempts: %w", job, build, failures, err)
		}
		delay = nextDelay(delay, news)
		if err := opts.Sleep(ctx, delay); err != nil {
			return err
		}
	}
}

var errCut = errors.New("the log became shorter than what was read of it")

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
