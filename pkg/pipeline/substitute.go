package pipeline

import (
	"regexp"
	"strings"
)

var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// substitute replaces ${NAME} and ${NAME:-default} once, without looking into what it put in. A name that is not known stays as it is,
// as in Rancher, and is reported; with a default, the default stands for an unknown or empty one.
//
// It ends when the text has more than maxVariable bytes, which whoever asks must refuse: a short text can name a long value many
// thousand times.
func substitute(text string, known map[string]string) (out string, unknown []string) {
	var b strings.Builder
	for b.Len() <= maxVariable {
		m := reference.FindStringSubmatchIndex(text)
		if m == nil {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:m[0]])
		name, hasDefault := text[m[2]:m[3]], m[4] >= 0
		switch value, ok := known[name]; {
		case ok && (value != "" || !hasDefault):
			b.WriteString(value)
		case hasDefault:
			b.WriteString(text[m[6]:m[7]])
		default:
			unknown = append(unknown, name)
			b.WriteString(text[m[0]:m[1]])
		}
		text = text[m[1]:]
	}
	return b.String(), unknown
}
