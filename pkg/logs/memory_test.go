package logs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
)

const maxPerStream = 512 << 10

// TestFollowMemory measures what many streams hold together while they wait, each in
// the middle of a long log.
func TestFollowMemory(t *testing.T) {
	const streams = 32
	log := buildLog(8 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	waiting, ended := make(chan struct{}, streams), make(chan error, streams)
	before := heap()
	for range streams {
		go func() {
			src := newScript(log, 1<<20, event{at: 3 * time.Second, lose: 1 << 21}) // a replay, too
			ended <- Follow(ctx, src, "shop/app", 1, FollowOptions{Sleep: func(ctx context.Context, d time.Duration) error {
				if src.now > 7*time.Second {
					waiting <- struct{}{}
					<-ctx.Done()
				}
				return src.sleep(ctx, d)
			}}, io.Discard)
		}()
	}
	for range streams {
		<-waiting
	}
	each := (heap() - before) / streams
	cancel()
	for range streams {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	t.Logf("%d KiB per stream", each>>10)
	if each > maxPerStream {
		t.Errorf("a stream holds %d bytes, want at most %d", each, maxPerStream)
	}
	runtime.KeepAlive(log)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools let go of
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// longLog is a Jenkins whose log is a piece of markup over and over, so that it can be
// of any length and nobody holds it.
type longLog struct {
	markup string // with the text of one of its repetitions
	text   string
	times  int
}

func newLongLog(size int) longLog {
	text := strings.Repeat("a line of <b>log</b> & more 世界\n", 200) + strings.Repeat("x", 1<<20) + "\n"
	markup := strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", "\n", "\r\n").Replace(text)
	return longLog{markup, text, size/len(text) + 1}
}

func (l longLog) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Text-Size", strconv.Itoa(l.times*len(l.text)))
	for range l.times {
		if _, err := io.WriteString(w, l.markup); err != nil {
			return
		}
	}
}

func (l longLog) sum() string {
	h := sha256.New()
	for range l.times {
		io.WriteString(h, l.text)
	}
	return fmt.Sprintf("%d bytes %x", l.times*len(l.text), h.Sum(nil))
}

// serveLong runs a handler in front of a Jenkins with a long log.
func serveLong(t testing.TB, log longLog) (url string) {
	t.Helper()
	server := httptest.NewServer(log)
	client, err := jenkins.New(jenkins.Config{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	api := newAPIServer(t)
	api.set("app-1", running)
	return serve(t, api, jenkinsSource{client}) + "/logs/shop/app-1"
}

// openLog begins to read a log.
func openLog(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(HeaderToken, goodToken)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.Join(fmt.Errorf("status is %d", resp.StatusCode), resp.Body.Close())
	}
	return resp, err
}

type summed struct {
	hash.Hash
	n int64
}

func (s *summed) Write(p []byte) (int, error) { s.n += int64(len(p)); return s.Hash.Write(p) }
func (s *summed) String() string              { return fmt.Sprintf("%d bytes %x", s.n, s.Sum(nil)) }

func TestReaderGetsALongLogWithLongLines(t *testing.T) {
	log := newLongLog(120 << 20)
	resp, err := openLog(t.Context(), serveLong(t, log))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := &summed{Hash: sha256.New()}
	if _, err := io.Copy(got, resp.Body); err != nil {
		t.Fatal(err)
	}
	if want := log.sum(); got.String() != want || resp.Trailer.Get(TrailerComplete) != "true" {
		t.Errorf("got %s, trailers %v; want %s", got, resp.Trailer, want)
	}
}

// streamMemory is what a stream holds of a long log, with its share of both sides'
// connections: its reader has taken some megabytes and takes no more, so that every
// buffer between it and Jenkins is full.
func streamMemory(t testing.TB, streams int) int64 {
	t.Helper()
	url := serveLong(t, newLongLog(1<<30))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp, err := openLog(ctx, url) // what is made once
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	full, ended := make(chan error, streams), make(chan struct{}, streams)
	before := heap()
	for range streams {
		go func() {
			defer func() { ended <- struct{}{} }()
			resp, err := openLog(ctx, url)
			if err == nil {
				defer resp.Body.Close()
				_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
			}
			full <- err
			<-ctx.Done()
		}()
	}
	for range streams {
		if err := <-full; err != nil {
			t.Error(err)
		}
	}
	each := (heap() - before) / int64(streams)
	cancel()
	for range streams {
		<-ended
	}
	return each
}

func TestStreamMemory(t *testing.T) {
	each := streamMemory(t, 50)
	t.Logf("%d KiB per stream", each>>10)
	if each > maxPerStream {
		t.Errorf("a stream holds %d bytes, want at most %d", each, maxPerStream)
	}
}
