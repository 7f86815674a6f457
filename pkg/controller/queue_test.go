package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func testQueue(t *testing.T, reconcile func(context.Context, string) Outcome) (*queue[string], Options) {
	t.Helper()
	var o Options
	o.setDefaults()
	return newQueue("test", o, reconcile), o
}

func TestQueue(t *testing.T) {
	tests := map[string]struct {
		reconcile func(try int) Outcome
		want      []time.Duration // when it was looked at after it was added, in milliseconds
	}{
		"done is looked at once":    {func(int) Outcome { return Done{} }, []time.Duration{0}},
		"terminal is, too":          {func(int) Outcome { return Terminal{"Bad", errors.New("bad")} }, []time.Duration{0}},
		"wait is looked at in time": {func(try int) Outcome { return map[bool]Outcome{true: Wait(5 * time.Second), false: Done{}}[try == 1] }, []time.Duration{0, 5000}},
		"an error is tried again later and later, up to a minute": {
			func(try int) Outcome {
				if try == 13 {
					return Done{}
				}
				return Retry{errors.New("no")}
			},
			[]time.Duration{0, 100, 300, 700, 1500, 3100, 6300, 12700, 25500, 51100, 102300, 162300, 222300},
		},
		"a panic is an error": {
			func(try int) Outcome {
				if try == 1 {
					panic("boom")
				}
				return Done{}
			},
			[]time.Duration{0, 100},
		},
		"after a success the delay is short again": {
			func(try int) Outcome {
				switch try {
				case 1, 2, 4:
					return Retry{errors.New("no")}
				case 3:
					return Wait(time.Second)
				}
				return Done{}
			},
			[]time.Duration{0, 100, 300, 1300, 1400},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []time.Duration
				begin := time.Now()
				q, _ := testQueue(t, func(_ context.Context, key string) Outcome {
					got = append(got, time.Since(begin))
					return tc.reconcile(len(got))
				})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- q.Run(ctx, 1) }()
				q.Add("a")
				<-time.After(10 * time.Minute)
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				for i := range got {
					got[i] /= time.Millisecond
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("looks (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestQueueLooksAtOneKeyOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside, looks atomic.Int32
		q, _ := testQueue(t, func(context.Context, string) Outcome {
			if inside.Add(1) > 1 {
				t.Error("two looks at one key at once")
			}
			looks.Add(1)
			<-time.After(time.Second)
			inside.Add(-1)
			return Done{}
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- q.Run(ctx, 8) }()
		for range 20 {
			q.Add("a")
		}
		<-time.After(100 * time.Millisecond)
		q.Add("a") // while it is being looked at: once more
		<-time.After(time.Minute)
		cancel()
		<-ended
		if looks.Load() != 2 {
			t.Errorf("%d looks, want 2", looks.Load())
		}
	})
}

func TestQueueDrains(t *testing.T) {
	for name, tc := range map[string]struct{ takes, want time.Duration }{
		"a look under way ends":               {2 * time.Second, 2 * time.Second},
		"one that takes too long is cut off":  {time.Hour, drainTime},
		"one that was done keeps nobody back": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var looks []string
				q, _ := testQueue(t, func(ctx context.Context, key string) Outcome {
					looks = append(looks, key)
					select {
					case <-time.After(tc.takes):
					case <-ctx.Done():
					}
					return Retry{fmt.Errorf("ended: %w", context.Cause(ctx))}
				})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- q.Run(ctx, 1) }()
				q.Add("a")
				synctest.Wait()
				q.Add("b") // waits behind a, and is left to the next leader
				begin := time.Now()
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if took := time.Since(begin); took != tc.want {
					t.Errorf("it took %s to end, want %s", took, tc.want)
				}
				if tc.takes > 0 && len(looks) != 1 {
					t.Errorf("looked at %v, want a only", looks)
				}
			})
		})
	}
}

func TestQueueCounts(t *testing.T) {
	q, o := testQueue(t, func(_ context.Context, key string) Outcome {
		if key == "bad" {
			panic("boom")
		}
		return Done{}
	})
	ctx, cancel := context.WithCancel(t.Context())
	q.Add("good")
	q.Add("bad")
	ended := make(chan error)
	go func() { ended <- q.Run(ctx, 1) }()
	for testutil.ToFloat64(o.Metrics.panics.WithLabelValues("test")) == 0 || testutil.ToFloat64(o.Metrics.reconciles.WithLabelValues("test", "done")) == 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
	cancel()
	<-ended
	if got := testutil.ToFloat64(o.Metrics.reconciles.WithLabelValues("test", "done")); got != 1 {
		t.Errorf("done = %g, want 1", got)
	}
}
