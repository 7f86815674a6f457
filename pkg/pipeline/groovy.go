package pipeline

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLiteral is how many characters of source one literal has. A string constant of a class file has at most 65,535 bytes, and no
// character of the source stands for more than one. Pieces are few on purpose: each + is one more level of the compiler's recursion.
const maxLiteral = 32_000

// groovyString writes a text as a Groovy expression whose value is that text, character for character.
//
// Only single-quoted literals are used, since nothing is interpolated in them. Groovy decodes \uXXXX in the whole source before it
// looks for tokens, unless the backslash is itself escaped (JLS 3.3); so a quote, a backslash and a line end are never written as \u
// escapes, and a backslash in the text is always two in the source, whatever follows.
func groovyString(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	length := 0 // of the open literal
	for _, r := range s {
		piece := groovyEscape(r)
		if length+len(piece) > maxLiteral {
			b.WriteString("' +\n'")
			length = 0
		}
		b.WriteString(piece)
		length += len(piece)
	}
	b.WriteByte('\'')
	return b.String()
}

func groovyEscape(r rune) string {
	switch r {
	case '\\':
		return `\\`
	case '\'':
		return `\'`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	}
	if r >= ' ' && r <= '~' {
		return string(r)
	}
	if r >= 0x10000 {
		high, low := utf16.EncodeRune(r)
		return unicodeEscape(high) + unicodeEscape(low)
	}
	return unicodeEscape(r)
}

// unicodeEscape writes one UTF-16 unit. A script may have a million.
func unicodeEscape(unit rune) string {
	const digits = "0123456789abcdef"
	return string([]byte{'\\', 'u', digits[unit>>12&15], digits[unit>>8&15], digits[unit>>4&15], digits[unit&15]})
}

// unrepresentable says whether a text has a character that cannot reach a shell. NUL ends a C string. U+FFFE and U+FFFF are in no XML,
// and Jenkins stores the arguments of every step as XML 1.1; the lexer of its Groovy also takes U+FFFF for the end of the file, escaped
// or not. Other control characters are in XML 1.1, and in the XML 1.0 of our own config.xml they never occur, since all of a Jenkinsfile
// is ASCII.
func unrepresentable(s string) (rune, bool) {
	if !utf8.ValidString(s) {
		return utf8.RuneError, true
	}
	for _, r := range s {
		if r == 0 || r == 0xFFFE || r == 0xFFFF {
			return r, true
		}
	}
	return 0, false
}

// groovyWriter writes nested blocks with two spaces for each level.
type groovyWriter struct {
	b     strings.Builder
	depth int
}

func (w *groovyWriter) line(s string) {
	indent := strings.Repeat("  ", w.depth)
	w.b.WriteString(indent)
	// only the expression's own line ends are in s: those of texts are escaped
	w.b.WriteString(strings.ReplaceAll(s, "\n", "\n"+indent+"  "))
	w.b.WriteByte('\n')
}

// block writes head, a brace, what body writes, and the closing brace.
func (w *groovyWriter) block(head string, body func()) {
	w.line(head + " {")
	w.depth++
	body()
	w.depth--
	w.line("}")
}

// blockIf writes the block around body, or body alone.
func (w *groovyWriter) blockIf(wanted bool, head string, body func()) {
	if wanted {
		w.block(head, body)
		return
	}
	body()
}

func call(name string, args ...string) string { return name + "(" + strings.Join(args, ", ") + ")" }

func named(name, value string) string { return name + ": " + value }

func groovyList(items []string) string {
	literals := make([]string, len(items))
	for i, s := range items {
		literals[i] = groovyString(s)
	}
	return "[" + strings.Join(literals, ", ") + "]"
}

func groovyInt[T ~int | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }
