package jenkinstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestProgressiveLogs(t *testing.T) {
	const note = "\x1b[8mha:////"
	for version, tc := range map[string]struct {
		size  func(raw, lines int) int
		notes bool
	}{
		"2.401.3": {func(_, lines int) int { return lines }, false},
		"2.516.3": {func(raw, _ int) int { return raw }, true},
	} {
		t.Run(version, func(t *testing.T) {
			s := &steps{}
			f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Version: version})
			f.run(t, "f/j", inPod("sh(script: 'hang')"))
			eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
			base := 0 // raw length of what is there already
			_, _ = fmt.Sscan(f.get(t, "/job/f/job/j/1/logText/progressiveHtml").header.Get("X-Text-Size"), &base)
			f.AppendLog("f/j", 1, "a < b\n"+note+"AAAA\x1b[0mnoted\nunfinished")
			lines := base + len("a < b\n"+note+"AAAA\x1b[0mnoted\n")
			text := f.get(t, fmt.Sprintf("/job/f/job/j/1/logText/progressiveText/?start=%d", base))
			want := "a < b\r\nnoted\r\n"
			if tc.notes {
				want = "a < b\r\n" + note + "AAAA\x1b[0mnoted\r\n"
			}
			if diff := cmp.Diff(want, text.body); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if got, want := text.header.Get("X-Text-Size"), fmt.Sprint(tc.size(lines+len("unfinished"), lines)); got != want || text.header.Get("X-More-Data") != "true" {
				t.Errorf("size = %s, want %s, more %q", got, want, text.header.Get("X-More-Data"))
			}
			html := f.get(t, fmt.Sprintf("/job/f/job/j/1/logText/progressiveHtml?start=%d", base))
			if want := "a &lt; b\r\n<span class=\"pipeline-new-node\" nodeId=\"3\" enclosingId=\"2\">noted</span>\r\n"; html.body != want || html.header.Get("X-Text-Size") != fmt.Sprint(lines) {
				t.Errorf("html = %q, size %s", html.body, html.header.Get("X-Text-Size"))
			}
			f.post(t, "/job/f/job/j/1/stop")
			f.wait(t, "f/j")
			rest := f.get(t, fmt.Sprintf("/job/f/job/j/1/logText/progressiveText?start=%d", lines))
			if !strings.HasPrefix(rest.body, "unfinishedAborted by anonymous\r\n") || rest.header.Get("X-More-Data") != "" {
				t.Errorf("the rest = %q, more %q", rest.body, rest.header.Get("X-More-Data"))
			}
			again := f.get(t, "/job/f/job/j/1/logText/progressiveText?start=999999")
			if !strings.HasPrefix(again.body, "Started by user anonymous\r\n") {
				t.Errorf("beyond the end = %q", again.body)
			}
		})
	}
}

func TestLongLogOfARunningBuildIsCapped(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
	f.run(t, "f/j", inPod("sh(script: 'hang')"))
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	f.AppendLog("f/j", 1, strings.Repeat("x\n", 25_000))
	r := f.get(t, "/job/f/job/j/1/logText/progressiveText")
	if n := strings.Count(r.body, "\n"); n != 10_000 {
		t.Errorf("%d lines, want 10000", n)
	}
}
