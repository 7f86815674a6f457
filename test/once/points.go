package once

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// point is a write of the clean run: the nth of its name, from 0.
type point struct {
	name string
	nth  int
	// must: it is between "admitted" and "build recorded", where a run that is like the
	// clean one cannot do without it.
	must bool
}

func (p point) String() string {
	if p.nth > 0 {
		return fmt.Sprintf("%s (%d)", p.name, p.nth+1)
	}
	return p.name
}

// points numbers writes.
func points(writes []write) []point {
	var all []point
	count := map[string]int{}
	recorded := false
	for _, w := range writes {
		all = append(all, point{w.name, count[w.name], !recorded})
		count[w.name]++
		recorded = recorded || w.recorded
	}
	return all
}

const cleanProject = "w000"

// clean lets one execution run, end and be deleted without a fault, and notes its writes.
func (c *campaign) clean() (run, deletion []point) {
	ctx := c.t.Context()
	if err := c.project(ctx, cleanProject, 1, time.Millisecond); err != nil {
		c.t.Fatal(err)
	}
	var writes []write
	c.fleet.gates.mu.Lock()
	c.fleet.gates.record = func(w write) {
		// What sums a project up comes when it comes, and is about no run.
		if w.isAbout(cleanProject) && !w.lease && !strings.Contains(w.name, " pipelinesettings/") {
			writes = append(writes, w)
		}
	}
	c.fleet.gates.mu.Unlock()
	take := func() []point {
		c.fleet.gates.mu.Lock()
		defer c.fleet.gates.mu.Unlock()
		all := points(writes)
		writes = nil
		return all
	}
	if err := c.start(ctx, cleanProject, good, "run"); err != nil {
		c.t.Fatal(err)
	}
	c.await("the clean run has ended", func() error {
		if s := c.watcher.find(cleanProject, "run"); s == nil || !s.finished() {
			return errors.New("it has not")
		}
		return nil
	})
	run = take()
	if err := c.w.Clients.Executions(cleanProject).Delete(ctx, "run", metav1.DeleteOptions{}); err != nil {
		c.t.Fatal(err)
	}
	c.await("the clean run is gone", func() error {
		if !c.watcher.find(cleanProject, "run").gone {
			return errors.New("it is not")
		}
		return nil
	})
	deletion = take()
	c.fleet.gates.mu.Lock()
	c.fleet.gates.record = nil
	c.fleet.gates.mu.Unlock()
	return run, deletion
}

func (c *campaign) await(what string, done func() error) {
	c.t.Helper()
	if err := c.watcher.wait(2*time.Minute, nil, done); err != nil {
		c.t.Fatalf("wait until %s: %v", what, err)
	}
}

// poll waits for what no execution shows.
func (c *campaign) poll(what string, done func() error) {
	c.t.Helper()
	var last error
	if err := wait.PollUntilContextTimeout(c.t.Context(), 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		last = done()
		return last == nil, nil
	}); err != nil {
		c.t.Errorf("wait until %s: %v", what, last)
	}
}

// atEachWrite has an execution of its own for each write of a run and each moment, in
// which the process that does the write dies.
func (c *campaign) atEachWrite() {
	run, deletion := c.clean()
	c.deletion = deletion
	must := 0
	for _, p := range run {
		if p.must {
			must++
		}
		c.t.Logf("write of a clean run: %s (must: %t)", p, p.must)
	}
	if must < 8 || must == len(run) {
		c.t.Fatalf("the clean run has %d writes until its build is recorded, of %d: this cannot be", must, len(run))
	}
	if c.size.shuffled {
		c.random(4).Shuffle(len(run), func(i, j int) { run[i], run[j] = run[j], run[i] })
	}
	c.hold("late", false) // it takes 20 s until it is triggered again
	deadline := time.Now().Add(c.size.pointsFor)
	n, missed, left := 0, 0, 0
	for _, must := range []bool{true, false} {
		for _, p := range run {
			if p.must != must {
				continue
			}
			for _, m := range c.size.moments {
				if time.Now().After(deadline) {
					left++
					continue
				}
				hit := false
				for try := 0; !hit && try < 3; try++ {
					n++
					hit = c.dieAt(fmt.Sprintf("w%03d", n), p, m)
				}
				if !hit {
					missed++
					if must {
						c.t.Errorf("nobody died at %s, %s: the write did not come", p, m)
					}
					c.t.Logf("not met: %s, %s", p, m)
				}
			}
		}
	}
	c.t.Logf("writes of a run: %d, of which until the build is recorded: %d; executions: %d; writes that did not come again: %d; not tried for lack of time: %d",
		len(run), must, n, missed, left)
}

// dieAt starts an execution in a project of its own and has the process die that does
// one of its writes. False when the execution ended without it.
func (c *campaign) dieAt(project string, p point, m moment) bool {
	ctx := c.t.Context()
	if err := c.project(ctx, project, 1, time.Millisecond); err != nil {
		c.t.Fatal(err)
	}
	o := newOrder(project, p, m)
	c.fleet.gates.give(o)
	if err := c.start(ctx, project, good, "run"); err != nil {
		c.t.Fatal(err)
	}
	return c.obeyed(o, func() bool { return c.over(project) })
}

// over tells whether the run of a project of its own has ended.
func (c *campaign) over(project string) bool {
	s := c.watcher.find(project, "run")
	return s != nil && s.finished()
}

// obeyed waits until somebody has died at an order, or until it is over.
func (c *campaign) obeyed(o *order, over func() bool) bool {
	dead := func() bool {
		select {
		case <-o.done:
			return true
		default:
			return false
		}
	}
	if err := c.watcher.wait(2*time.Minute, o.done, func() error {
		if dead() || over() {
			return nil
		}
		return fmt.Errorf("nobody died at %s of %s", o.name, o.project)
	}); err != nil {
		c.t.Error(err)
	}
	if c.fleet.gates.withdraw(o) {
		return false
	}
	<-o.done // it is being carried out
	c.note(string(o.moment))
	return true
}
