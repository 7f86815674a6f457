package logs_test

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
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/logs"
)

// jenkinsSource is how the real client is a source.
type jenkinsSource struct{ client *jenkins.Client }

func (s jenkinsSource) ReadLog(ctx context.Context, job string, build int64, from logs.Position, w io.Writer) (logs.Read, error) {
	folder, name, _ := strings.Cut(job, "/")
	read, err := s.client.Log(ctx, jenkins.JobRef{Folder: folder, Name: name}, int(build), jenkins.LogPosition(from), w)
	if err != nil && !jenkins.IsTemporary(err) {
		err = logs.Permanent(err)
	}
	return logs.Read{Next: logs.Position(read.Next), More: read.More, Reset: read.Reset}, err
}

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
	opts := logs.FollowOptions{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	if err := logs.Follow(t.Context(), jenkinsSource{client}, "shop/app-1", 7, opts, &got); err != nil {
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
