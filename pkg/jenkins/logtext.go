package jenkins

import (
	"bytes"
	"html"
	"io"
)

// textWriter turns Jenkins' log markup into text as it streams by: tags are dropped, entities resolved, CRLF becomes LF, and the
// first skip bytes of the result are swallowed.
//
//	     '<'            '>'
//	text ───▶ inTag ────────▶ text      Attributes are not looked into: Jenkins escapes '>' in them, and does not
//	  │  '&'             ';'             always escape quotes.
//	  └────▶ inEntity ──────▶ text
type textWriter struct {
	w       io.Writer
	skip    int64
	written int64
	lines   int64 // ended, by LF or CR, in what was written or swallowed

	state  byte   // 0, '<' or '&'
	entity []byte // begun entity, with its '&'
	cr     bool   // a CR was read that may belong to a CRLF
	out    []byte
}

const maxEntity = 16 // longer than any Jenkins writes; what goes on longer is text

func (t *textWriter) write(p []byte) error {
	for len(p) > 0 {
		switch t.state {
		case '<':
			end := bytes.IndexByte(p, '>')
			if end < 0 {
				return t.deliver()
			}
			t.state, p = 0, p[end+1:]
		case '&':
			t.entity = append(t.entity, p[0])
			switch {
			case p[0] == ';':
				t.text(unescape(t.entity))
				t.state = 0
			case len(t.entity) >= maxEntity:
				t.text(t.entity)
				t.state = 0
			}
			p = p[1:]
		default:
			end := 0
			for end < len(p) && p[end] != '<' && p[end] != '&' {
				end++
			}
			t.text(p[:end])
			if end == len(p) {
				return t.deliver()
			}
			t.state, t.entity = p[end], append(t.entity[:0], p[end])
			p = p[end+1:]
		}
	}
	return t.deliver()
}

// unescape is the text of an entity: of those that Jenkins writes most without a search.
func unescape(entity []byte) []byte {
	switch string(entity) {
	case "&lt;":
		return []byte{'<'}
	case "&gt;":
		return []byte{'>'}
	case "&amp;":
		return []byte{'&'}
	case "&quot;":
		return []byte{'"'}
	}
	return []byte(html.UnescapeString(string(entity)))
}

// text appends bytes of the log, deciding on a CR only when it is known what follows.
func (t *textWriter) text(p []byte) {
	t.lines += int64(bytes.Count(p, []byte{'\n'}))
	for len(p) > 0 {
		if t.cr && p[0] != '\n' {
			t.out = append(t.out, '\r')
			t.lines++
		}
		end := bytes.IndexByte(p, '\r')
		if t.cr = end >= 0; !t.cr {
			t.out = append(t.out, p...)
			return
		}
		t.out = append(t.out, p[:end]...)
		p = p[end+1:]
	}
}

// flush ends an answer: what was begun and never ended is text after all. When more is to come, a CR at its end is held back, since
// an LF may follow; held is its length.
func (t *textWriter) flush(more bool) (held int64, err error) {
	if t.state == '&' {
		t.text(t.entity)
		t.state = 0
	}
	switch {
	case t.cr && more:
		held = 1
	case t.cr:
		t.out = append(t.out, '\r')
		t.lines++
	}
	t.cr = false
	return held, t.deliver()
}

func (t *textWriter) deliver() error {
	p := t.out
	t.out = t.out[:0]
	if t.skip > 0 {
		n := min(t.skip, int64(len(p)))
		t.skip -= n
		p = p[n:]
	}
	if len(p) == 0 {
		return nil
	}
	n, err := t.w.Write(p)
	t.written += int64(n)
	return err
}
