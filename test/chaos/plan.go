package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// plan is what happens when. It follows from its arguments alone, so that a failure can
// be played again; what it meets is another matter.
type plan struct {
	seed   uint64
	length time.Duration
	runs   []run
	faults []strike
}

// run is one execution to be.
type run struct {
	at      time.Duration // after the beginning
	name    string
	project string
	kind    kind
	last    bool // of its pipeline, as they came to be: nothing can supersede it
}

// strike is a fault to be.
type strike struct {
	at    time.Duration
	fault fault
	pick  uint64        // chooses the victim among those there are
	hold  time.Duration // how long it lasts
}

// project is a namespace of the test.
type project struct {
	name  string
	quota int32
	stuck bool // its agents have little time to start
}

func projects() []project {
	return []project{{name: "chaos-a", quota: 3}, {name: "chaos-b", quota: 2}, {name: "chaos-c", quota: 2}, {name: "chaos-stuck", quota: 1, stuck: true}}
}

const (
	// quietEnd is the part of the time at the end in which nothing breaks that was not
	// broken before: runs must be able to end within it.
	quietEnd = 0.08
	// spareHookd is the part at the end in which hookd is not killed, so that what it
	// leaks can be seen to grow.
	spareHookd = 0.25
)

// newPlan spreads count runs of all kinds, and faults, over the length. In short ones
// what takes long is left out; every kind of run, and of fault that must, occurs at least once.
func newPlan(seed uint64, count int, length time.Duration, short bool) plan {
	r := rand.New(rand.NewPCG(seed, 0))
	p := plan{seed: seed, length: length}
	p.planRuns(r, count, short)
	p.planFaults(r, short)
	return p
}

func (p *plan) planRuns(r *rand.Rand, count int, short bool) {
	all := slices.DeleteFunc(kinds(), func(k kind) bool { return short && k.long })
	chosen := slices.Clone(all)
	for len(chosen) < count {
		chosen = append(chosen, weighted(r, all, func(k kind) int { return k.weight }))
	}
	r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	active := time.Duration(float64(p.length) * (1 - quietEnd))
	perProject := map[string]int{}
	for i, k := range chosen[:max(count, len(all))] {
		var where []project
		for _, pr := range projects() {
			if pr.stuck == k.stuck {
				where = append(where, pr)
			}
		}
		pr := where[r.IntN(len(where))]
		perProject[k.name]++
		p.runs = append(p.runs, run{
			at:   active*time.Duration(i)/time.Duration(len(chosen)) + time.Duration(r.Int64N(int64(time.Second))),
			name: fmt.Sprintf("%s-%d", k.name, perProject[k.name]), project: pr.name, kind: k,
		})
	}
	slices.SortStableFunc(p.runs, func(a, b run) int { return cmp.Compare(a.at, b.at) })
}

func (p *plan) planFaults(r *rand.Rand, short bool) {
	all := faults()
	active := float64(p.length) * (1 - quietEnd)
	add := func(f fault, end float64) {
		if f.hookd {
			end = min(end, float64(p.length)*(1-spareHookd))
		}
		if f.late && short {
			end = float64(p.length) / 3
		}
		hold := f.min
		if f.max > f.min {
			hold += time.Duration(r.Int64N(int64(f.max - f.min)))
		}
		p.faults = append(p.faults, strike{at: time.Duration(r.Float64() * end), fault: f, pick: r.Uint64(), hold: hold})
	}
	for _, f := range all {
		if f.must || !short {
			add(f, active)
		}
	}
	// About what can be borne while runs still get on: with more, all of the time would be
	// spent in waiting for everything to be back.
	for n := int(p.length / faultEvery); len(p.faults) < n; {
		add(weighted(r, all, func(f fault) int { return f.weight }), active)
	}
	slices.SortStableFunc(p.faults, func(a, b strike) int { return cmp.Compare(a.at, b.at) })
}

const faultEvery = 2 * time.Second

func weighted[T any](r *rand.Rand, all []T, weight func(T) int) T {
	total := 0
	for _, t := range all {
		total += weight(t)
	}
	n := r.IntN(total)
	for _, t := range all {
		if n -= weight(t); n < 0 {
			return t
		}
	}
	return all[len(all)-1]
}

func (p *plan) String() string {
	count := map[string]int{}
	for _, r := range p.runs {
		count[r.kind.name]++
	}
	broken := map[string]int{}
	for _, s := range p.faults {
		broken[s.fault.name]++
	}
	return fmt.Sprintf("%d runs (%s) and %d faults (%s) in %s", len(p.runs), counts(count), len(p.faults), counts(broken), p.length)
}

func counts(m map[string]int) string {
	var words []string
	for name, n := range m {
		words = append(words, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
