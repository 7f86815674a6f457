package jenkinstest_test

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"

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

func TestLogEdges(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Clock: clock, LogTick: time.Second})
	f.run(t, "f/j", inPod("sh(script: 'hang')"))
	const text = "/job/f/job/j/1/logText/progressiveText"
	eventually(t, "the build", func() bool { return f.get(t, "/job/f/job/j/1/api/json").status == 200 })
	r := f.want(t, "before the log begins", f.get(t, text), 200)
	if r.body != "" || r.header.Get("X-Text-Size") != "0" || r.header.Get("X-More-Data") != "true" || r.header.Get("Content-Type") != "text/plain;charset=UTF-8" {
		t.Errorf("%q %v", r.body, r.header)
	}
	if run := decode(t, f.get(t, "/job/f/job/j/1/wfapi/describe")); run["status"] != "NOT_EXECUTED" {
		t.Errorf("run = %v", run)
	}
	eventually(t, "the tick", clock.HasWaiters)
	clock.Step(time.Second)
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	f.want(t, "an offset that is none", f.get(t, text+"?start=x"), 500)
	size := f.get(t, text).header.Get("X-Text-Size")
	f.AppendLog("f/j", 1, "windows\r\nbar 50%\rbar 100%\rpart")
	r = f.get(t, text+"?start="+size)
	if want := "windows\r\nbar 50%\rbar 100%\r"; r.body != want { // a carriage return ends a line, too
		t.Errorf("text = %q, want %q", r.body, want)
	}
	f.post(t, "/job/f/job/j/1/stop")
	b := f.wait(t, "f/j")
	console := f.want(t, "console", f.get(t, "/job/f/job/j/1/consoleText"), 200)
	if console.body != b.Log || strings.Contains(console.body, "\x1b") || console.header.Get("Content-Type") != "text/plain;charset=UTF-8" {
		t.Errorf("console = %q", console.body)
	}
}

func TestMultipartLog(t *testing.T) {
	get := func(t *testing.T, f *fixture, path string) (ctype string, parts map[string]string) {
		t.Helper()
		r := f.do(t, "GET", path, "", "Accept", "multipart/form-data")
		kind, args, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
		if kind != "multipart/form-data" {
			return kind, nil
		}
		parts = map[string]string{}
		for reader := multipart.NewReader(strings.NewReader(r.body), args["boundary"]); ; {
			part, err := reader.NextPart()
			if err != nil {
				return kind, parts
			}
			body, _ := io.ReadAll(part)
			parts[part.FormName()] = string(body)
		}
	}
	for version, known := range map[string]bool{"2.516.3": false, "2.541.1": true} {
		t.Run(version, func(t *testing.T) {
			s := &steps{}
			f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Version: version})
			f.run(t, "f/j", inPod("sh(script: 'hang')"))
			eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
			start, size := f.get(t, "/job/f/job/j/1/logText/progressiveHtml").header.Get("X-Text-Size"), 0
			_, _ = fmt.Sscan(start, &size)
			f.AppendLog("f/j", 1, "a < b\npart")
			ctype, parts := get(t, f, "/job/f/job/j/1/logText/progressiveHtml?start="+start)
			if !known {
				if ctype != "text/html" {
					t.Errorf("type = %s", ctype)
				}
				return
			}
			want := map[string]string{
				"text": "a &lt; b\r\n", "meta": fmt.Sprintf(`{"completed":false,"consoleAnnotator":"rO0ABX","end":%d,"start":%d}`, size+10, size),
			}
			if diff := cmp.Diff(want, parts); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			f.post(t, "/job/f/job/j/1/stop")
			f.wait(t, "f/j")
			if _, parts := get(t, f, "/job/f/job/j/1/logText/progressiveText"); !strings.Contains(parts["meta"], `"completed":true`) {
				t.Errorf("parts = %q", parts)
			}
		})
	}
}
