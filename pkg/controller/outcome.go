package controller

import "time"

// Outcome is what came of one look at one key.
type Outcome interface{ label() string }

// Done: nothing is due until something changes.
type Done struct{}

// Wait: look again after this time, or when something changes.
type Wait time.Duration

// Retry: something went wrong that may go right later; look again with growing delay.
type Retry struct{ Err error }

// Terminal: it cannot go right until somebody changes the object, which is a change.
type Terminal struct {
	Reason string
	Err    error
}

func (Done) label() string     { return "done" }
func (Wait) label() string     { return "wait" }
func (Retry) label() string    { return "retry" }
func (Terminal) label() string { return "terminal" }
