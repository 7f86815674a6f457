package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

// cell is one field of a table.
type cell struct {
	text  string
	color color
}

// table prints rows under titles in columns that are as wide as their widest cell and
// three spaces apart, as kubectl's are.
type table struct {
	titles []string
	rows   [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer, s style, headers bool) error {
	widths := make([]int, len(t.titles))
	measure := func(i int, text string) {
		widths[i] = max(widths[i], utf8.RuneCountInString(text))
	}
	for i, title := range t.titles {
		if headers {
			measure(i, title)
		}
	}
	for _, row := range t.rows {
		for i, c := range row {
			measure(i, c.text)
		}
	}
	var b strings.Builder
	line := func(cells []cell) {
		for i, c := range cells {
			if i == len(cells)-1 {
				b.WriteString(s.paint(c.color, c.text))
				break
			}
			b.WriteString(s.paint(c.color, c.text))
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+3))
		}
		b.WriteByte('\n')
	}
	if headers {
		titles := make([]cell, len(t.titles))
		for i, title := range t.titles {
			titles[i] = cell{text: title}
		}
		line(titles)
	}
	for _, row := range t.rows {
		line(row)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// or is what a field shows that has no value.
func or(text, none string) string {
	if text == "" {
		return none
	}
	return text
}

const none = "<none>"

// age is how long ago t was, in kubectl's words.
func age(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(max(0, now.Sub(t.Time)))
}

func ageOf(t *metav1.Time, now time.Time) string {
	if t == nil {
		return none
	}
	return age(*t, now)
}

// elapsed is how long something took, or has taken so far: 6s, 1m3s, 2h5m.
func elapsed(d time.Duration) string {
	d = max(0, d).Truncate(time.Second) // another machine's clock may be ahead of ours
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 0:
		return fmt.Sprintf("%dh%dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%ds", m, s)
	default:
		return fmt.Sprintf("%ds", s)
	}
}

// span is the time from start to finish, or to now while there is no finish.
func span(start, finish *metav1.Time, now time.Time) string {
	if start == nil {
		return "-"
	}
	if finish != nil {
		now = finish.Time
	}
	return elapsed(now.Sub(start.Time))
}

// clip shortens text to at most n characters and one line.
func clip(text string, n int, s style) string {
	text = oneLine(text)
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	more := "..."
	if s.unicode {
		more = "…"
	}
	if n <= utf8.RuneCountInString(more) {
		return string([]rune(text)[:max(n, 0)])
	}
	return string([]rune(text)[:n-utf8.RuneCountInString(more)]) + more
}

// oneLine makes foreign text safe to show: no line breaks, no control characters that a
// commit message could move the cursor or change a terminal's title with.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || isBidi(r):
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// isBidi tells the characters that reorder what is shown from what is there
// (https://trojansource.codes).
func isBidi(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

func shortCommit(commit string) string {
	if len(commit) > 8 {
		return commit[:8]
	}
	return commit
}

func number(n int64) string {
	if n == 0 {
		return none
	}
	return strconv.FormatInt(n, 10)
}
