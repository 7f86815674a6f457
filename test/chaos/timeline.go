package chaos

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// effect is how a fault may rightly change the end of a run.
type effect string

const (
	agentGone   effect = "its agent was taken away"
	buildGone   effect = "Jenkins lost its build"
	itemMayFall effect = "Jenkins crashed and may have lost its queue item"
)

// timeline records what was broken, when, and whose end that may change.
type timeline struct {
	begin time.Time

	mu      sync.Mutex
	entries []entry
	hits    map[types.UID][]effect
	crashes []time.Time
}

type entry struct {
	at   time.Time
	text string
}

func newTimeline(now time.Time) *timeline {
	return &timeline{begin: now, hits: map[types.UID][]effect{}}
}

func (l *timeline) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, entry{time.Now(), fmt.Sprintf(format, args...)})
}

// hit records that a fault met a run, before it does: a run may end of it at once.
func (l *timeline) hit(uid types.UID, e effect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.hits[uid], e) {
		l.hits[uid] = append(l.hits[uid], e)
	}
}

func (l *timeline) crash() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crashes = append(l.crashes, time.Now())
}

// effects are the faults that met a run which lived from one time to the other.
func (l *timeline) effects(uid types.UID, from, to time.Time) []effect {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.hits[uid])
	for _, at := range l.crashes {
		if !at.Before(from) && !at.After(to) {
			all = append(all, itemMayFall)
		}
	}
	return all
}

// around prints what was broken between two times, times relative to the beginning.
func (l *timeline) around(from, to time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, e := range l.entries {
		if e.at.After(from) && e.at.Before(to) {
			fmt.Fprintf(&b, "  %s %s\n", l.clock(e.at), e.text)
		}
	}
	return b.String()
}

// clock is a time as people can compare it with logs and with other times.
func (l *timeline) clock(t time.Time) string {
	return fmt.Sprintf("%s (+%.1fs)", t.UTC().Format("15:04:05.000"), t.Sub(l.begin).Seconds())
}
