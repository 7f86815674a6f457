package logs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// jenkinsSource is how the real client is a source.
type jenkinsSource struct{ client *jenkins.Client }

func (s jenkinsSource) ReadLog(ctx context.Context, job string, build int64, from Position, w io.Writer) (Read, error) {
	folder, name, _ := strings.Cut(job, "/")
	read, err := s.client.Log(ctx, jenkins.JobRef{Folder: folder, Name: name}, int(build), jenkins.LogPosition(from), w)
	if err != nil && !jenkins.IsTemporary(err) {
		err = Permanent(err)
	}
	return Read{Next: Position(read.Next), More: read.More, Full: read.Full, Reset: read.Reset}, err
}

// step is a build of the Jenkins double with one step that writes output, 1 MB in a
// second of a clock that only sleep moves, and things that happen meanwhile.
type step struct {
	double *jenkinstest.Server
	url    string
	output []byte

	clock   *clocktesting.FakeClock
	mu      sync.Mutex
	now     time.Duration
	written int
	events  []doubleEvent
	end     func() // of the step
}

type doubleEvent struct {
	at time.Duration
	do func(*jenkinstest.Server)
}

const stepJob = "shop/app-1"

// stepOutput is about n bytes as a build may write them: characters of one to four
// bytes, console notes, markup, links, both line ends, progress bars. Each of its lines
// begins with ~.
func stepOutput(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		switch i % 5 {
		case 0:
			fmt.Fprintf(&b, "~%06d Grüße 世界 🚀 \x1b[32mok\x1b[0m\r\n", i)
		case 1:
			fmt.Fprintf(&b, "~%06d \x1b[8mha:////4AAAAB+LCAAAAA==\x1b[0mif (a < b && \"c\" > 'd') &amp;\n", i)
		case 2:
			fmt.Fprintf(&b, "~%06d see https://example.org/a?b=c&d='e' &lt;\n", i)
		case 3:
			fmt.Fprintf(&b, "~%06d 10%%\r~%06d 100%%\n", i, i)
		default:
			b.WriteString("~\n")
		}
	}
	return b.Bytes()
}

var consoleNote = regexp.MustCompile("\x1b\\[8mha:[A-Za-z0-9+/=]*\x1b\\[0m")

// textOf is what a reader gets of what was written: Jenkins keeps notes to itself, and
// does not tell CRLF from LF.
func textOf(written []byte) []byte {
	return bytes.ReplaceAll(consoleNote.ReplaceAll(written, nil), []byte("\r\n"), []byte("\n"))
}

