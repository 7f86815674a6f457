package jenkinstest

import (
	"encoding/json"
	"slices"
	"time"
)

// RestartOptions say how Jenkins goes away and comes back. In JSON, durations are text: "1.5s".
type RestartOptions struct {
	Crash      bool          // not a clean end: queue items younger than a minute are lost and their ids are given again
	LoseBuilds bool          // running builds are gone from disk, too
	Restarting time.Duration // 503 "is restarting", first
	Down       time.Duration // no answer at all
	Starting   time.Duration // 503 "is getting ready to work"
	Resume     time.Duration // how long after that builds go on; a stop in this time is a kill
}

// UnmarshalJSON reads durations as text. A field that it does not know is an error.
func (o *RestartOptions) UnmarshalJSON(text []byte) error {
	var wire struct {
		Crash, LoseBuilds                  bool
		Restarting, Down, Starting, Resume textDuration
	}
	if err := strictJSON(text, &wire); err != nil {
		return err
	}
	*o = RestartOptions{
		wire.Crash, wire.LoseBuilds, time.Duration(wire.Restarting), time.Duration(wire.Down), time.Duration(wire.Starting), time.Duration(wire.Resume),
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (o RestartOptions) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"Crash": o.Crash, "LoseBuilds": o.LoseBuilds, "Restarting": textDuration(o.Restarting), "Down": textDuration(o.Down),
		"Starting": textDuration(o.Starting), "Resume": textDuration(o.Resume),
	})
}

// Restart ends Jenkins and starts it again: a new session, no crumbs, no memory of items that left the queue. Builds go on where they
// were, between two steps; a process of a running step never noticed. It returns the builds that LoseBuilds took.
func (s *Server) Restart(o RestartOptions) (lost []BuildInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newSession()
	s.quiet = false
	s.left = map[int64]*queueItem{}
	now := s.clock.Now()
	if o.Crash {
		s.queue = slices.DeleteFunc(s.queue, func(it *queueItem) bool { return it.node == nil && now.Sub(it.since) < queueSaveLag })
		s.lastQueueID = 0
		for _, it := range s.queue {
			s.lastQueueID = max(s.lastQueueID, it.id)
		}
	}
	s.root.walk(func(it *item) {
		kept := it.builds[:0:0]
		for _, b := range it.builds {
			switch {
			case !b.building():
			case o.LoseBuilds:
				lost = append(lost, b.info())
				b.lose()
				continue
			default:
				b.survive(o.Crash, now)
			}
			kept = append(kept, b)
		}
		it.builds = kept
	})
	s.enter(phaseRestarting, o.Restarting, func() {
		s.enter(phaseDown, o.Down, func() {
			s.enter(phaseStarting, o.Starting, func() {
				s.enter(phaseUp, o.Resume, s.resumeAll)
			})
		})
	})
	return lost
}

// enter is in a phase for a while, then goes on. It is called with the lock held, and so is then.
func (s *Server) enter(p phase, d time.Duration, then func()) {
	s.phase = p
	if d <= 0 {
		then()
		return
	}
	s.after(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		then()
	})
}

func (s *Server) resumeAll() {
	s.root.walk(func(it *item) {
		for _, b := range it.builds {
			b.mu.Lock()
			if b.resuming && !b.over {
				b.log = append(b.log, "Resuming build at "+s.clock.Now().UTC().Format(time.UnixDate)+" after Jenkins restart\n"...)
			}
			b.resuming = false
			b.mu.Unlock()
		}
	})
	s.wakeLocked()
	s.maintain()
}

// maxResumptionAge is how old a Pipeline may be that goes on after a restart.
const maxResumptionAge = 30 * 24 * time.Hour

// survive decides whether a build goes on after a restart: not when its Pipeline said so, was too careless with its state for the way
// Jenkins ended, or is too old. The texts for that are ours.
func (b *build) survive(crash bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	result, why := "", ""
	switch {
	case b.noResume:
		result, why = "ABORTED", "Resume disabled by user, aborting"
	case crash && b.hint == "PERFORMANCE_OPTIMIZED":
		result, why = "FAILURE", "hudson.AbortException: Cannot resume build because the durability setting PERFORMANCE_OPTIMIZED does not survive an unclean shutdown"
	case now.Sub(b.start) > maxResumptionAge:
		result, why = "ABORTED", "Killing run which has been running for more than 30 days"
	default:
		b.resuming = true
		return
	}
	b.log = append(b.log, why+"\n"...)
	b.conclude(result, "Finished: ")
	b.cancel(errKilled)
}

// lose forgets a build as if its directory had vanished.
func (b *build) lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.killed, b.over = true, true
	close(b.done)
	b.cancel(errKilled)
}

// SetDown makes the double drop every connection, until it is called with false.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phaseUp
	if down {
		s.phase = phaseDown
	}
	s.wakeLocked()
	s.maintain()
}

// SetBroken makes Jenkins one that could not start: 503 to everything, until it is called with false.
func (s *Server) SetBroken(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phaseUp
	if broken {
		s.phase = phaseFailed
	}
	s.wakeLocked()
	s.maintain()
}

// SetQuiet is quietDown and cancelQuietDown.
func (s *Server) SetQuiet(quiet bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = quiet
	s.wakeLocked()
	s.maintain()
}
