package jenkinstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

func stepStage(r *runner, c *call, fr frame) error {
	a := args(c, "name")
	name := required[string](a, "name")
	body, err := bodyOf(c)
	if err := firstErr(a.done(), err); err != nil {
		return err
	}
	r.begin(c)
	return r.body("stage", body, name, fr, func(id int, fr *frame) func(error) {
		st := r.b.openStage(id, name, false, fr.stage)
		fr.stage = st
		return func(err error) { r.b.closeStage(st, err) }
	})
}

// stepParallel runs branches beside each other and fails as the branch that failed first. With failFast the others are interrupted.
func stepParallel(r *runner, c *call, fr frame) error {
	var names []string
	branches := map[string]*block{}
	failFast := false
	for _, arg := range c.args {
		switch v := arg.value.(type) {
		case *block:
			if arg.name == "" || branches[arg.name] != nil {
				return thrown("java.lang.IllegalArgumentException", "WorkflowScript: %d: parallel needs distinct branch names", arg.line)
			}
			names = append(names, arg.name)
			branches[arg.name] = v
		case bool:
			if arg.name != "failFast" {
				return thrown("java.lang.IllegalArgumentException", "Expected a closure but found %v=%v", arg.name, v)
			}
			failFast = v
		default:
			return thrown("java.lang.IllegalArgumentException", "Expected a closure but found %v=%v", arg.name, v)
		}
	}
	if err := noBody(c); err != nil {
		return err
	}
	if len(names) == 0 {
		return thrown("java.lang.IllegalArgumentException", "parallel: no branches to run")
	}
	r.begin(c)

	ctx, cancel := context.WithCancelCause(fr.ctx)
	defer cancel(nil)
	fr.ctx = ctx
	before := *fr.at
	var mu sync.Mutex
	var first error
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					cancel(thrown("java.lang.Error", "the double's interpreter panicked: %v", p))
				}
			}()
			at := before
			fr := fr
			fr.at = &at
			err := r.body("", branches[name], "Branch: "+name, fr, func(id int, fr *frame) func(error) {
				st := r.b.openStage(id, name, true, fr.stage)
				fr.stage = st
				return func(err error) { r.b.closeStage(st, err) }
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				return
			}
			if first == nil {
				first = err
				if failFast {
					cancel(interrupted("Failed in branch " + name))
				}
			}
			if !isInterrupted(err) {
				r.b.println("Failed in branch " + name)
			}
		})
	}
	wg.Wait()
	*fr.at = r.b.nextNode()
	r.b.note(*fr.at, "// parallel")
	if first == nil && ctx.Err() != nil {
		first = context.Cause(ctx)
	}
	return first
}

func stepWithEnv(r *runner, c *call, fr frame) error {
	a := args(c, "overrides")
	overrides := required[[]string](a, "overrides")
	body, err := bodyOf(c)
	if err := firstErr(a.done(), err); err != nil {
		return err
	}
	env := slices.Clone(fr.env)
	for _, o := range overrides {
		name, value, ok := strings.Cut(o, "=")
		if !ok || name == "" {
			return thrown("java.lang.IllegalArgumentException", "%s is not of the form VARIABLE=value", o)
		}
		env = append(env, param{name: name, value: value})
	}
	fr.env = env
	r.begin(c)
	return r.body("withEnv", body, "", fr, nil)
}

var units = map[string]time.Duration{"SECONDS": time.Second, "MINUTES": time.Minute, "HOURS": time.Hour}

// stepTimeout interrupts its body. Inside retry, a timeout is an error like others; outside, it ends the build as ABORTED.
func stepTimeout(r *runner, c *call, fr frame) error {
	a := args(c, "time")
	n := required[int](a, "time")
	unit, known := units[optional(a, "unit", "MINUTES")]
	if !known || n <= 0 {
		a.fail("time must be positive and unit one of SECONDS, MINUTES, HOURS")
	}
	body, err := bodyOf(c)
	if err := firstErr(a.done(), err); err != nil {
		return err
	}
	r.begin(c)
	limit := time.Duration(n) * unit
	r.b.println("Timeout set to expire in " + jenkinsDuration(limit))

	ctx, cancel := context.WithCancelCause(fr.ctx)
	defer cancel(nil)
	expired := &failure{class: classInterrupted, msg: "Timeout has been exceeded", quiet: true}
	timer := r.s.clock.NewTimer(limit)
	defer timer.Stop()
	over := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-timer.C():
			r.b.println("Cancelling nested steps due to timeout")
			cancel(expired)
		case <-over:
		}
	}()
	fr.ctx = ctx
	err = r.body("timeout", body, "", fr, nil)
	close(over)
	<-watched
	if errors.Is(err, expired) {
		return &timedOut{expired}
	}
	return err
}

// timedOut is the interruption of a timeout, which retry may repeat, unlike that of a person.
type timedOut struct{ error }

func (e *timedOut) Unwrap() error { return e.error }

func stepRetry(r *runner, c *call, fr frame) error {
	a := args(c, "count")
	count := required[int](a, "count")
	if count < 1 {
		a.fail("count must be positive")
	}
	body, err := bodyOf(c)
	if err := firstErr(a.done(), err); err != nil {
		return err
	}
	r.begin(c)
	for attempt := 1; ; attempt++ {
		err := r.body("", body, "", fr, nil)
		var to *timedOut
		if err == nil || attempt == count || fr.ctx.Err() != nil || isInterrupted(err) && !errors.As(err, &to) {
			r.b.note(r.b.nextNode(), "// retry")
			return err
		}
		r.b.explain(err)
		r.b.println("Retrying")
	}
}

// jenkinsDuration is 90 s as "1 min 30 sec".
func jenkinsDuration(d time.Duration) string {
	h, m, s := int(d/time.Hour), int(d%time.Hour/time.Minute), int(d%time.Minute/time.Second)
	switch {
	case h > 0:
		return fmt.Sprintf("%d hr %d min", h, m)
	case m > 0:
		return fmt.Sprintf("%d min %d sec", m, s)
	}
	return fmt.Sprintf("%d sec", s)
}
