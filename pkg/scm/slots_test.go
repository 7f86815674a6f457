package scm

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestAHostThatHangsDelaysItsOwn: its calls take all slots of their host, and nobody
// else's.
func TestAHostThatHangsDelaysItsOwn(t *testing.T) {
	ctx := t.Context()
	s := newSlots(2, 4, time.Millisecond)
	take := func(host string) func() {
		t.Helper()
		release, err := s.take(ctx, host)
		if err != nil {
			t.Fatalf("slot of %s: %v", host, err)
		}
		return release
	}
	hangs := []func(){take("slow.example"), take("slow.example")}
	if _, err := s.take(ctx, "slow.example"); !errors.Is(err, errHostBusy) {
		t.Errorf("a third call of a host that hangs: %v, want %v", err, errHostBusy)
	}
	others := []func(){take("fast.example"), take("other.example")}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.take(ended, "fifth.example"); !errors.Is(err, context.Canceled) {
		t.Errorf("a fifth call of four: %v", err)
	}
	hangs[0]()
	others = append(others, take("slow.example"))
	for _, release := range append(hangs[1:], others...) {
		release()
	}
	if len(s.hosts) != 0 || len(s.all) != 0 {
		t.Errorf("left: %d hosts, %d slots", len(s.hosts), len(s.all))
	}
}
