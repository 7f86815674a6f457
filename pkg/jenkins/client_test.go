package jenkins_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// verbs is every verb, as an error.
func verbs(c *jenkins.Client) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Ping":         func(ctx context.Context) error { _, err := c.Ping(ctx); return err },
		"EnsureFolder": func(ctx context.Context) error { return c.EnsureFolder(ctx, "shop") },
		"EnsureJob":    func(ctx context.Context) error { _, err := c.EnsureJob(ctx, job("echo('x')\n")); return err },
		"Start": func(ctx context.Context) error {
			_, err := c.Start(ctx, ref, jenkins.Params{UID: "u"})
			return err
		},
		"Find":     func(ctx context.Context) error { _, err := c.Find(ctx, ref, "u"); return err },
		"Build":    func(ctx context.Context) error { _, err := c.Build(ctx, ref, 1); return err },
		"Item":     func(ctx context.Context) error { _, err := c.Item(ctx, 1); return err },
		"Snapshot": func(ctx context.Context) error { _, err := c.Snapshot(ctx, "shop"); return err },
		"Stages":   func(ctx context.Context) error { _, err := c.Stages(ctx, ref, 1); return err },
		"Log": func(ctx context.Context) error {
			_, err := c.Log(ctx, ref, 1, jenkins.LogPosition{}, io.Discard)
			return err
		},
		"LogTail":       func(ctx context.Context) error { _, err := c.LogTail(ctx, ref, 1, 100); return err },
		"Stop":          func(ctx context.Context) error { return c.Stop(ctx, ref, 1) },
		"Term":          func(ctx context.Context) error { return c.Term(ctx, ref, 1) },
		"Kill":          func(ctx context.Context) error { return c.Kill(ctx, ref, 1) },
		"CancelQueue":   func(ctx context.Context) error { _, err := c.CancelQueue(ctx, 1); return err },
		"PauseState":    func(ctx context.Context) error { _, _, err := c.PauseState(ctx, ref, 1); return err },
		"SetPaused":     func(ctx context.Context) error { return c.SetPaused(ctx, ref, 1, true) },
		"PendingInputs": func(ctx context.Context) error { _, err := c.PendingInputs(ctx, ref, 1); return err },
		"Proceed":       func(ctx context.Context) error { _, err := c.Proceed(ctx, ref, 1, "A"); return err },
		"AbortInput":    func(ctx context.Context) error { _, err := c.AbortInput(ctx, ref, 1, "A"); return err },
		"Gone":          func(ctx context.Context) error { return c.Gone(ctx, ref, "u") },
		"DeleteJob":     func(ctx context.Context) error { return c.DeleteJob(ctx, ref, "u") },
		"DeleteFolder":  func(ctx context.Context) error { return c.DeleteFolder(ctx, "shop") },
	}
}

// reads are the verbs that believe what they read: a page with status 200 must not be taken for an answer.
var reads = []string{"Ping", "Find", "Build", "Item", "Snapshot", "Stages", "Log", "LogTail", "PauseState", "SetPaused", "PendingInputs"}

