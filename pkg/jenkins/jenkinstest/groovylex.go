package jenkinstest

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The dialect is what this project's compiler writes and not one construct more: a double that understood more than it must could
// hide a script that Jenkins' sandbox refuses. See groovyparse.go for the grammar.

type tokenKind int

const (
	tokEOF tokenKind = iota
	tokIdent
	tokString
	tokInt
	tokPunct // one of ( ) { } [ ] , : + . !=
)

type token struct {
	kind      tokenKind
	text      string // identifier, decoded string, digits, or the one character
	line, col int
	newline   bool // a line end stands between this token and the one before
}

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "end of file"
	case tokString:
		return "'" + strings.ReplaceAll(t.text, "\n", `\n`) + "'"
	}
	return t.text
}

// syntaxError is a compile error. Its text is the one line Groovy prints for it.
type syntaxError struct {
	line, col int
	msg       string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("WorkflowScript: %d: %s @ line %d, column %d.", e.line, e.msg, e.line, e.col)
}

const (
	maxScript  = 16 << 20
	maxLiteral = 65535 // bytes of one string constant in a class file
)

// decodeEscapes replaces \uXXXX everywhere in the source, as Groovy does before it looks at tokens: an escaped quote is a quote.
func decodeEscapes(src string) string {
	if !strings.Contains(src, `\u`) {
		return src
	}
	var b strings.Builder
	b.Grow(len(src))
	for i := 0; i < len(src); {
		if src[i] != '\\' || i+1 >= len(src) {
			b.WriteByte(src[i])
			i++
			continue
		}
		if src[i+1] != 'u' { // any other escape: both bytes stay, so that \\u0041 is a backslash and text
			b.WriteString(src[i : i+2])
			i += 2
			continue
		}
		var units []uint16
		for {
			u, n := unicodeEscape(src[i:])
			if n == 0 {
				break
			}
			units = append(units, u)
			i += n
		}
		if units == nil {
			b.WriteString(src[i : i+2]) // malformed: the lexer refuses it
			i += 2
			continue
		}
		b.WriteString(string(utf16.Decode(units)))
	}
	return b.String()
}

func unicodeEscape(s string) (unit uint16, length int) {
	n := 1
	for n < len(s) && s[0] == '\\' && s[n] == 'u' {
		n++
	}
	if n == 1 || len(s) < n+4 {
		return 0, 0
	}
	for _, c := range []byte(s[n : n+4]) {
		switch {
		case '0' <= c && c <= '9':
			unit = unit<<4 | uint16(c-'0')
		case 'a' <= c && c <= 'f':
			unit = unit<<4 | uint16(c-'a'+10)
		case 'A' <= c && c <= 'F':
			unit = unit<<4 | uint16(c-'A'+10)
		default:
			return 0, 0
		}
	}
	return unit, n + 4
}

type lexer struct {
	src       string
	pos       int
	line, col int
	newline   bool
}

func lex(src string) ([]token, error) {
	switch {
	case len(src) > maxScript:
		return nil, &syntaxError{1, 1, "script is too long"}
	case !utf8.ValidString(src):
		return nil, &syntaxError{1, 1, "script is not UTF-8"}
	}
	l := &lexer{src: decodeEscapes(src), line: 1, col: 1}
	var toks []token
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		toks = append(toks, t)
		if t.kind == tokEOF {
			return toks, nil
		}
	}
}

func (l *lexer) fail(format string, args ...any) error {
	return &syntaxError{l.line, l.col, fmt.Sprintf(format, args...)}
}

func (l *lexer) advance(n int) {
	for _, r := range l.src[l.pos : l.pos+n] {
		if r == '\n' {
			l.line++
			l.col = 0
		}
		l.col++
	}
	l.pos += n
}

func (l *lexer) next() (token, error) {
	l.newline = false
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == '\n':
			l.newline = true
			l.advance(1)
		case c == ' ' || c == '\t' || c == '\r':
			l.advance(1)
		case strings.HasPrefix(l.src[l.pos:], "//"):
			n := strings.IndexByte(l.src[l.pos:], '\n')
			if n < 0 {
				n = len(l.src) - l.pos
			}
			l.advance(n)
		default:
			return l.token(c)
		}
	}
	return token{kind: tokEOF, line: l.line, col: l.col, newline: true}, nil
}

func (l *lexer) token(c byte) (token, error) {
	t := token{line: l.line, col: l.col, newline: l.newline}
	switch {
	case strings.IndexByte("(){}[],:+.", c) >= 0:
		t.kind, t.text = tokPunct, string(c)
		l.advance(1)
	case strings.HasPrefix(l.src[l.pos:], "!="):
		t.kind, t.text = tokPunct, "!="
		l.advance(2)
	case isLetter(c):
		n := 1
		for l.pos+n < len(l.src) && (isLetter(l.src[l.pos+n]) || isDigit(l.src[l.pos+n])) {
			n++
		}
		t.kind, t.text = tokIdent, l.src[l.pos:l.pos+n]
		l.advance(n)
	case isDigit(c):
		n := 1
		for l.pos+n < len(l.src) && isDigit(l.src[l.pos+n]) {
			n++
		}
		if l.pos+n < len(l.src) && isLetter(l.src[l.pos+n]) || n > 9 || n > 1 && c == '0' {
			return t, l.fail("unexpected number: %s", l.src[l.pos:l.pos+n])
		}
		t.kind, t.text = tokInt, l.src[l.pos:l.pos+n]
		l.advance(n)
	case strings.HasPrefix(l.src[l.pos:], "'''"):
		return t, l.fail("unexpected token: '''")
	case c == '\'':
		return l.stringToken(t)
	default:
		r, _ := utf8.DecodeRuneInString(l.src[l.pos:])
		return t, l.fail("unexpected char: %q", r)
	}
	return t, nil
}

func (l *lexer) stringToken(t token) (token, error) {
	var b strings.Builder
	l.advance(1)
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch c {
		case '\'':
			if b.Len() > maxLiteral {
				return t, &syntaxError{t.line, t.col, fmt.Sprintf("String too long. The given string is %d Unicode code units long, but only a maximum of 65535 is allowed", b.Len())}
			}
			t.kind, t.text = tokString, b.String()
			l.advance(1)
			return t, nil
		case '\n', '\r':
			return t, l.fail("expecting ''', found '\\n'")
		case '\\':
			if l.pos+1 >= len(l.src) {
				return t, l.fail("unexpected char: '\\'")
			}
			decoded, ok := escapes[l.src[l.pos+1]]
			if !ok {
				return t, l.fail("unexpected char: '\\'")
			}
			b.WriteByte(decoded)
			l.advance(2)
		default:
			_, n := utf8.DecodeRuneInString(l.src[l.pos:])
			b.WriteString(l.src[l.pos : l.pos+n])
			l.advance(n)
		}
	}
	return t, l.fail("expecting ''', found '<EOF>'")
}

var escapes = map[byte]byte{'\\': '\\', '\'': '\'', 'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f'}

func isLetter(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
