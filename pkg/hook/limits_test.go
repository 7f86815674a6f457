package hook

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/time/rate"
)

func TestOverloadIs503(t *testing.T) {
	f := newFixture(t)
	if !f.h.budget.acquire(MaxBytesInFlight - 100) {
		t.Fatal("no budget")
	}
	code, a, h := f.send(request(push(nil), shopKey))
	if code != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || a.Error != "too many bytes at once" {
		t.Errorf("bytes: %d, %+v", code, a)
	}
	f.h.budget.release(MaxBytesInFlight - 100)
	for range MaxRequests {
		f.h.slots <- struct{}{}
	}
	if code, a, _ := f.send(request(push(nil), shopKey)); code != http.StatusServiceUnavailable || a.Error != "too many deliveries at once" {
		t.Errorf("requests: %d, %+v", code, a)
	}
	for range MaxRequests {
		<-f.h.slots
	}
	if code, _, _ := f.send(request(push(nil), shopKey)); code != http.StatusAccepted || f.h.budget.used() != 0 {
		t.Errorf("afterwards: %d, %d bytes held", code, f.h.budget.used())
	}
}

// Security: a body larger than the cap, with and without a length, and bodies of
// every size up to it.
func TestBodiesAreBounded(t *testing.T) {
	f := newFixture(t)
	huge := request(push(nil), shopKey)
	huge.Body = io.NopCloser(io.LimitReader(zeros{}, 200<<20))
	huge.ContentLength = -1
	if code, _, _ := f.send(huge); code != http.StatusRequestEntityTooLarge {
		t.Errorf("200 MB without a length: %d", code)
	}
	for _, n := range []int{0, 1, readChunk - 1, readChunk, readChunk + 1, trustedBytes, 3 << 20, MaxBody} {
		for _, length := range []int64{int64(n), -1} {
			r := httptest.NewRequest(http.MethodPost, shopPath, io.LimitReader(zeros{}, int64(n)))
			r.ContentLength = length
			memory := lease{of: f.h.budget}
			body, a, ok := f.h.read(httptest.NewRecorder(), r, &memory, MaxBody)
			if !ok || len(body) != n || int64(cap(body)) > f.h.budget.used() {
				t.Errorf("%d bytes (length %d): %d read, %d held, budget %d, %+v", n, length, len(body), cap(body), f.h.budget.used(), a)
			}
			memory.end()
		}
	}
	if f.h.budget.used() != 0 {
		t.Errorf("%d bytes are still held", f.h.budget.used())
	}
}

type zeros struct{}

// Security: strangers make no metric series and no unbounded log.
func TestStrangersMakeNoSeriesAndFewLines(t *testing.T) {
	f := newFixture(t)
	for i := range 300 {
		r := request(push(nil), "a wrong key of a stranger")
		r.Header.Set("X-GitHub-Event", fmt.Sprint("event-", i))
		if i%2 == 0 {
			r.URL.Path = fmt.Sprintf("/hooks/%032x", i)
		}
		f.send(r)
	}
	if n, err := testutil.GatherAndCount(f.reg, "kubectl_pipeline_webhook_deliveries_total"); err != nil || n > 4 {
		t.Errorf("%d series, %v", n, err)
	}
	if n := strings.Count(f.log.String(), "\n"); n > 20 {
		t.Errorf("%d lines for 300 refusals", n)
	}
	for i := range 30 { // authentic, but the event is the sender's text
		r := request(push(nil), shopKey)
		r.Header.Set("X-GitHub-Event", fmt.Sprint("event-", i))
		f.send(r)
	}
	if n, err := testutil.GatherAndCount(f.reg, "kubectl_pipeline_webhook_deliveries_total"); err != nil || n > 5 {
		t.Errorf("%d series, %v", n, err)
	}
}

// Security: slow clients hold a connection for a while and nothing else.
func TestSlowClientsDoNotStopOthers(t *testing.T) {
	f := newFixture(t)
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, NewServer(f.h, slog.New(slog.DiscardHandler))) }()
	addr := l.Addr().String()
	var slow []net.Conn
	for i := range 500 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
		if i%2 == 0 {
			_, _ = io.WriteString(c, "POST "+shopPath+" HTTP/1.1\r\nHost: x\r\nContent-Le")
		} else if i < 200 {
			_, _ = io.WriteString(c, "POST "+shopPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 26214400\r\n\r\n{")
		}
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i := range 20 {
		r := request(push(func(m map[string]any) { m["compare"] = fmt.Sprint(i) }), shopKey)
		r.Header.Set("X-GitHub-Delivery", fmt.Sprint("delivery-", i))
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", addr
		res, err := client.Do(r)
		if err != nil {
			t.Fatalf("delivery %d among slow clients: %v", i, err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			t.Errorf("delivery %d among slow clients: %d", i, res.StatusCode)
		}
	}
	if held := f.h.budget.used(); held > 100*readChunk {
		t.Errorf("100 slow bodies hold %d bytes", held)
	}
	for _, c := range slow {
		_ = c.Close()
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Security: a body that comes too slowly is given up.
func TestSlowBodyIsGivenUp(t *testing.T) {
	f := newFixture(t)
	f.h.readTimeout = 100 * time.Millisecond
	srv := httptest.NewServer(f.h)
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "POST "+shopPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
		t.Errorf("answer %q, %v, want 400 and the end of the connection", answer, err)
	}
	if f.h.budget.used() != 0 {
		t.Errorf("%d bytes are still held", f.h.budget.used())
	}
}

// Security: a loop of authentic deliveries is slowed down.
func TestDeliveriesOfARepositoryAreRateLimited(t *testing.T) {
	f := newFixture(t)
	f.h.rates.Add("team/shop", rate.NewLimiter(0, 1))
	if code, _, _ := f.send(request(push(nil), shopKey)); code != http.StatusAccepted {
		t.Errorf("the first: %d", code)
	}
	code, _, h := f.send(request(push(nil), shopKey))
	if code != http.StatusTooManyRequests || h.Get("Retry-After") == "" {
		t.Errorf("the second: %d, %v", code, h)
	}
}
