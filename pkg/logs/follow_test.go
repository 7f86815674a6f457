package logs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFollowWritesEveryByteOnce(t *testing.T) {
	const size, rate = 20 << 20, 1 << 20
	log := buildLog(size)
	for name, events := range map[string][]event{
		"at 1 MB/s": nil,
		"when reads break off in the middle of an answer": {
			{at: 3 * time.Second, tear: 500_000}, {at: 5 * time.Second, tear: 1}, {at: 9 * time.Second, tear: 70_001},
		},
		"when Jenkins restarts and is away for a while":           {{at: 7 * time.Second, fail: 20}},
		"when a crash takes the end of the log, which comes back": {{at: 7 * time.Second, fail: 3, lose: 30_000}},
		"when it crashes again and again": {
			{at: 2 * time.Second, lose: 64 << 10}, {at: 6 * time.Second, lose: 1}, {at: 10 * time.Second, fail: 1, lose: 50_000}, {at: 16 * time.Second, lose: 33},
		},
		"when an answer breaks off and then the log is cut": {{at: 3 * time.Second, tear: 300_000}, {at: 4 * time.Second, lose: 60_000}},
		// Far more than is kept in memory, but it is the same log that comes back.
		"when a crash takes 3 MB, which come back": {{at: 8 * time.Second, lose: 3 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			src := newScript(log, rate, events...)
			sum, n := sha256.New(), int64(0)
			err := Follow(t.Context(), src, "shop/app", 1, FollowOptions{Sleep: src.sleep}, writerFunc(func(p []byte) (int, error) {
				n += int64(len(p))
				return sum.Write(p)
			}))
			if err != nil {
				t.Fatal(err)
			}
			if want := sha256.Sum256(log); n != size || !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Errorf("wrote %d bytes with another sum, want %d", n, size)
			}
			cuts := 0
			for _, e := range src.events {
				if !e.done {
					t.Errorf("event at %s never happened", e.at)
				}
				if e.lose > 0 {
					cuts++
				}
			}
			if src.resets < cuts {
				t.Errorf("the log was shorter than what was read of it %d times, want %d", src.resets, cuts)
			}
		})
	}
}

