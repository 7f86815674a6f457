package once

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// The writes of a trigger.
var (
	trigger = point{name: "Jenkins: POST /job/job/buildWithParameters"}
	receipt = point{name: "PUT pipelineexecutions/status Pending InEngineQueue"}
)

// besideCrashes kills hookd around the trigger while Jenkins has the item in its queue,
// then restarts Jenkins: in a crash the item is lost, and its id given again.
func (c *campaign) besideCrashes() {
	n := 0
	for _, p := range []point{trigger, receipt} {
		for _, crash := range []bool{true, false} {
			for _, m := range []moment{processed, beforeSent, answered} {
				if n == c.size.crashes {
					return
				}
				n++
				c.w.Jenkins.SetQuiet(true) // what is triggered stays in the queue
				if !c.dieAt(fmt.Sprintf("x%03d", n), p, m) {
					c.t.Errorf("nobody died at %s, %s, beside a crash", p, m)
				}
				c.w.Jenkins.Restart(jenkinstest.RestartOptions{Crash: crash, Down: 100 * time.Millisecond, Starting: 100 * time.Millisecond})
			}
		}
	}
}

// hold starts an execution whose trigger is on the way when its sender dies, or halts.
// That it arrives is for later.
func (c *campaign) hold(project string, halt bool) *order {
	ctx := c.t.Context()
	if err := c.project(ctx, project, 1, time.Millisecond); err != nil {
		c.t.Fatal(err)
	}
	o := newOrder(project, trigger, onTheWay)
	o.halt = halt
	c.fleet.gates.give(o)
	if err := c.start(ctx, project, good, "run"); err != nil {
		c.t.Fatal(err)
	}
	if !c.obeyed(o, func() bool { return c.over(project) }) {
		c.t.Fatalf("nobody sent the trigger of %s", project)
	}
	c.late = append(c.late, o)
	return o
}

// halted halts a leader while its trigger is on the way, for as long as it takes the
// other replica to take over and to bring the run to its end; then it goes on.
func (c *campaign) halted() {
	const project = "halted"
	o := c.hold(project, true)
	c.await("the run of a halted leader has ended", func() error {
		if !c.over(project) {
			return errors.New("it has not")
		}
		return nil
	})
	c.fleet.signal(o.by, syscall.SIGCONT)
}

// lateTrigger lets the triggers arrive that were on the way, when the runs are over that
// they were for: triggered again, since nothing was seen of them. Jenkins takes them,
// and makes second builds.
func (c *campaign) lateTrigger() {
	for _, o := range c.late {
		job := c.watcher.find(o.project, "run").Status.Engine.Job
		if n := len(c.w.Jenkins.Builds(job)); n != 1 {
			c.t.Errorf("%s has %d builds before its late trigger arrives, want 1", job, n)
		}
		if err := o.deliver(); err != nil {
			c.t.Error(err)
		}
		c.poll("the late trigger of "+o.project+" is over", func() error {
			builds := c.w.Jenkins.Builds(job)
			if len(builds) < 2 || builds[1].Building {
				return fmt.Errorf("builds: %s", describe(builds))
			}
			return nil
		})
	}
}

// isLate tells whether a second build of an execution is to be expected.
func (c *campaign) isLate(project string) bool {
	return slices.ContainsFunc(c.late, func(o *order) bool { return o.project == project })
}
