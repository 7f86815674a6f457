package once

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// podProject is the project whose agents are pods.
const podProject = "pods"

// atRandom kills hookd while many executions run, answers are lost, and Jenkins
// restarts and crashes.
func (c *campaign) atRandom() {
	quotas := map[string]int32{"few": 3, "some": 8, "many": 20, podProject: 2}
	for name, quota := range quotas {
		if err := c.project(c.t.Context(), name, quota, 200*time.Millisecond); err != nil {
			c.t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(c.t.Context(), c.size.loadFor)
	defer stop()
	var wg sync.WaitGroup
	for i, name := range []string{"few", "some", "many", podProject} {
		most := c.size.executions / 3
		if name == podProject {
			most = c.size.pods
		}
		rng := c.random(10 + uint64(i))
		wg.Go(func() { c.load(ctx, rng, name, int(quotas[name]), most) })
	}
	wg.Go(func() { c.trouble(ctx, c.random(2)) })
	killing, enough := context.WithTimeout(c.t.Context(), c.size.killsFor)
	defer enough()
	c.killing(killing, c.random(3))
	stop()
	wg.Wait()
	c.w.Jenkins.Mend()
	c.w.Jenkins.SetQuiet(false)
	c.w.Jenkins.SetDown(false)
}

// lapse is false when ctx ends before d is over.
func lapse(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// between is a random time.
func between(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}

// load keeps a project busy, and its quota short. One of ten executions is deleted
// before it ends.
func (c *campaign) load(ctx context.Context, rng *rand.Rand, project string, quota, most int) {
	for n := range most {
		open := 0
		if err := c.watcher.wait(5*time.Minute, ctx.Done(), func() error {
			open = 0
			for _, e := range c.watcher.all() {
				if e.Namespace == project && !e.gone && !ended(e.Status.Phase) {
					open++
				}
			}
			if ctx.Err() == nil && open > quota+quota/2 {
				return fmt.Errorf("%d executions of %s are open", open, project)
			}
			return nil
		}); err != nil {
			c.t.Error(err)
		}
		if ctx.Err() != nil {
			return
		}
		what, name := good, fmt.Sprintf("run-%d", n)
		if rng.IntN(6) == 0 {
			what = bad
		}
		if err := c.start(ctx, project, what, name); err != nil && ctx.Err() == nil {
			c.t.Error(err)
		}
		if rng.IntN(10) == 0 {
			life := between(rng, 0, 5*time.Second)
			if !lapse(ctx, life) {
				return
			}
			if err := c.w.Clients.Executions(project).Delete(ctx, name, metav1.DeleteOptions{}); err != nil && ctx.Err() == nil {
				c.t.Error(err)
			}
		}
	}
}

// trouble makes Jenkins and its network behave badly.
func (c *campaign) trouble(ctx context.Context, rng *rand.Rand) {
	j := c.w.Jenkins
	for lapse(ctx, between(rng, 200*time.Millisecond, 3*time.Second)) {
		down := jenkinstest.RestartOptions{
			Down: between(rng, 50*time.Millisecond, time.Second), Starting: between(rng, 0, time.Second), Resume: between(rng, 0, time.Second),
		}
		switch rng.IntN(10) {
		case 0:
			c.note("Jenkins restarted")
			j.Restart(down)
		case 1, 2: // what is in the queue is younger than a minute: it is lost
			j.SetQuiet(true)
			for until := time.Now().Add(2 * time.Second); len(j.Queue()) == 0 && time.Now().Before(until) && lapse(ctx, 20*time.Millisecond); {
				continue
			}
			if n := len(j.Queue()); n > 0 {
				c.note("Jenkins crashed with a queue")
			}
			down.Crash = true
			j.Restart(down)
		case 3, 4, 5:
			c.note("answer to a trigger lost")
			j.Spoil(jenkinstest.Fault{Method: "POST", Path: "/buildWithParameters", DropAfter: true, Skip: rng.IntN(3)})
		case 6:
			j.Spoil(jenkinstest.Fault{Method: "POST", Path: "/buildWithParameters", DropBefore: true})
		case 7:
			j.Spoil(jenkinstest.Fault{Method: "POST", Path: "/createItem", DropAfter: true, Times: 2})
		case 8:
			j.Spoil(jenkinstest.Fault{Method: "POST", Path: "/buildWithParameters", Delay: between(rng, 0, 3*time.Second)})
		default:
			j.Spoil(jenkinstest.Fault{Method: "GET", DropAfter: true, Times: 3})
		}
	}
}

// killing kills until there were enough.
func (c *campaign) killing(ctx context.Context, rng *rand.Rand) {
	for c.killed() < c.size.kills && ctx.Err() == nil {
		switch rng.IntN(10) {
		default: // at one of the next writes, whosever
			o := &order{skip: rng.IntN(15), moment: []moment{beforeSent, processed, answered}[rng.IntN(3)], done: make(chan struct{})}
			c.fleet.gates.give(o)
			timer := time.NewTimer(between(rng, 300*time.Millisecond, 2*time.Second))
			select {
			case <-o.done:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			if !c.fleet.gates.withdraw(o) {
				<-o.done
				c.note(string(o.moment))
			}
		case 5, 6, 7:
			if lapse(ctx, between(rng, 20*time.Millisecond, time.Second)) {
				c.fleet.killLeader()
				c.note("the leader, at some time")
			}
		case 8:
			if lapse(ctx, between(rng, 20*time.Millisecond, time.Second)) {
				c.fleet.killOther()
				c.note("the other one")
			}
		case 9:
			if lapse(ctx, between(rng, 20*time.Millisecond, time.Second)) {
				c.fleet.killLeader()
				c.fleet.killOther()
				c.note("both")
			}
		}
	}
}

func (c *campaign) killed() int {
	c.fleet.mu.Lock()
	defer c.fleet.mu.Unlock()
	return c.fleet.kills
}
