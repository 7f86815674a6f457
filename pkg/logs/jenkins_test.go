package logs

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
)

// TestFollowThroughTheJenkinsClient follows a log over HTTP as Jenkins serves it, with
// markup, console notes and CRLF, while answers break off, Jenkins restarts, and a
// crash takes the log's end.
func TestFollowThroughTheJenkinsClient(t *testing.T) {
	var raw, want bytes.Buffer // the log as Jenkins stores it, and its text
	ends := []int{0}           // of lines in raw
	var page []string          // the markup of each line
	for i := range 20_000 {
		line := fmt.Sprintf("%05d <b> & \"Grüße\" 世界 🚀 'x'", i)
		note := "\x1b[8mha:////4AAAA==\x1b[0m" // Jenkins leaves these out of the markup
		fmt.Fprintf(&raw, "%s%s\r\n", note, line)
		fmt.Fprintf(&want, "%s\n", line)
		ends = append(ends, raw.Len())
		page = append(page, `<span class="timestamp">`+html.EscapeString(line)+"</span>\r\n")
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	line, requests := 0, 0 // how many lines there are
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/job/shop/job/app-1/7/logText/progressiveHtml" {
			t.Errorf("path is %s", r.URL.Path)
		}
		requests++
		line = min(line+rnd.IntN(600), len(page))
		switch {
		case requests%11 == 0:
			http.Error(w, "Jenkins is getting ready to work", http.StatusServiceUnavailable)
			return
		case requests%17 == 0 && line < len(page):
			line = max(0, line-700) // a crash: the newest lines are not on disk
		}
		start, err := strconv.Atoi(r.URL.Query().Get("start"))
		if err != nil {
			t.Error(err)
		}
		if start > ends[line] {
			start = 0
		}
		first := 0
		for ends[first] < start {
			first++
		}
		w.Header().Set("Content-Type", "text/html;charset=UTF-8")
		w.Header().Set("X-Text-Size", strconv.Itoa(ends[line]))
		if line < len(page) {
			w.Header().Set("X-More-Data", "true")
		}
		body := strings.Join(page[first:line], "")
		if requests%5 == 0 && len(body) > 100 {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			body = body[:rnd.IntN(len(body))] // anywhere: in a tag, an entity, a character
		}
		io.WriteString(w, body)
	}))
	defer server.Close()
	client, err := jenkins.New(jenkins.Config{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	var got bytes.Buffer
	opts := FollowOptions{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	if err := Follow(t.Context(), jenkinsSource{client}, "shop/app-1", 7, opts, &got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		n := 0
		for n < got.Len() && n < want.Len() && got.Bytes()[n] == want.Bytes()[n] {
			n++
		}
		t.Errorf("wrote %d bytes, want %d; they differ from byte %d on", got.Len(), want.Len(), n)
	}
	t.Logf("%d requests", requests)
}

// TestFollowOfALogThatWasCutAndGrewPastItsReader: a Jenkins that crashed lost the end of
// the log, and when it is asked again there is more than before: only its session tells.
func TestFollowOfALogThatWasCutAndGrewPastItsReader(t *testing.T) {
	const begin, lost = "one\ntwo\n", "three\n"
	after := "Resuming build\n" + strings.Repeat("more\n", 100)
	for name, tc := range map[string]struct {
		sessions []string // of the answers in turn, and the last from then on
		logs     []string // likewise
		want     string
		reread   int // answers that start over
	}{
		"in another session": {
			sessions: []string{"a", "b"}, logs: []string{begin + lost, begin + after}, want: begin + lost + after, reread: 1,
		},
		"again and again": {
			sessions: []string{"a", "b", "b", "c"}, logs: []string{begin + lost, begin + after, begin + after, begin + after + "end\n"}, want: begin + lost + after + "end\n", reread: 2,
		},
		"and was not cut at all": {
			sessions: []string{"a", "b"}, logs: []string{begin, begin + lost}, want: begin + lost, reread: 1,
		},
		"or of several Jenkinses that take turns": {
			sessions: []string{"a", "b", "a", "b", "a", "b", "a"}, logs: []string{"1\n", "1\n2\n", "1\n2\n3\n", "1\n2\n3\n4\n"}, want: "1\n2\n3\n4\n", reread: 1,
		},
		"behind a proxy that hides the session": {
			sessions: []string{"", "a", "", "a"}, logs: []string{"1\n", "1\n2\n", "1\n2\n3\n"}, want: "1\n2\n3\n", reread: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			requests, reread := 0, 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				log := tc.logs[min(requests, len(tc.logs)-1)]
				start, _ := strconv.Atoi(r.URL.Query().Get("start"))
				if start > len(log) {
					start = 0
				}
				if start == 0 && requests > 0 {
					reread++
				}
				if session := tc.sessions[min(requests, len(tc.sessions)-1)]; session != "" {
					w.Header().Set("X-Jenkins-Session", session)
				}
				requests++
				w.Header().Set("X-Text-Size", strconv.Itoa(len(log)))
				if requests < 8 {
					w.Header().Set("X-More-Data", "true")
				}
				io.WriteString(w, log[start:])
			}))
			defer server.Close()
			client, err := jenkins.New(jenkins.Config{BaseURL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			var got bytes.Buffer
			if err := Follow(t.Context(), jenkinsSource{client}, "shop/app-1", 7, FollowOptions{Sleep: noSleep}, &got); err != nil {
				t.Fatal(err)
			}
			compare(t, "the log", []byte(tc.want), got.Bytes())
			if reread != tc.reread {
				t.Errorf("read from the beginning %d times, want %d", reread, tc.reread)
			}
		})
	}
}

// TestFollowWaitsForItsReader: the deadline of the client is for Jenkins, not for
// whoever reads.
func TestFollowWaitsForItsReader(t *testing.T) {
	const timeout = 50 * time.Millisecond
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("X-Text-Size", "100000")
		io.WriteString(w, strings.Repeat("0123456789", 10_000))
	}))
	defer server.Close()
	client, err := jenkins.New(jenkins.Config{BaseURL: server.URL, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	slow := writerFunc(func(p []byte) (int, error) {
		return len(p), sleep(t.Context(), 3*timeout)
	})
	if err := Follow(t.Context(), jenkinsSource{client}, "shop/app-1", 7, FollowOptions{Sleep: noSleep}, slow); err != nil {
		t.Fatal(err)
	}
	if requests != 1 {
		t.Errorf("asked Jenkins %d times, want once", requests)
	}
}
