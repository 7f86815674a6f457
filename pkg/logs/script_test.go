package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// script is a source whose log grows with a clock that only Sleep moves, and to which
// things happen. It writes in odd pieces, so that characters are cut anywhere.
type script struct {
	log      []byte
	rate     int64         // bytes per second
	duration time.Duration // of the build
	now      time.Duration
	rand     *rand.Rand

	events []event // each happens once, at the first read at or after its time
	lost   int64   // bytes at the end of what was readable that are not there now
	last   int64   // how far the latest read came
	reads  int
	resets int
	missed int // reads that failed
}

type event struct {
	at   time.Duration
	fail int   // this many reads fail from here on
	lose int64 // so much of what was read last is gone, and comes back with time
	tear int64 // the next read breaks off after so many bytes
	done bool
}

// buildLog is a log of n bytes with characters of one to four bytes.
func buildLog(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%06d Grüße 世界 🚀 \x1b[32mok\x1b[0m\r\n", i)
	}
	return b.Bytes()[:n]
}

func newScript(log []byte, rate int64, events ...event) *script {
	return &script{
		log: log, rate: rate, duration: time.Duration(int64(len(log))*int64(time.Second)/rate) + time.Second,
		rand: rand.New(rand.NewPCG(1, 2)), events: events,
	}
}

func (s *script) sleep(ctx context.Context, d time.Duration) error {
	s.now += d
	return ctx.Err()
}

// size is how much of the log can be read now.
func (s *script) size() int64 {
	return max(0, min(int64(len(s.log)), int64(s.now.Seconds()*float64(s.rate)))-s.lost)
}

var errScript = errors.New("503 Jenkins is starting")

func (s *script) ReadLog(_ context.Context, _ string, _ int64, from Position, w io.Writer) (Read, error) {
	s.reads++
	s.lost = max(0, s.lost-s.rate) // what was lost is written again, a little later
	tear := int64(-1)
	for i := range s.events {
		e := &s.events[i]
		if e.done || s.now < e.at {
			continue
		}
		if e.fail > 0 {
			e.fail--
			s.missed++
			return Read{Next: from}, errScript
		}
		e.done = true
		if e.lose > 0 {
			s.lost += s.size() - s.last + e.lose
		}
		if e.tear > 0 {
			tear = e.tear
		}
	}
	size := s.size()
	if size < from.Offset+from.Skip {
		s.resets++
		return Read{More: true, Reset: true}, nil
	}
	text := s.log[from.Offset+from.Skip : size]
	for sent := int64(0); len(text) > 0; {
		n := min(1+s.rand.IntN(9000), len(text))
		s.last = from.Offset + from.Skip + sent
		if tear >= 0 && sent+int64(n) > tear {
			s.missed++
			return Read{Next: Position{Offset: from.Offset, Skip: from.Skip + sent}}, io.ErrUnexpectedEOF
		}
		if _, err := w.Write(text[:n]); err != nil {
			return Read{Next: from}, err
		}
		sent += int64(n)
		text = text[n:]
	}
	s.last = size
	return Read{Next: Position{Offset: size}, More: s.now < s.duration || size < int64(len(s.log))}, nil
}

// sequence is a source that gives its answers in turn.
type sequence []answer

type answer struct {
	text string
	read Read
	err  error
}

func fill(s sequence, a answer) {
	for i := range s {
		s[i] = a
	}
}

func (s *sequence) ReadLog(_ context.Context, job string, build int64, _ Position, w io.Writer) (Read, error) {
	if len(*s) == 0 {
		return Read{}, Permanent(fmt.Errorf("script of %s #%d is at its end", job, build))
	}
	a := (*s)[0]
	*s = (*s)[1:]
	if _, err := io.WriteString(w, a.text); err != nil && a.text != "" {
		return Read{}, err
	}
	return a.read, a.err
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
