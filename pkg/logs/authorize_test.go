package logs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestHandlerRemembersGoodTokensForAMinute(t *testing.T) {
	api := newAPIServer(t)
	now := time.Unix(0, 0)
	r := newReviewer(api.clients(t).CoreREST(), func() time.Time { return now })
	for _, step := range []struct {
		token   string
		after   time.Duration
		ok      bool
		reviews int64 // in all
	}{
		{goodToken, 0, true, 1},
		{goodToken, 59 * time.Second, true, 1},
		{goodToken, time.Second, true, 2},
		{"guess", 0, false, 3},
		{"guess", 0, false, 4},
	} {
		now = now.Add(step.after)
		_, err := r.user(t.Context(), step.token)
		if (err == nil) != step.ok || api.reviews.Load() != step.reviews {
			t.Errorf("%q at %s: error %v, %d reviews, want %d", step.token, now.Sub(time.Unix(0, 0)), err, api.reviews.Load(), step.reviews)
		}
	}
	for i := range 3 * maxVerdicts {
		r.remember(sha256.Sum256(fmt.Append(nil, i)), "user")
	}
	if n := len(r.verdicts); n > maxVerdicts {
		t.Errorf("remembers %d tokens, want at most %d", n, maxVerdicts)
	}
	var err error
	for range 2 * reviewBurst {
		if _, err = r.user(t.Context(), "guess"); errors.Is(err, errBusy) {
			break
		}
	}
	if !errors.Is(err, errBusy) {
		t.Errorf("strangers can make any number of reviews: %v", err)
	}
}
