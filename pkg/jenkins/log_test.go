package jenkins_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func isErr(err, target error) bool { return errors.Is(err, target) }

// readAll follows a log to its end.
func readAll(t *testing.T, p pair) string {
	t.Helper()
	var b strings.Builder
	var pos jenkins.LogPosition
	eventually(t, "the end of the log", func() bool {
		read, err := p.Log(context.Background(), ref, 1, pos, &b)
		ok(t, err)
		pos = read.Next
		return !read.More
	})
	return b.String()
}

// hold makes agents whose steps wait until release is called.
func hold() (agents jenkinstest.Agents, release func()) {
	gate := make(chan struct{})
	return jenkinstest.ScriptedAgents(func(ctx context.Context, _ jenkinstest.Command) jenkinstest.Result {
		select {
		case <-gate:
		case <-ctx.Done():
		}
		return jenkinstest.Result{}
	}), func() { close(gate) }
}

func TestLogIsByteExactWhateverItContains(t *testing.T) {
	lines := []string{
		"plain\n", "<b>bold</b> & \"quotes\" 'single' &amp; &lt;\n", "see https://example.org/a?b=c&d='e' or http://x/it's.html\n",
		"\x1b[31mred\x1b[0m\n", "世界 🚀 é\n", "tab\there\rprogress 10%\rprogress 20%\n", "\n", "\n", strings.Repeat("long ", 20_000) + "\n",
		"\x1b[8mha:////AAAA\x1b[0mannotated\n", "&notanentity; &#39; &#x27; &\n", "bare cr at end\r\n",
	}
	want := strings.NewReplacer("\x1b[8mha:////AAAA\x1b[0m", "", "\r\n", "\n").Replace(strings.Join(lines, ""))
	for _, version := range []string{"2.401.3", "2.516.3"} {
		t.Run("Jenkins "+version, func(t *testing.T) {
			agents, release := hold()
			p := newPair(t, jenkinstest.Options{Version: version, Agents: agents})
			p.start(t, pipelineOf("sh(script: 'wait')"))
			eventually(t, "the step", func() bool { return len(p.double.Builds()) == 1 && strings.Contains(p.log(t), "[Pipeline] sh\n") })
			ctx := context.Background()
			var got strings.Builder
			read, err := p.Log(ctx, ref, 1, jenkins.LogPosition{}, &got)
			ok(t, err)
			got.Reset()
			for i, line := range lines {
				for _, part := range split(line, 7+i) { // a partial line is withheld, not lost
					p.double.AppendLog(ref.String(), 1, part)
					read, err = p.Log(ctx, ref, 1, read.Next, &got)
					ok(t, err)
					if !read.More {
						t.Fatal("the log of a running build has ended")
					}
				}
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			release()
			p.finished(t)
			if diff := cmp.Diff(normal(p.log(t)), readAll(t, p)); diff != "" {
				t.Errorf("whole log (-want +got):\n%s", diff)
			}
		})
	}
}

func normal(log string) string { return strings.ReplaceAll(log, "\r\n", "\n") }

func split(s string, n int) []string {
	if len(s) > 1000 {
		n = len(s) / 3
	}
	var parts []string
	for len(s) > n {
		parts, s = append(parts, s[:n]), s[n:]
	}
	return append(parts, s)
}

func TestLogOfManyLinesGoesOnWhereItBroke(t *testing.T) {
	var want strings.Builder
	for i := range 25_000 {
		fmt.Fprintf(&want, "line %d of <many> 世界\n", i)
	}
	p := newPair(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(func(context.Context, jenkinstest.Command) jenkinstest.Result {
		return jenkinstest.Result{Output: want.String()}
	})})
	p.start(t, pipelineOf("sh(script: 'x')"))
	p.finished(t)
	ctx := context.Background()
	h, whole := sha256.New(), sha256.New()
	_, _ = io.WriteString(whole, p.log(t))
	var pos jenkins.LogPosition
	for _, cut := range []int{1, 1000, 33_000, 300_001, 700_000} {
		p.double.Spoil(jenkinstest.Fault{Path: "progressiveHtml", Truncate: cut})
		read, err := p.Log(ctx, ref, 1, pos, h)
		if err == nil || !jenkins.IsTemporary(err) {
			t.Fatalf("cut at %d: error = %v, want a temporary one", cut, err)
		}
		pos = read.Next
	}
	read, err := p.Log(ctx, ref, 1, pos, h)
	ok(t, err)
	if read.More || read.Next.Skip != 0 {
		t.Errorf("read = %+v", read)
	}
	if string(h.Sum(nil)) != string(whole.Sum(nil)) {
		t.Error("what was read over five broken connections is not what was written")
	}
}

func TestLogThatBecameShorterIsSaidAndNotRead(t *testing.T) {
	p := newPair(t, jenkinstest.Options{})
	p.start(t, pipelineOf("echo('hello')"))
	p.finished(t)
	for _, from := range []jenkins.LogPosition{{Offset: 1 << 30, Skip: 7}, {Skip: 1 << 20}} {
		var b strings.Builder
		read, err := p.Log(context.Background(), ref, 1, from, &b)
		ok(t, err)
		want := jenkins.LogRead{Next: jenkins.LogPosition{Sessions: p.double.Session()}, More: true, Reset: true}
		if read != want || b.Len() > 0 {
			t.Errorf("from %+v: read = %+v, text %q", from, read, b.String())
		}
	}
}

func TestErrorOfTheLogsReaderIsReported(t *testing.T) {
	p := newPair(t, jenkinstest.Options{})
	p.start(t, pipelineOf("echo('hello')"))
	p.finished(t)
	full := errors.New("disk full")
	_, err := p.Log(context.Background(), ref, 1, jenkins.LogPosition{}, writerFunc(func(b []byte) (int, error) { return 0, full }))
	if !errors.Is(err, full) {
		t.Errorf("error = %v, want %v", err, full)
	}
	_, err = p.Log(context.Background(), ref, 99, jenkins.LogPosition{}, io.Discard)
	if !jenkins.IsNotFound(err) {
		t.Errorf("error of a build that is not there = %v, want not found", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
