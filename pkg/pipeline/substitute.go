package pipeline

import "regexp"

var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// substitute replaces ${NAME} and ${NAME:-default} once, without looking into what it put in. A name that is not known stays as it is,
// as in Rancher, and is reported; with a default, the default stands for an unknown or empty one.
func substitute(text string, known map[string]string) (out string, unknown []string) {
	out = reference.ReplaceAllStringFunc(text, func(match string) string {
		m := reference.FindStringSubmatch(match)
		value, ok := known[m[1]]
		switch hasDefault := m[2] != ""; {
		case ok && (value != "" || !hasDefault):
			return value
		case hasDefault:
			return m[3]
		}
		unknown = append(unknown, m[1])
		return match
	})
	return out, unknown
}
