package hook

import "sync/atomic"

// budget bounds the bytes that all requests hold together. Who gets none is told to
// come back: waiting would hold memory too.
type budget struct {
	limit int64
	held  atomic.Int64
}

func newBudget(limit int64) *budget { return &budget{limit: limit} }

func (b *budget) acquire(n int64) bool {
	if b.held.Add(n) > b.limit {
		b.held.Add(-n)
		return false
	}
	return true
}

func (b *budget) release(n int64) { b.held.Add(-n) }
func (b *budget) used() int64     { return b.held.Load() }

// lease is what one request holds of a budget.
type lease struct {
	of *budget
	n  int64
}

// grow takes n more: for a moment a buffer and its successor are both held.
func (l *lease) grow(n int64) bool {
	if !l.of.acquire(n) {
		return false
	}
	l.n += n
	return true
}

// shrink gives back all but n.
func (l *lease) shrink(n int64) { l.of.release(l.n - n); l.n = n }

func (l *lease) end() { l.shrink(0) }