func TestFollowOfALogThatWentOnOtherwiseAfterACrash(t *testing.T) {
	var out bytes.Buffer
	src := sequence{
		{text: "one\ntwo\nthree\n", read: Read{Next: Position{Offset: 14}, More: true}},
		{read: Read{More: true, Reset: true}},
		{text: "one\ntwo\nResuming build\n", read: Read{Next: Position{Offset: 23}, More: true}},
		{read: Read{More: true, Reset: true}}, // and once more: it is the new log that counts now
		{text: "one\ntwo\nResuming build\nend\n", read: Read{Next: Position{Offset: 27}}},
	}
	if err := Follow(t.Context(), &src, "shop/app", 1, FollowOptions{Sleep: noSleep}, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("one\ntwo\nthree\nResuming build\nend\n", out.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestFollowNeverGuessesWhereItWas(t *testing.T) {
	log := buildLog(3 * historySize)
	other := bytes.Clone(log)
	other[10] ^= 1
	for name, last := range map[string]answer{
		"when the beginning changed":                                         {text: string(other) + "more", read: Read{}},
		"when the log ends before the part that is kept, so cannot be known": {text: string(log[:1000]), read: Read{}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			src := sequence{
				{text: string(log), read: Read{Next: Position{Offset: int64(len(log))}, More: true}},
				{read: Read{More: true, Reset: true}},
				last,
			}
			err := Follow(t.Context(), &src, "shop/app", 1, FollowOptions{Sleep: noSleep}, &out)
			if err == nil || !strings.Contains(err.Error(), "the log was cut") {
				t.Errorf("error is %v, want that the log was cut", err)
			}
			if !bytes.Equal(out.Bytes(), log) {
				t.Errorf("wrote %d bytes, want the %d of the first log", out.Len(), len(log))
			}
		})
	}
}

func TestFollowEnds(t *testing.T) {
	gone := errors.New("404 no such build")
	down := errors.New("connection refused")
	broken := errors.New("reader is gone")
	forever := func(a answer) *sequence { s := make(sequence, 500); fill(s, a); return &s }
	text := answer{text: "x", read: Read{Next: Position{Offset: 1}, More: true}}
	for name, tc := range map[string]struct {
		src   *sequence
		opts  FollowOptions
		w     io.Writer
		want  error
		text  string // in the error
		reads int
	}{
		"at once when there is no such build":              {src: &sequence{{err: Permanent(gone)}}, want: gone, text: "read log of shop/app #1", reads: 1},
		"when nothing but temporary errors come":           {src: forever(answer{err: down}), want: down, text: "gave up after 61 attempts", reads: maxFailures + 1},
		"when the log is shorter every time":               {src: forever(answer{read: Read{Reset: true, More: true}}), want: errCut, reads: maxFailures + 1},
		"when the reader is gone":                          {src: forever(text), w: writerFunc(func([]byte) (int, error) { return 0, broken }), want: broken, reads: 1},
		"with what there is when it is asked to read once": {src: forever(text), opts: FollowOptions{Once: true}, want: ErrRunning, reads: 1},
		"complete when it reads once and the build is over": {
			src: &sequence{{text: "x", read: Read{}}}, opts: FollowOptions{Once: true}, reads: 1,
		},
		"after temporary errors when it reads once": {
			src: &sequence{{err: down}, {text: "x", read: Read{More: true}}}, opts: FollowOptions{Once: true}, want: ErrRunning, reads: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.opts.Sleep = noSleep
			if tc.w == nil {
				tc.w = io.Discard
			}
			before := len(*tc.src)
			err := Follow(t.Context(), tc.src, "shop/app", 1, tc.opts, tc.w)
			if !errors.Is(err, tc.want) || tc.text != "" && !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error is %v, want %v, with %q", err, tc.want, tc.text)
			}
			if reads := before - len(*tc.src); reads != tc.reads {
				t.Errorf("read %d times, want %d", reads, tc.reads)
			}
		})
	}
}

func TestFollowForgivesErrorsThatComeWithNews(t *testing.T) {
	var src sequence
	for i := range 3 * maxFailures { // each answer breaks off, but each brings a byte
		src = append(src, answer{text: "x", read: Read{Next: Position{Skip: int64(i + 1)}}, err: io.ErrUnexpectedEOF})
	}
	src = append(src, answer{text: "."})
	var out bytes.Buffer
	if err := Follow(t.Context(), &src, "shop/app", 1, FollowOptions{Sleep: noSleep}, &out); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("x", 3*maxFailures) + "."; out.String() != want {
		t.Errorf("wrote %d bytes, want %d", out.Len(), len(want))
	}
}

func TestFollowLooksLessOftenTheLongerNothingIsNew(t *testing.T) {
	silent := answer{read: Read{Next: Position{Offset: 1}, More: true}}
	src := sequence{silent, silent, silent, silent, silent, silent, {text: "x", read: Read{Next: Position{Offset: 2}, More: true}}, {err: io.ErrUnexpectedEOF}, {}}
	var got []time.Duration
	err := Follow(t.Context(), &src, "shop/app", 1, FollowOptions{Sleep: func(_ context.Context, d time.Duration) error {
		got = append(got, d)
		return nil
	}}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	const ms = time.Millisecond
	want := []time.Duration{1000 * ms, 1500 * ms, 2250 * ms, 3375 * ms, 5000 * ms, 5000 * ms, 1000 * ms, 1500 * ms}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
}

func TestFollowStopsWhenItIsToldTo(t *testing.T) {
	why := errors.New("hookd is shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	src := sequence{{read: Read{More: true}}}
	err := Follow(ctx, &src, "shop/app", 1, FollowOptions{Sleep: func(ctx context.Context, _ time.Duration) error {
		cancel(why)
		return sleep(ctx, time.Hour) // the real one, which must not wait
	}}, io.Discard)
	if !errors.Is(err, why) {
		t.Errorf("error is %v, want %v", err, why)
	}
}