func TestEveryVerbSurvivesWhatIsNotJenkins(t *testing.T) {
	html := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html;charset=utf-8")
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html><script>var s='secret'</script><body>A <b>page</b></body></html>")
		}
	}
	drop := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		is      func(error) bool
		only    []string // verbs to check; nil: all
	}{
		"503 while it starts":     {html(503), jenkins.IsTemporary, nil},
		"502 of a proxy":          {html(502), jenkins.IsTemporary, nil},
		"500":                     {html(500, "X-Jenkins-Session", "s"), jenkins.IsTemporary, without("CancelQueue")}, // there it means "has just left"
		"a dropped connection":    {drop, jenkins.IsTemporary, nil},
		"401":                     {html(401), jenkins.IsUnauthorized, nil},
		"403 for nobody":          {html(403), jenkins.IsUnauthorized, nil},
		"403 for a permission":    {html(403, "X-Required-Permission", "hudson.model.Item.Build", "X-You-Are-Authenticated-As", "u"), jenkins.IsForbidden, nil},
		"a login form":            {html(200), jenkins.IsTemporary, nil},
		"half a document":         {truncated, jenkins.IsTemporary, reads},
		"broken JSON":             {text(`{"jobs":[`), jenkins.IsTemporary, reads},
		"JSON of other types":     {text(`{"jobs":3,"builds":"x","number":[],"stages":1,"id":{},"items":4,"data":5,"quietingDown":"maybe","useCrumbs":[]}`), jenkins.IsTemporary, reads},
		"an answer without end":   {endless, jenkins.IsTemporary, []string{"Ping", "Find", "Build"}},
		"a redirect to elsewhere": {redirect("/login?from=x"), func(err error) bool { return err != nil }, without("EnsureJob", "EnsureFolder")},
	} {
		t.Run(name, func(t *testing.T) {
			c := rawPair(t, tc.handler)
			for verb, run := range verbs(c) {
				if tc.only != nil && !slices.Contains(tc.only, verb) {
					continue
				}
				err := run(context.Background())
				if !tc.is(err) {
					t.Errorf("%s: %v (%T)", verb, err, err)
				}
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("%s: a script of the page is in the error: %v", verb, err)
				}
			}
		})
	}
}

func without(names ...string) []string {
	var left []string
	for verb := range verbs(nil) {
		if !slices.Contains(names, verb) {
			left = append(left, verb)
		}
	}
	return left
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		w.Header().Set("X-Jenkins-Session", "abcd1234")
		_, _ = io.WriteString(w, body)
	}
}

func truncated(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, `{"jobs":[`)
}

func endless(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	for {
		if _, err := io.WriteString(w, strings.Repeat(" ", 64<<10)); err != nil {
			return
		}
	}
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

func TestDeadlines(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	slow := func(w http.ResponseWriter, r *http.Request) { // headers, then nothing
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Text-Size", "10")
		w.Header().Set("X-More-Data", "true")
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for name, h := range map[string]http.HandlerFunc{"a server that is silent": silent, "a body that never comes": slow} {
		t.Run(name, func(t *testing.T) {
			c := rawPair(t, h, func(c *jenkins.Config) { c.Timeout = 50 * time.Millisecond })
			for _, verb := range reads {
				err := verbs(c)[verb](context.Background())
				if !jenkins.IsTemporary(err) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v, want a temporary error for the deadline", verb, err)
				}
			}
		})
	}
	t.Run("the caller's own end is no fault of Jenkins", func(t *testing.T) {
		c := rawPair(t, silent)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for verb, run := range verbs(c) {
			if err := run(ctx); !errors.Is(err, context.Canceled) || jenkins.IsTemporary(err) {
				t.Errorf("%s: %v, want the cancellation", verb, err)
			}
		}
	})
}

func TestStartTellsWhetherSomethingMayRun(t *testing.T) {
	answer := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		}
	}
	const session = "X-Jenkins-Session"
	for name, tc := range map[string]struct {
		handler            http.HandlerFunc
		unknown, untouched bool // ErrUnknownOutcome, ErrNotTriggered
		queued             int64
	}{
		"created":                    {answer(201, session, "s", "Location", "http://elsewhere:1/ctx/queue/item/42/"), false, false, 42},
		"coalesced":                  {answer(303, session, "s", "Location", "/queue/item/43/"), false, false, 43},
		"created, without a place":   {answer(201, session, "s"), false, false, 0},
		"refused":                    {answer(302, session, "s", "Location", "."), false, true, 0},
		"connection lost":            {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true, false, 0},
		"500":                        {answer(500, session, "s"), true, false, 0},
		"504 of a proxy":             {answer(504), true, false, 0},
		"200 of a proxy":             {answer(200), true, false, 0},
		"201 of nobody we know":      {answer(201, "Location", "/queue/item/44/"), true, false, 0},
		"404":                        {answer(404, session, "s"), false, false, -1},
		"409":                        {answer(409, session, "s"), false, false, -1},
		"403":                        {answer(403, session, "s"), false, false, -1},
		"a redirect to a login form": {answer(302, "Location", "http://sso/login"), false, false, -1},
	} {
		t.Run(name, func(t *testing.T) {
			var posts atomic.Int32
			c := rawPair(t, func(w http.ResponseWriter, r *http.Request) { posts.Add(1); tc.handler(w, r) })
			q, err := c.Start(context.Background(), ref, jenkins.Params{UID: "u", Attempt: 1})
			if errors.Is(err, jenkins.ErrUnknownOutcome) != tc.unknown || errors.Is(err, jenkins.ErrNotTriggered) != tc.untouched {
				t.Errorf("error = %v", err)
			}
			if wantErr := tc.unknown || tc.untouched || tc.queued < 0; wantErr != (err != nil) || err == nil && q.QueueID != tc.queued {
				t.Errorf("queued = %+v, %v", q, err)
			}
			if n := posts.Load(); n != 1 {
				t.Errorf("%d requests, want 1: a trigger is never repeated", n)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ok(t, err)
		c := newClient(t, jenkins.Config{BaseURL: "http://" + l.Addr().String()})
		defer c.Close()
		ok(t, l.Close())
		_, err = c.Start(context.Background(), ref, jenkins.Params{UID: "u"})
		if errors.Is(err, jenkins.ErrUnknownOutcome) || !jenkins.IsTemporary(err) {
			t.Errorf("error = %v, want a temporary one with a known outcome: nothing was sent", err)
		}
	})
}

// A kept-alive connection that the server closes while a request is written is where HTTP clients like to repeat.
func TestAPostIsNotRepeatedOnAConnectionThatDies(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	var posts atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 64<<10)
			n, _ := conn.Read(buf)
			if strings.HasPrefix(string(buf[:n]), "GET") {
				body := `{"_class":"x"}`
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-Jenkins: 2.5\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				n, _ = conn.Read(buf)
			}
			if strings.HasPrefix(string(buf[:n]), "POST") {
				posts.Add(1)
			}
			_ = conn.Close()
		}
	}()
	c := newClient(t, jenkins.Config{BaseURL: "http://" + l.Addr().String()})
	must[jenkins.Info](t)(c.Ping(context.Background()))
	_, err = c.Start(context.Background(), ref, jenkins.Params{UID: "u"})
	if !errors.Is(err, jenkins.ErrUnknownOutcome) {
		t.Errorf("error = %v, want an unknown outcome", err)
	}
	c.Close()
	ok(t, l.Close())
	<-done
	if n := posts.Load(); n != 1 {
		t.Errorf("%d POSTs, want 1", n)
	}
}

