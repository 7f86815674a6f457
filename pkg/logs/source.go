package logs

import (
	"context"
	"errors"
	"io"
)

// Source is where logs come from.
type Source interface {
	// ReadLog writes the text of a build's log from a position on to w: all there is now,
	// in pieces that need not end at lines or characters. It holds no more than a piece
	// in memory.
	//
	// job is the full name as in the execution's status.engine.job, build its number. An
	// error that no waiting will mend is wrapped by [Permanent]; any other is taken for
	// temporary. An error of w ends the read and is returned.
	ReadLog(ctx context.Context, job string, build int64, from Position, w io.Writer) (Read, error)
}

// Position is where a reader of a log stands; the zero value is the beginning. Only
// the source understands it.
type Position struct {
	// Offset counts bytes of the log as the source stores it.
	Offset int64
	// Skip counts bytes of text behind Offset that were delivered already.
	Skip int64
	// Sessions are those of the source that the position is known to hold in.
	Sessions string
}

// Read is the outcome of one read.
type Read struct {
	// Next is where to go on: also after an error, when it accounts for what was written.
	Next Position
	// More is true as long as the log may grow.
	More bool
	// Full is true when there may be more right now: the source had more than it gives at
	// once.
	Full bool
	// Reset is true when the position does not hold, or may not: the log is shorter, as
	// after a crash before it was on disk, or its source was started again since. Nothing
	// was written, and Next is the log's beginning.
	Reset bool
}

// Permanent marks an error that ends a stream at once: there is no such log, or no
// right to read it.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

func isPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}