func startStep(t *testing.T, version string, output []byte, events ...doubleEvent) *step {
	t.Helper()
	gate := make(chan struct{})
	s := &step{output: output, events: events, clock: clocktesting.NewFakeClock(time.Unix(1_700_000_000, 0)), end: sync.OnceFunc(func() { close(gate) })}
	s.double = jenkinstest.New(jenkinstest.Options{
		Version: version, Clock: s.clock,
		Agents: jenkinstest.ScriptedAgents(func(ctx context.Context, _ jenkinstest.Command) jenkinstest.Result {
			select {
			case <-gate:
			case <-ctx.Done():
			}
			return jenkinstest.Result{}
		}),
	})
	srv := httptest.NewServer(s.double)
	s.url = srv.URL
	t.Cleanup(func() { s.end(); srv.Close(); s.double.Close() })
	client := s.client(t)
	ref := jenkins.JobRef{Folder: "shop", Name: "app-1"}
	script := "podTemplate(yaml: 'kind: Pod\\n') {\n  node(POD_LABEL) {\n    sh(script: 'make')\n  }\n}\n"
	if _, err := client.EnsureJob(t.Context(), jenkins.Job{Ref: ref, UID: "uid-1", Script: script}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Start(t.Context(), ref, jenkins.Params{UID: "uid-1", Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(20 * time.Second)
	for !strings.Contains(s.log(), "[Pipeline] sh\n") {
		select {
		case <-deadline:
			t.Fatalf("the step did not begin; log: %s", s.log())
		case <-time.After(time.Millisecond):
		}
	}
	return s
}

func (s *step) client(t *testing.T) *jenkins.Client {
	t.Helper()
	c, err := jenkins.New(jenkins.Config{BaseURL: s.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// sleep lets d go by: the step writes on, and ends when all is written.
func (s *step) sleep(ctx context.Context, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += d
	for len(s.events) > 0 && s.now >= s.events[0].at {
		s.events[0].do(s.double)
		s.events = s.events[1:]
	}
	upTo := min(len(s.output), int(s.now.Seconds()*1e6))
	for s.written < upTo {
		n := min(upTo-s.written, 65_521) // a prime: characters and lines are cut anywhere
		s.double.AppendLog(stepJob, 1, string(s.output[s.written:s.written+n]))
		s.written += n
	}
	if s.written == len(s.output) && len(s.events) == 0 {
		s.end()
	}
	s.clock.Step(d)
	return ctx.Err()
}

// log is the whole log as Jenkins has it, without notes.
func (s *step) log() string {
	for _, b := range s.double.Builds(stepJob) {
		return b.Log
	}
	return ""
}

// check compares a log that was read with the whole log, and its lines of the step with
// what the step wrote.
func (s *step) check(t *testing.T, got []byte) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) > 0 || s.written < len(s.output) {
		t.Errorf("%d events are left, %d bytes of %d were written", len(s.events), s.written, len(s.output))
	}
	compare(t, "the log", textOf([]byte(s.log())), got)
	var own bytes.Buffer
	for line := range bytes.Lines(got) {
		if line[0] == '~' {
			own.Write(line)
		}
	}
	compare(t, "the step's part of the log", textOf(s.output), own.Bytes())
}

func compare(t *testing.T, what string, want, got []byte) {
	t.Helper()
	if sha256.Sum256(want) == sha256.Sum256(got) {
		return
	}
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	t.Errorf("%s: got %d bytes, want %d; from byte %d on it is\n%.80q, want\n%.80q", what, len(got), len(want), at, got[at:], want[at:])
}

// restart is a Jenkins that is away, starting, and then itself again.
func restart(o jenkinstest.RestartOptions) func(*jenkinstest.Server) {
	return func(s *jenkinstest.Server) { s.Restart(o) }
}

func spoil(f jenkinstest.Fault) func(*jenkinstest.Server) {
	f.Path = "logText/progressive"
	return func(s *jenkinstest.Server) { s.Spoil(f) }
}

// longLine is 1 MB without a line end.
var longLine = []byte("~" + strings.Repeat("0123456789 世界 ", 1<<20/18) + "\n")

// troubles are what may happen while a log is read.
var troubles = map[string][]doubleEvent{
	"when nothing happens": nil,
	"when Jenkins restarts: no answer, then 503, then another session": {
		{3 * time.Second, restart(jenkinstest.RestartOptions{Down: 5 * time.Second, Starting: 20 * time.Second, Resume: 5 * time.Second})},
	},
	"when it crashes twice": {
		{2 * time.Second, restart(jenkinstest.RestartOptions{Crash: true, Starting: 7 * time.Second})},
		{12 * time.Second, restart(jenkinstest.RestartOptions{Crash: true, Down: time.Second})},
	},
	"when connections break before and after the answer": {
		{1 * time.Second, spoil(jenkinstest.Fault{DropBefore: true, Times: 3})},
		{3 * time.Second, spoil(jenkinstest.Fault{DropAfter: true, Times: 3})},
	},
	"when answers break off": {
		{1 * time.Second, spoil(jenkinstest.Fault{Truncate: 1})},
		{1 * time.Second, spoil(jenkinstest.Fault{Truncate: 333_333})},
		{2 * time.Second, spoil(jenkinstest.Fault{Truncate: 700_001, Times: 3})},
		{3 * time.Second, spoil(jenkinstest.Fault{Truncate: 32 << 10})},
	},
	"when an answer breaks off and Jenkins restarts": {
		{2 * time.Second, spoil(jenkinstest.Fault{Truncate: 500_000})},
		{3 * time.Second, restart(jenkinstest.RestartOptions{Starting: 4 * time.Second})},
	},
	"when others answer in Jenkins' place": {
		{1 * time.Second, spoil(jenkinstest.Fault{HTML: true})},
		{2 * time.Second, spoil(jenkinstest.Fault{Status: 502, Times: 4})},
		{4 * time.Second, spoil(jenkinstest.Fault{Status: 500})},
	},
}

// jenkinsVersions are one of each dialect of progressiveText.
var jenkinsVersions = []string{"2.401.3", "2.516.3"}

// TestReaderGetsWhatAStepWrote goes the whole way: the Jenkins double, the client, the
// handler, a reader.
func TestReaderGetsWhatAStepWrote(t *testing.T) {
	for _, version := range jenkinsVersions {
		for name, events := range troubles {
			if version == jenkinsVersions[0] && len(events) > 1 {
				continue // what breaks does not depend on the dialect
			}
			output := stepOutput(2_200_000)
			if events == nil {
				output = slices.Concat(output, longLine, output)
			}
			t.Run("of Jenkins "+version+" "+name, func(t *testing.T) {
				s := startStep(t, version, output, events...)
				api := newAPIServer(t)
				api.set("app-1", running)
				url := serve(t, api, jenkinsSource{s.client(t)}, func(o *Options, _ *httptest.Server) { o.Sleep = s.sleep })
				got := get(t, url+"/logs/shop/app-1?follow=true", goodToken)
				if got.err != nil || got.trailer.Get(TrailerComplete) != "true" {
					t.Errorf("error %v, trailers %v", got.err, got.trailer)
				}
				s.check(t, []byte(got.body))
			})
		}
	}
}

// TestReaderThatReconnects reads a log over many connections, each of which breaks
// anywhere, and goes on behind what it has.
func TestReaderThatReconnects(t *testing.T) {
	s := startStep(t, "2.516.3", stepOutput(2_200_000), troubles["when it crashes twice"]...)
	api := newAPIServer(t)
	api.set("app-1", running)
	url := serve(t, api, jenkinsSource{s.client(t)}, func(o *Options, _ *httptest.Server) { o.Sleep = s.sleep })
	var got bytes.Buffer
	for connection := 1; ; connection++ {
		query := fmt.Sprintf("?follow=true&offset=%d&sum=%x", got.Len(), sha256.Sum256(got.Bytes()))
		complete, err := readSome(t, url+"/logs/shop/app-1"+query, int64(connection*97_001), &got)
		if err != nil {
			t.Fatalf("connection %d: %v", connection, err)
		}
		if complete {
			t.Logf("%d connections", connection)
			if connection < 5 {
				t.Errorf("it took %d connections, want some more", connection)
			}
			break
		}
	}
	s.check(t, got.Bytes())
}

// TestReaderOfABuildThatIsDeleted: what was written arrives, and that it is not all.
func TestReaderOfABuildThatIsDeleted(t *testing.T) {
	output := stepOutput(2_200_000)
	s := startStep(t, "2.516.3", output, doubleEvent{2 * time.Second, restart(jenkinstest.RestartOptions{LoseBuilds: true})})
	api := newAPIServer(t)
	api.set("app-1", running)
	url := serve(t, api, jenkinsSource{s.client(t)}, func(o *Options, _ *httptest.Server) { o.Sleep = s.sleep })
	got := get(t, url+"/logs/shop/app-1?follow=true", goodToken)
	why := got.trailer.Get(TrailerError)
	if got.err != nil || got.trailer.Get(TrailerComplete) != "false" ||
		!strings.HasPrefix(why, fmt.Sprintf("the log ends here, incomplete, after %d bytes: read log of shop/app-1 #1", len(got.body))) {
		t.Errorf("error %v, trailers %v, %d bytes", got.err, got.trailer, len(got.body))
	}
	_, body, _ := strings.Cut(got.body, "~")
	if want := textOf(output); len(body) < 100_000 || !bytes.HasPrefix(want[1:], []byte(body)) {
		t.Errorf("got %d bytes of the step, which are not the beginning of what it wrote", len(body))
	}
}

// textSource is another reader of logs than the client: by progressiveText, whose two
// dialects need two recipes. It is a witness that the double serves the same log in
// every way, not how the product reads one.
type textSource struct {
	*step
	old bool // X-Text-Size is the end of what was sent, else that of the whole log
}

func (s textSource) ReadLog(ctx context.Context, _ string, _ int64, from Position, w io.Writer) (Read, error) {
	read := Read{Next: from, More: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/job/shop/job/app-1/1/logText/progressiveText?start=%d", s.url, from.Offset), nil)
	if err != nil {
		return read, err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return read, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	size, sizeErr := strconv.ParseInt(resp.Header.Get("X-Text-Size"), 10, 64)
	if err := errors.Join(err, sizeErr); err != nil || resp.StatusCode != http.StatusOK {
		return read, fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	raw := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	read.More = resp.Header.Get("X-More-Data") == "true"
	if read.Next.Offset = size; !s.old && read.More {
		read.Next.Offset = from.Offset + int64(len(raw))
	}
	_, err = w.Write(consoleNote.ReplaceAll(raw, nil))
	return read, err
}

func TestEveryWayToReadALogGivesTheSame(t *testing.T) {
	output := bytes.ReplaceAll(stepOutput(1_500_000), []byte("\r\n"), []byte("\n")) // the new dialect cannot count CRLF
	for _, version := range jenkinsVersions {
		for name, source := range map[string]func(*testing.T, *step) Source{
			"progressiveText": func(_ *testing.T, s *step) Source { return textSource{s, version == jenkinsVersions[0]} },
			"progressiveHtml": func(t *testing.T, s *step) Source { return jenkinsSource{s.client(t)} },
		} {
			t.Run(name+" of Jenkins "+version, func(t *testing.T) {
				s := startStep(t, version, output, troubles["when connections break before and after the answer"]...)
				var got bytes.Buffer
				if err := Follow(t.Context(), source(t, s), stepJob, 1, FollowOptions{Sleep: s.sleep}, &got); err != nil {
					t.Fatal(err)
				}
				s.check(t, got.Bytes())
			})
		}
	}
}

// TestFollowReadsOnWhereJenkinsHasMore: Jenkins sends ten thousand lines of a running
// build at once, which is little when they are short.
func TestFollowReadsOnWhereJenkinsHasMore(t *testing.T) {
	s := startStep(t, "2.516.3", nil)
	s.double.AppendLog(stepJob, 1, strings.Repeat("~x\n", 45_000))
	var got bytes.Buffer
	opts := FollowOptions{Once: true, Sleep: func(context.Context, time.Duration) error {
		t.Error("waited for what is there")
		return nil
	}}
	if err := Follow(t.Context(), jenkinsSource{s.client(t)}, stepJob, 1, opts, &got); !errors.Is(err, ErrRunning) {
		t.Fatal(err)
	}
	compare(t, "the log", textOf([]byte(s.log())), got.Bytes())
}