func TestLostAnswerLeavesEvidence(t *testing.T) {
	ctx := context.Background()
	agents, release := hold()
	defer release()
	p := newPair(t, jenkinstest.Options{Agents: agents})
	if ev := must[jenkins.Evidence](t)(p.Find(ctx, ref, "uid-1")); ev.Exists || ev.Triggered() {
		t.Errorf("evidence without a job = %+v", ev)
	}
	must[bool](t)(p.EnsureJob(ctx, job(pipelineOf(oneStep))))
	if ev := must[jenkins.Evidence](t)(p.Find(ctx, ref, "uid-1")); !ev.Exists || ev.Triggered() || ev.NextBuild != 1 {
		t.Errorf("evidence before = %+v", ev)
	}
	p.double.Spoil(jenkinstest.Fault{Method: "POST", Path: "buildWithParameters", DropAfter: true})
	if _, err := p.Start(ctx, ref, jenkins.Params{UID: "uid-1", Attempt: 1}); !errors.Is(err, jenkins.ErrUnknownOutcome) {
		t.Fatalf("error = %v", err)
	}
	ev := must[jenkins.Evidence](t)(p.Find(ctx, ref, "uid-1"))
	if !ev.Triggered() || len(ev.Builds) != 1 || ev.Builds[0].Attempt != 1 || ev.NextBuild != 2 {
		t.Errorf("evidence = %+v, want one build", ev)
	}
	q := must[jenkins.Queued](t)(p.Start(ctx, ref, jenkins.Params{UID: "uid-1", Attempt: 2}))
	ev = must[jenkins.Evidence](t)(p.Find(ctx, ref, "uid-1"))
	if ev.QueueItem == nil || ev.QueueItem.ID != q.QueueID || ev.QueueItem.Attempt != 2 || !ev.InQueue {
		t.Errorf("evidence = %+v, want an item in the queue as well", ev)
	}
	if other := must[jenkins.Evidence](t)(p.Find(ctx, ref, "uid-2")); other.Triggered() || other.Foreign != 1 {
		t.Errorf("evidence for another execution = %+v", other)
	}
	if again := must[jenkins.Queued](t)(p.Start(ctx, ref, jenkins.Params{UID: "uid-1", Attempt: 2})); !again.Coalesced || again.QueueID != q.QueueID {
		t.Errorf("the same trigger while it waits = %+v, want it coalesced", again)
	}
	if left := must[jenkins.LeftItem](t)(p.Item(ctx, q.QueueID)); left.Waiting == nil || left.Waiting.UID != "uid-1" {
		t.Errorf("item = %+v", left)
	}
	if done := must[bool](t)(p.CancelQueue(ctx, q.QueueID)); !done {
		t.Error("the item was not cancelled")
	}
	if left := must[jenkins.LeftItem](t)(p.Item(ctx, q.QueueID)); !left.Cancelled || left.Build != 0 || left.Waiting != nil {
		t.Errorf("item = %+v", left)
	}
	for _, id := range []int64{q.QueueID, 999} {
		if done := must[bool](t)(p.CancelQueue(ctx, id)); done {
			t.Errorf("item %d was cancelled again", id)
		}
	}
}

