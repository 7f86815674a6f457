package jenkinstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// runner executes one script, as Jenkins' CPS engine would: a step at a time, parallel branches beside each other.
type runner struct {
	b       *build
	s       *Server
	methods map[string]*block
}

// frame is what a step inherits from the steps around it. It is copied, never shared.
type frame struct {
	ctx       context.Context
	tmpl      *PodTemplate
	label     string // POD_LABEL
	agent     Agent
	container string
	dir       string
	env       []param // withEnv, outermost first
	stage     *stageNode
	at        *int // id of the latest node of the block around the step; of this block's goroutine alone
	depth     int
}

// stepFunc runs one step.
type stepFunc func(r *runner, c *call, fr frame) error

// steps is every step the dialect knows. A name that is not here ends the build as in Jenkins.
func steps() map[string]stepFunc {
	return map[string]stepFunc{
		"podTemplate": stepPodTemplate, // steps_agent.go
		"node":        stepNode,
		"container":   stepContainer,
		"dir":         stepDir,
		"sh":          stepSh,
		"stage":       stepStage, // steps_flow.go
		"parallel":    stepParallel,
		"withEnv":     stepWithEnv,
		"timeout":     stepTimeout,
		"retry":       stepRetry,
		"echo":        stepEcho, // steps_basic.go
		"error":       stepError,
		"input":       stepInput,
	}
}

const maxCalls = 500 // nested; a method that calls itself ends as a stack overflow

// run is the whole life of a build.
func (b *build) run(kind string) {
	if d := b.s.opts.LogTick; d > 0 {
		t := b.s.clock.NewTimer(d)
		select {
		case <-t.C():
		case <-b.ctx.Done():
			t.Stop()
		}
	}
	b.println("Started by user " + b.user)
	err := b.runScript(kind)
	b.explain(err)
	b.finish(err)
}

func (b *build) runScript(kind string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = thrown("java.lang.Error", "the double's interpreter panicked: %v", p)
		}
	}()
	if kind != classJob {
		return nil // a freestyle job without steps
	}
	if b.script == "" {
		return abort("No flow definition, cannot run")
	}
	if !b.sandbox {
		return thrown("org.jenkinsci.plugins.scriptsecurity.scripts.UnapprovedUsageException", "script not yet approved for use")
	}
	sc, err := parseScript(b.script)
	if err != nil {
		b.println(strings.TrimRight(compileReport(err), "\n"))
		return &compileFailure{err}
	}
	r := &runner{b: b, s: b.s, methods: sc.methods}
	first := b.nextNode()
	b.note(first, "Start of Pipeline")
	err = r.block(sc.body, frame{ctx: b.ctx, at: &first})
	b.note(b.nextNode(), "End of Pipeline")
	return err
}

// compileFailure was explained already.
type compileFailure struct{ err error }

func (e *compileFailure) Error() string { return e.err.Error() }

// explain writes why the build did not succeed, as its last words.
func (b *build) explain(err error) {
	var f *failure
	var cf *compileFailure
	switch {
	case err == nil || errors.As(err, &cf) || errors.Is(err, errKilled):
	case errors.As(err, &f) && f.class == classInterrupted:
		if !strings.HasPrefix(f.msg, "Aborted by ") { // said when it happened
			b.println(f.msg)
		}
	case errors.As(err, &f) && f.quiet:
		b.println("ERROR: " + f.msg)
	case errors.As(err, &f):
		b.println(f.class + ": " + f.msg + "\n\tat WorkflowScript.run(WorkflowScript)")
	default:
		b.println("ERROR: " + err.Error())
	}
}

// block runs calls in order until one fails.
func (r *runner) block(bl *block, fr frame) error {
	for _, c := range bl.calls {
		if err := r.call(c, fr); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) call(c *call, fr frame) error {
	if fr.depth++; fr.depth > maxCalls {
		return thrown("java.lang.StackOverflowError", "Excessively nested closures/functions at WorkflowScript.%s(WorkflowScript:%d)", c.name, c.line)
	}
	if m := r.methods[c.name]; m != nil {
		if len(c.args) > 0 || c.body != nil {
			return thrown("groovy.lang.MissingMethodException", "No signature of method: WorkflowScript.%s() is applicable for argument types: (…)", c.name)
		}
		return r.block(m, fr)
	}
	if c.name == guardName { // no step: it is not in the log
		if c.args[0].value == strconv.Itoa(r.b.number) {
			return nil
		}
		return r.block(c.body, fr)
	}
	known := steps()
	step := known[c.name]
	if step == nil {
		return thrown("java.lang.NoSuchMethodError", "No such DSL method '%s' found among steps [%s] or globals [currentBuild, env, params, pipeline, scm]",
			c.name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	if err := r.gate(fr); err != nil {
		return err
	}
	err := step(r, c, fr)
	if fr.ctx.Err() == nil {
		_ = r.gate(fr) // what a step did is not noticed before, either: nothing ends while Jenkins is away
	}
	return err
}

// gate holds a build between two steps: while it is paused, while Jenkins quiets down or is away.
func (r *runner) gate(fr frame) error {
	said := ""
	for {
		if fr.ctx.Err() != nil {
			return context.Cause(fr.ctx)
		}
		changed, reason := r.s.holds(r.b)
		if reason == "" {
			if said != "" {
				r.b.println("Resuming")
			}
			return nil
		}
		if said != reason {
			r.b.println("Pausing" + strings.TrimSuffix(" ("+reason+")", " (paused)"))
			said = reason
		}
		select {
		case <-changed:
		case <-fr.ctx.Done():
		}
	}
}

// begin writes a step into the log and numbers it.
func (r *runner) begin(c *call) { r.b.note(r.b.nextNode(), c.name) }

// body runs a step's closure between braces, as the log shows them. label is shown behind the brace.
func (r *runner) body(name string, bl *block, label string, fr frame, enter func(id int, fr *frame) (leave func(error))) error {
	id := r.b.nextNode()
	open := "{"
	if label != "" {
		open += " (" + label + ")"
	}
	r.b.note(id, open)
	leave := func(error) {}
	if enter != nil {
		leave = enter(id, &fr)
	}
	outer, inner := fr.at, id
	fr.at = &inner
	err := r.block(bl, fr)
	leave(err)
	end := r.b.nextNode()
	*outer = end
	r.b.note(end, "}")
	if name != "" {
		r.b.note(r.b.nextNode(), "// "+name)
	}
	return err
}

// arguments gives a step its arguments by name and remembers what is wrong with them.
type arguments struct {
	step string
	line int
	left map[string]value
	err  error
}

// args collects arguments; the only positional one gets the name given.
func args(c *call, positional string) *arguments {
	a := &arguments{step: c.name, line: c.line, left: map[string]value{}}
	for _, arg := range c.args {
		name := arg.name
		if name == "" {
			if name = positional; name == "" || len(c.args) > 1 {
				a.fail("Expected named arguments but got a positional one")
			}
		}
		if _, twice := a.left[name]; twice {
			a.fail("argument %s is given twice", name)
		}
		a.left[name] = arg.value
	}
	return a
}

func (a *arguments) fail(format string, args ...any) {
	if a.err == nil {
		a.err = thrown("java.lang.IllegalArgumentException", "WorkflowScript: %d: step %s: %s", a.line, a.step, fmt.Sprintf(format, args...))
	}
}

// take removes an argument. ok is false when it is absent or of another type than the default.
func take[T any](a *arguments, name string, def T) (T, bool) {
	v, given := a.left[name]
	if !given {
		return def, false
	}
	delete(a.left, name)
	t, ok := v.(T)
	if !ok {
		a.fail("argument %s has the wrong type: %T", name, v)
		return def, false
	}
	return t, true
}

func optional[T any](a *arguments, name string, def T) T {
	v, _ := take(a, name, def)
	return v
}

func required[T any](a *arguments, name string) T {
	var zero T
	v, ok := take(a, name, zero)
	if !ok {
		a.fail("argument %s is missing", name)
	}
	return v
}

// done reports the first thing that was wrong; an argument nobody asked for is.
func (a *arguments) done() error {
	for _, name := range slices.Sorted(maps.Keys(a.left)) {
		a.fail("unknown argument %s", name)
	}
	return a.err
}

// bodyOf is the closure of a step that must have one.
func bodyOf(c *call) (*block, error) {
	if c.body == nil {
		return nil, thrown("java.lang.IllegalStateException", "There is no body to invoke: step %s in line %d", c.name, c.line)
	}
	return c.body, nil
}

func noBody(c *call) error {
	if c.body != nil {
		return thrown("java.lang.IllegalArgumentException", "WorkflowScript: %d: step %s takes no body", c.line, c.name)
	}
	return nil
}
