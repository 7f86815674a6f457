package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// TestLogsOutliveHookd: a person follows a log while hookd is killed, twice, and
// connections break: what is printed is what the step wrote, to the byte.
func TestLogsOutliveHookd(t *testing.T) {
	p := newProject(t, 2)
	const rounds, lines = 12, 1500
	commit := p.push("Chatty", config(fmt.Sprintf(
		`i=0; while [ $i -lt %d ]; do i=$((i+1)); seq -f "~$i-%%05.0f Grüße 世界 & <b>" 1 %d; sleep 1; done`, rounds, lines)))
	e := p.wait(func(e *v1alpha1.PipelineExecution) bool {
		return e.Spec.Source.Commit == commit && e.Status.Phase == v1alpha1.PhaseRunning
	})
	front := newFront(t)
	front.lead(p.Hookd[0])
	cmd := p.Kubectl(t.Context(), p.name, "pipeline", "logs", "-f", e.Name, "--hookd-url", front.url())
	var out watchedBuffer
	var errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"~2-00100", "~6-00100"} {
		eventually(t, out.has(line))
		if err := p.KillHookd(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			h, err := p.StartHookd(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			front.lead(h)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("kubectl pipeline logs: %v\n%s", err, errs.String())
	}
	done := p.succeeded(commit)
	want := p.Jenkins.Builds(done.Status.Engine.Job)[0].Log
	if got := out.String(); sha256.Sum256([]byte(got)) != sha256.Sum256([]byte(want)) {
		at := 0
		for at < len(got) && at < len(want) && got[at] == want[at] {
			at++
		}
		t.Errorf("printed %d bytes, want the %d of the log; from byte %d on it is\n%.100q, want\n%.100q\n%s", len(got), len(want), at, got[at:], want[at:], errs.String())
	}
	for _, line := range []string{"~1-00001 ", fmt.Sprintf("~%d-%05d ", rounds, lines)} {
		if n := strings.Count(out.String(), line); n != 1 {
			t.Errorf("the log has %q %d times, want once", line, n)
		}
	}
	if front.connections() < 3 {
		t.Errorf("%d connections, want three at least", front.connections())
	}
}

// front is an address that leads to a replica of hookd.
type front struct {
	listener net.Listener

	mu    sync.Mutex
	to    string
	count int
	open  []net.Conn
}

func newFront(t *testing.T) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{listener: l}
	go f.serve()
	t.Cleanup(func() { l.Close(); f.lead(nil) })
	return f
}

func (f *front) url() string { return "http://" + f.listener.Addr().String() }

// lead breaks every connection; what comes leads to h, or to nothing.
func (f *front) lead(h *harness.Hookd) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.to = ""; h != nil {
		f.to = strings.TrimPrefix(h.URL, "http://")
	}
	for _, c := range f.open {
		c.Close()
	}
	f.open = nil
}

func (f *front) serve() {
	for {
		in, err := f.listener.Accept()
		if err != nil {
			return
		}
		go f.carry(in)
	}
}

func (f *front) carry(in net.Conn) {
	defer in.Close()
	f.mu.Lock()
	to := f.to
	f.mu.Unlock()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	f.mu.Lock()
	f.count++
	f.open = append(f.open, in, out)
	f.mu.Unlock()
	go func() { _, _ = io.Copy(out, in) }()
	_, _ = io.Copy(in, out)
}

func (f *front) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// watchedBuffer is a buffer that can be read while it is written.
type watchedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *watchedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *watchedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *watchedBuffer) has(text string) func() error {
	return func() error {
		if !strings.Contains(b.String(), text) {
			return fmt.Errorf("no %q in %d bytes", text, len(b.String()))
		}
		return nil
	}
}
