package jenkinstest

import (
	"fmt"
	"slices"
	"time"
)

// queueItem is a request for a build, or a `node` step that waits for its agent (then job is nil). Guarded by Server.mu.
//
//	Waiting ──quiet period over──▶ Blocked (a build runs) ──▶ Left, no executable ──LeftTick──▶ Left with its build
//	   └───────────── cancel ────────────┴──────────────────▶ Left, cancelled
type queueItem struct {
	id         int64
	job        *item
	params     []param
	user       string
	since      time.Time
	quietUntil time.Time
	state      itemState
	cancelled  bool
	leftAt     time.Time
	build      *build // executable

	node *nodeWait // of a `node` step
}

type itemState string

const (
	itemWaiting   itemState = "WaitingItem"
	itemBlocked   itemState = "BlockedItem"
	itemBuildable itemState = "BuildableItem"
	itemLeft      itemState = "LeftItem"
)

// nodeWait is the placeholder of a `node` step in the queue.
type nodeWait struct {
	build  *build
	stage  *stageNode // around the step, or nil
	label  string
	why    string
	cancel func() // Jenkins cancels the item: the step ends as aborted
}

// enqueue adds a request for a build, or merges it with one that waits with the same parameters.
func (s *Server) enqueue(job *item, params []param, delay time.Duration, user string) (it *queueItem, coalesced bool) {
	for _, it := range s.queue {
		if it.job == job && slices.Equal(it.params, params) {
			return it, true
		}
	}
	now := s.clock.Now()
	it = &queueItem{id: s.newQueueID(), job: job, params: params, user: user, since: now, quietUntil: now.Add(delay), state: itemWaiting}
	s.queue = append(s.queue, it)
	if delay > 0 {
		s.after(delay, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.maintain()
		})
	}
	s.maintain()
	return it, false
}

func (s *Server) newQueueID() int64 {
	s.lastQueueID++
	return s.lastQueueID
}

// maintain lets every item that can leave the queue leave it.
func (s *Server) maintain() {
	if s.quiet || s.phase != phaseUp || s.ctx.Err() != nil {
		return
	}
	now := s.clock.Now()
	for _, it := range slices.Clone(s.queue) {
		switch {
		case it.job == nil || it.state == itemLeft:
		case now.Before(it.quietUntil):
		case it.job.def.exclusive && it.job.busy():
			it.state = itemBlocked
			if it.job.def.abortPrevious {
				for _, b := range it.job.builds {
					b.supersede(it.job.next)
				}
			}
		default:
			s.leave(it)
		}
	}
}

func (it *item) busy() bool {
	if it.leaving > 0 {
		return true
	}
	for _, b := range slices.Backward(it.builds) {
		if b.building() {
			return true
		}
	}
	return false
}

func (s *Server) leave(it *queueItem) {
	s.dropItem(it)
	s.left[it.id] = it
	job := it.job
	job.leaving++
	begin := func() {
		job.leaving--
		if !it.cancelled && !job.gone {
			it.build = s.newBuild(job, it)
		}
	}
	if s.opts.LeftTick <= 0 {
		begin()
		return
	}
	s.after(s.opts.LeftTick, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		begin()
		s.maintain()
	})
}

// dropItem takes an item out of the queue and starts the time after which it is forgotten.
func (s *Server) dropItem(it *queueItem) {
	s.queue = slices.DeleteFunc(s.queue, func(other *queueItem) bool { return other == it })
	it.state, it.leftAt = itemLeft, s.clock.Now()
}

func (s *Server) cancelItem(it *queueItem) {
	s.dropItem(it)
	it.cancelled = true
	s.left[it.id] = it
	if it.node != nil && it.node.cancel != nil {
		it.node.cancel()
	}
}

// findItem looks an id up, in the queue and among those that left it less than five minutes ago.
func (s *Server) findItem(id int64) *queueItem {
	for _, it := range s.queue {
		if it.id == id {
			return it
		}
	}
	s.forgetLeft()
	return s.left[id]
}

func (s *Server) forgetLeft() {
	now := s.clock.Now()
	for id, it := range s.left {
		if now.Sub(it.leftAt) > leftItemTTL {
			delete(s.left, id)
		}
	}
}

// waitNode puts a `node` step into the queue. done takes it out again when the agent is there, or will never be.
func (s *Server) waitNode(b *build, stage *stageNode, label string, cancel func()) (it *queueItem, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := "There are no nodes with the label ‘" + label + "’"
	it = &queueItem{id: s.newQueueID(), since: s.clock.Now(), state: itemBuildable, node: &nodeWait{b, stage, label, why, cancel}}
	s.queue = append(s.queue, it)
	return it, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if it.state != itemLeft {
			s.dropItem(it)
			s.left[it.id] = it
		}
	}
}

func (s *Server) setWhy(it *queueItem, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it.node.why = why
}

func (s *Server) why(it *queueItem) any {
	now := s.clock.Now()
	switch {
	case it.state == itemLeft:
		return nil
	case it.node != nil:
		return it.node.why
	case s.quiet:
		return "Jenkins is about to shut down"
	case now.Before(it.quietUntil):
		return fmt.Sprintf("In the quiet period. Expires in %.1f sec", it.quietUntil.Sub(now).Seconds())
	case it.state == itemBlocked:
		for _, b := range slices.Backward(it.job.builds) {
			if b.building() {
				return fmt.Sprintf("Build #%d is already in progress (ETA: N/A)", b.number)
			}
		}
	}
	return "Finished waiting"
}
