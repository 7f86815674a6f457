package controller_test

import (
	"time"

	"k8s.io/utils/clock"
)

// fastClock runs so many times faster than the real one, from when it was made: what
// waits for 20 s waits for 2.
type fastClock struct {
	start time.Time
	times time.Duration
}

var _ clock.WithTicker = fastClock{}

func (c fastClock) Now() time.Time                  { return c.start.Add(time.Since(c.start) * c.times) }
func (c fastClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
func (c fastClock) real(d time.Duration) time.Duration {
	return max(d/c.times, 1)
}
func (c fastClock) After(d time.Duration) <-chan time.Time { return time.After(c.real(d)) }
func (c fastClock) Sleep(d time.Duration)                  { <-c.After(d) }
func (c fastClock) NewTimer(d time.Duration) clock.Timer {
	return fastTimer{c, time.NewTimer(c.real(d))}
}
func (c fastClock) NewTicker(d time.Duration) clock.Ticker {
	return fastTicker{time.NewTicker(c.real(d))}
}

type fastTimer struct {
	clock fastClock
	timer *time.Timer
}

func (t fastTimer) C() <-chan time.Time        { return t.timer.C }
func (t fastTimer) Stop() bool                 { return t.timer.Stop() }
func (t fastTimer) Reset(d time.Duration) bool { return t.timer.Reset(t.clock.real(d)) }

type fastTicker struct{ ticker *time.Ticker }

func (t fastTicker) C() <-chan time.Time { return t.ticker.C }
func (t fastTicker) Stop()               { t.ticker.Stop() }

func (c fastClock) Tick(d time.Duration) <-chan time.Time { return c.NewTicker(d).C() }