func TestCrumbs(t *testing.T) {
	ctx := context.Background()
	p := newPair(t, jenkinstest.Options{User: "u", Password: "pw", Crumbs: true}, func(c *jenkins.Config) { c.Token = "pw" })
	count := func(part string) int {
		n := 0
		for _, r := range p.double.Requests() {
			if strings.Contains(r, part) {
				n++
			}
		}
		return n
	}
	for i := range 3 {
		ok(t, p.EnsureFolder(ctx, fmt.Sprint("f", i)))
	}
	if n := count("crumbIssuer"); n != 1 {
		t.Errorf("%d crumbs for three POSTs, want 1", n)
	}
	p.double.Restart(jenkinstest.RestartOptions{})
	ok(t, p.EnsureFolder(ctx, "f4"))
	if n := count("crumbIssuer"); n != 1 {
		t.Errorf("%d crumbs after a restart, want 1", n)
	}
	p.double.Spoil(jenkinstest.Fault{Method: "POST", Crumb: true})
	ok(t, p.EnsureFolder(ctx, "f5"))
	p.double.Spoil(jenkinstest.Fault{Method: "POST", Crumb: true, Times: 2})
	if err := p.EnsureFolder(ctx, "f6"); err == nil || jenkins.IsUnauthorized(err) {
		t.Errorf("error of two refused crumbs = %v", err)
	}
	if n := count("createItem"); n != 4 {
		t.Errorf("%d POSTs, want 4: one retry each", n)
	}

	token := newPair(t, jenkinstest.Options{User: "u", Token: "tok", Crumbs: true})
	ok(t, token.EnsureFolder(ctx, "f"))
	if got := token.double.Requests(); len(got) != 1 {
		t.Errorf("requests with an API token = %v, want the POST alone", got)
	}
}

func TestSessionIsFollowed(t *testing.T) {
	ctx := context.Background()
	p := newPair(t, jenkinstest.Options{})
	before := must[jenkins.Info](t)(p.Ping(ctx)).Session
	p.double.Restart(jenkinstest.RestartOptions{})
	after := must[jenkins.Info](t)(p.Ping(ctx)).Session
	if before == after || p.Session() != after {
		t.Errorf("sessions %s, %s, client has %s", before, after, p.Session())
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, bad := range []string{"", "jenkins:8080", "ftp://x", "http://", "http://u:p@x", "http://x?a=b", "http://x#f", "http://[", "://"} {
		if c, err := jenkins.New(jenkins.Config{BaseURL: bad}); err == nil {
			t.Errorf("New(%q) = %v, want an error", bad, c)
		} else if strings.Contains(err.Error(), ":p@") {
			t.Errorf("New(%q): the password is in the error: %v", bad, err)
		}
	}
}
