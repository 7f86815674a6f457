package jenkins

import (
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
	lines   int64 // ended in what was written or swallowed

	state  byte   // 0, '<' or '&'
	entity []byte // begun entity, with its '&'
	cr     bool   // a CR was read that may belong to a CRLF
	out    []byte
}

const maxEntity = 16 // longer than any Jenkins writes; what goes on longer is text

func (t *textWriter) write(p []byte) error {
	for _, b := range p {
		switch t.state {
		case '<':
			if b == '>' {
				t.state = 0
			}
		case '&':
			t.entity = append(t.entity, b)
			switch {
			case b == ';':
				t.text([]byte(html.UnescapeString(string(t.entity)))...)
				t.state, t.entity = 0, t.entity[:0]
			case len(t.entity) >= maxEntity:
				t.text(t.entity...)
				t.state, t.entity = 0, t.entity[:0]
			}
		default:
			switch b {
			case '<':
				t.state = '<'
			case '&':
				t.state, t.entity = '&', append(t.entity[:0], b)
			default:
				t.text(b)
			}
		}
	}
	return t.deliver()
}

// text appends bytes of the log, deciding on a CR only when it is known what follows.
func (t *textWriter) text(p ...byte) {
	for _, b := range p {
		if t.cr && b != '\n' {
			t.out = append(t.out, '\r')
		}
		if t.cr = b == '\r'; !t.cr {
			t.out = append(t.out, b)
		}
		if b == '\n' {
			t.lines++
		}
	}
}

// flush ends the text: what was begun and never ended is text after all.
func (t *textWriter) flush() error {
	if t.state == '&' {
		t.text(t.entity...)
		t.state, t.entity = 0, nil
	}
	if t.cr {
		t.out, t.cr = append(t.out, '\r'), false
	}
	return t.deliver()
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
