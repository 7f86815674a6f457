package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// view shows a run while it goes on.
type view interface {
	// show is given every state of the run.
	show(pe *v1alpha1.PipelineExecution)
	// close leaves the last state on the screen and the terminal as it was.
	close()
}

// newView is a tree that is redrawn on a terminal, and one line for each change
// everywhere else.
func (a *app) newView(w io.Writer) view {
	if !a.live(w) {
		return &lineView{w: w, now: a.now}
	}
	v := &liveView{
		w: w, now: a.now, style: a.style(w), screen: func() screen { return a.screen(w) },
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	restore := func() { fmt.Fprint(w, showCursor) }
	a.restore.Store(&restore)
	go v.tick(time.Second)
	return v
}

// lineView writes one line for each change.
type lineView struct {
	w    io.Writer
	now  func() time.Time
	last *v1alpha1.PipelineExecution
}

func (v *lineView) show(pe *v1alpha1.PipelineExecution) {
	for _, line := range changes(v.last, pe) {
		fmt.Fprintf(v.w, "%s %s\n", v.now().Format(time.TimeOnly), line)
	}
	v.last = pe
}

func (v *lineView) close() {}

// The escape sequences in use, understood by every terminal since the VT100.
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	clearBelow = "\x1b[J"
)

// liveView redraws the tree in place, below whatever was there before, so that
// scrolling back still works. Changes come from the watch; the clock only moves
// durations.
type liveView struct {
	w      io.Writer
	now    func() time.Time
	style  style
	screen func() screen

	mu    sync.Mutex
	last  *v1alpha1.PipelineExecution
	drawn int // lines on the screen that are ours

	stop, stopped chan struct{}
}

func (v *liveView) show(pe *v1alpha1.PipelineExecution) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = pe
	v.draw(false)
}

func (v *liveView) tick(every time.Duration) {
	defer close(v.stopped)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-v.stop:
			return
		case <-t.C:
			v.mu.Lock()
			v.draw(false)
			v.mu.Unlock()
		}
	}
}

func (v *liveView) close() {
	close(v.stop)
	<-v.stopped
	v.mu.Lock()
	defer v.mu.Unlock()
	v.draw(true)
}

// draw writes one frame in one write, so that the terminal never shows half of one. The
// last frame is whole even when it is higher than the screen.
func (v *liveView) draw(last bool) {
	if v.last == nil {
		return
	}
	sc := v.screen()
	var b strings.Builder
	b.WriteString(hideCursor)
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	b.WriteString("\r" + clearBelow)
	var lines []string
	if last {
		lines = treeLines(v.last, v.now(), sc.width-1, v.style)
	} else {
		lines = fold(v.last, v.now(), sc.width-1, sc.height-1, v.style)
	}
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	v.drawn = len(lines)
	if last {
		b.WriteString(showCursor)
	}
	_, _ = io.WriteString(v.w, b.String()) // a terminal that is gone is no reason to stop waiting
}
