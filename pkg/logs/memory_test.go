package logs

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"
)

// TestFollowMemory measures what many streams hold together while they wait, each in
// the middle of a long log.
func TestFollowMemory(t *testing.T) {
	const streams, want = 32, 512 << 10
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
	if each > want {
		t.Errorf("a stream holds %d bytes, want at most %d", each, want)
	}
	runtime.KeepAlive(log)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
