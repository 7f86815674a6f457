package hook

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Largest authentic deliveries at once: some are told to come back, none takes more
// memory than the limits say.
func TestLargestDeliveriesStayWithinTheBudget(t *testing.T) {
	f := newFixture(t)
	f.h.createTimeout = time.Minute // what is measured is memory, not time
	var commits []any
	for i := range 2048 {
		var files []any
		for j := range 100 {
			files = append(files, fmt.Sprintf("dir-%d/%s-%d", i, strings.Repeat("x", 90), j))
		}
		commits = append(commits, map[string]any{"id": fmt.Sprintf("%040x", i), "added": files})
	}
	body := push(func(m map[string]any) { m["commits"] = commits })
	if len(body) < 20<<20 || len(body) > MaxBody {
		t.Fatalf("the body has %d bytes: the test shows nothing", len(body))
	}
	commits = nil
	runtime.GC()
	var base runtime.MemStats
	runtime.ReadMemStats(&base)
	var most atomic.Uint64
	stop := make(chan struct{})
	var sampler, senders sync.WaitGroup
	sampler.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapAlloc))
			}
		}
	})
	signature := request(body, shopKey).Header
	codes := make([]int, 8)
	for i := range codes {
		senders.Go(func() {
			r := httptest.NewRequest(http.MethodPost, shopPath, bytes.NewReader(body))
			r.Header = signature.Clone()
			w := httptest.NewRecorder()
			f.h.ServeHTTP(w, r)
			codes[i] = w.Code
		})
	}
	senders.Wait()
	close(stop)
	sampler.Wait()
	good := 0
	for _, c := range codes {
		switch c {
		case 200, 202:
			good++
		case 503:
		default:
			t.Errorf("answers %v", codes)
		}
	}
	if good == 0 {
		t.Errorf("answers %v, want at least one accepted", codes)
	}
	grown := int64(most.Load()) - int64(base.HeapAlloc)
	if grown > MaxBytesInFlight+32<<20 {
		t.Errorf("heap grew by %d MiB, wanted little more than the budget of %d MiB", grown>>20, MaxBytesInFlight>>20)
	}
	t.Logf("answers %v, heap grew by %d MiB, body %d MiB", codes, grown>>20, len(body)>>20)
}
