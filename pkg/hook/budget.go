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
