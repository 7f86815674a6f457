package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxURL is the longest address that is taken over from a payload.
const MaxURL = 2048

// maxJSONDepth is far more than any host nests.
const maxJSONDepth = 64

// CheckJSON refuses what no host sends before a decoder spends time and stack on it:
// anything but an object, and deep nesting.
func CheckJSON(body []byte) error {
	depth, inString, escaped, started := 0, false, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if !started && c != '{' {
				return errors.New("the body is not a JSON object")
			}
			if depth++; depth > maxJSONDepth {
				return errors.New("the body is nested too deeply")
			}
		case c == '}' || c == ']':
			depth--
		}
		if !started && !unicode.IsSpace(rune(c)) {
			if c != '{' {
				return errors.New("the body is not a JSON object")
			}
			started = true
		}
	}
	if !started {
		return errors.New("the body is empty")
	}
	return nil
}

// Decode is a small decode of a body, of what an event cannot do without. host says in an
// error whose body it is not; nothing of the body is quoted.
func Decode[T any](host string, body []byte) (*T, error) {
	if err := CheckJSON(body); err != nil {
		return nil, err
	}
	var t T
	if err := json.Unmarshal(body, &t); err != nil {
		return nil, fmt.Errorf("the body is not what %s documents", host) // its text could quote the body
	}
	return &t, nil
}

// Text makes text of strangers fit to be shown: valid, without control
// characters (line breaks stay when lines is true) and without those that turn the
// direction of writing (https://trojansource.codes), at most n characters.
func Text(s string, n int, lines bool) string {
	var b strings.Builder
	count := 0
	for _, r := range s {
		if count == n {
			break
		}
		keepBreak := lines && (r == '\n' || r == '\t')
		if r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) || !keepBreak && unicode.IsControl(r) {
			continue
		}
		b.WriteRune(r)
		count++
	}
	return strings.TrimSpace(b.String())
}

// URL is s when a browser may open it, else "".
func URL(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > MaxURL || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}
