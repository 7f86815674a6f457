package jenkinstest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// build is one run of a job. Its log, stages and outcome are guarded by its own mutex: steps write while requests read. Lock order:
// Server.mu, then build.mu.
type build struct {
	s        *Server
	job      *item
	number   int
	queueID  int64
	params   []param
	user     string
	queued   time.Time
	start    time.Time
	script   string
	sandbox  bool
	hint     string // durability
	noResume bool
	jobName  string // full name and path at the start: they are read without the server's lock
	jobPath  string

	ctx    context.Context // ends with the build
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when it is over
	term   chan struct{} // closed by /term: leaf steps end without waiting for what they started

	mu          sync.Mutex
	log         []byte
	result      string // "" while unknown
	end         time.Time
	over        bool
	killed      bool // the execution is gone: wfapi knows nothing any more
	paused      bool
	resuming    bool // between a restart and going on: a stop is a kill
	description string
	keep        bool // for ever
	lastNode    int
	stages      []*stageNode // in the order of their start
	tops        []*stageNode
	nodes       []*flowNode     // in the order of their start
	inputs      []*pendingInput // listed now
	asked       []*pendingInput // ever
	pauses      []pause
	termed      bool
	stopped     bool
}

// stageNode is a `stage` step, or a branch of `parallel`.
type stageNode struct {
	id       int
	name     string
	branch   bool
	parent   *stageNode
	start    time.Time
	end      time.Time
	err      error
	children []*stageNode
}

func (s *Server) newBuild(job *item, it *queueItem) *build {
	b := &build{
		s: s, job: job, number: job.next, queueID: it.id, params: it.params, user: it.user, queued: it.since, start: s.clock.Now(),
		script: job.def.script, sandbox: job.def.sandbox, hint: job.def.hint, noResume: job.def.noResume, jobName: job.fullName(), jobPath: job.path(), done: make(chan struct{}), term: make(chan struct{}),
	}
	b.ctx, b.cancel = context.WithCancelCause(s.ctx)
	job.next++
	if s.opts.HiddenTick <= 0 {
		job.builds = append(job.builds, b)
	} else {
		job.leaving++
		s.after(s.opts.HiddenTick, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			job.leaving--
			job.builds = append(job.builds, b)
			slices.SortFunc(job.builds, func(a, b *build) int { return cmp.Compare(a.number, b.number) })
			s.maintain()
		})
	}
	kind := job.def.kind
	s.wg.Go(func() { b.run(kind) })
	return b
}

func (b *build) building() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.over
}

// finish ends the build; what a kill has decided stays.
func (b *build) finish(err error) {
	b.mu.Lock()
	if !b.over {
		b.conclude(outcome(err), "Finished: ")
	}
	b.mu.Unlock()
	b.cancel(nil)
	b.s.mu.Lock()
	b.s.maintain()
	b.s.mu.Unlock()
}

// conclude is called with the mutex held.
func (b *build) conclude(result, line string) {
	result = worse(b.result, result)
	b.result, b.over, b.end = result, true, b.s.clock.Now()
	b.inputs = nil
	b.log = append(b.log, line+result+"\n"...)
	close(b.done)
}

// supersede ends a build whose job wants only the newest to run.
func (b *build) supersede(by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || b.stopped {
		return
	}
	b.stopped, b.result = true, "NOT_BUILT"
	b.cancel(&failure{class: classInterrupted, msg: fmt.Sprintf("Superseded by #%d", by), quiet: true, result: "NOT_BUILT"})
}

// stop interrupts softly; repeated, it does nothing more.
func (b *build) stop(user string) {
	b.mu.Lock()
	if b.over || b.stopped {
		b.mu.Unlock()
		return
	}
	if b.resuming {
		b.mu.Unlock()
		b.kill(user)
		return
	}
	b.stopped, b.result = true, "ABORTED"
	b.log = append(b.log, "Aborted by "+user+"\n"...)
	b.mu.Unlock()
	b.cancel(interrupted("Aborted by " + user))
	b.s.wake()
}

func (b *build) terminate(user string) {
	b.stop(user)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.termed && !b.over {
		b.termed = true
		b.log = append(b.log, "Terminating sh\n"...)
		close(b.term)
	}
}

// kill ends the build at once. What it started is left behind.
func (b *build) kill(string) {
	b.mu.Lock()
	if b.over {
		b.mu.Unlock()
		return
	}
	b.killed = true
	b.log = append(b.log, "Hard kill!\n"...)
	b.conclude("ABORTED", "Finished: ")
	b.mu.Unlock()
	b.cancel(errKilled)
	b.s.wake()
	b.s.mu.Lock()
	b.s.maintain()
	b.s.mu.Unlock()
}

func (b *build) isKilled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.killed
}

func (b *build) Write(p []byte) (int, error) {
	b.writeFor(nil, p)
	return len(p), nil
}

func (b *build) println(text string) { _, _ = io.WriteString(b, text+"\n") }

// note is a line of Pipeline's own, with the invisible annotation Jenkins puts before it.
func (b *build) note(node int, text string) {
	payload := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "org.jenkinsci.plugins.workflow.job.console.NewNodeConsoleNote:%d", node))
	b.println("\x1b[8mha:////" + payload + "\x1b[0m[Pipeline] " + text)
}

// nextNode numbers flow nodes.
func (b *build) nextNode() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastNode++
	return b.lastNode + 1 // the first is FlowStartNode, 2
}

func (b *build) openStage(id int, name string, branch bool, parent *stageNode) *stageNode {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := &stageNode{id: id, name: name, branch: branch, parent: parent, start: b.s.clock.Now()}
	if parent != nil {
		parent.children = append(parent.children, st)
	} else {
		b.tops = append(b.tops, st)
	}
	if !branch {
		b.stages = append(b.stages, st)
	}
	return st
}

func (b *build) closeStage(st *stageNode, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	st.end, st.err = b.s.clock.Now(), err
}

// lineWriter hands whole lines to the log, so that parallel steps do not mix within a line.
type lineWriter struct {
	b    *build
	node *flowNode
	mu   sync.Mutex
	part []byte
}

const maxPart = 64 << 10

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(p)
	if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
		w.b.writeFor(w.node, append(w.part, p[:i+1]...))
		w.part, p = w.part[:0], p[i+1:]
	}
	if w.part = append(w.part, p...); len(w.part) > maxPart {
		w.b.writeFor(w.node, w.part)
		w.part = w.part[:0]
	}
	return n, nil
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.writeFor(w.node, w.part)
	w.part = nil
}

// disown gives an agent back. After a hard kill nobody does: Jenkins leaves the pod behind, and so does the double until it is closed.
func (b *build) disown(a Agent) {
	if !b.isKilled() {
		a.Release()
	}
}

// path is "job/folder/job/name/12/".
func (b *build) path() string { return fmt.Sprintf("%s%d/", b.jobPath, b.number) }
