package pipeline

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "sigs.k8s.io/yaml/goyaml.v3"
)

// MaxConfigBytes is the most that a config file may have, as the API allows in a snapshot.
const MaxConfigBytes = 256 << 10

// ParseConfig reads a config file strictly, applies defaults and checks everything that can be checked without a run. The error is
// ConfigErrors: all mistakes, in the order of their lines. A text that is no YAML has one, since nothing after it can be trusted.
func ParseConfig(text string) (*Config, error) {
	if errs := checkText(text); errs != nil {
		return nil, errs
	}
	root, errs := parseYAML(text)
	if errs != nil {
		return nil, errs
	}
	c := &Config{}
	d := &decoder{pos: map[string]position{}}
	d.decode(root, c)
	c.pos = d.pos
	if !d.over {
		v := &validator{config: c, errs: d.errs, bad: map[string]bool{}}
		for _, e := range d.errs {
			v.bad[e.Path] = true
		}
		v.run()
		d.errs = v.errs
		if len(d.errs) > 0 { // who corrects these meets those next: one list tells everything
			for _, u := range c.Unsupported() {
				if !slices.ContainsFunc(d.errs, func(e ConfigError) bool { return e.Path == u.Path }) {
					d.errs = append(d.errs, u)
				}
			}
		}
	}
	if len(d.errs) > 0 {
		return nil, bounded(d.errs.sorted())
	}
	return c, nil
}

// maxErrors is how many mistakes are told: the text ends up in an object's status.
const maxErrors = 100

func bounded(errs ConfigErrors) ConfigErrors {
	if len(errs) <= maxErrors {
		return errs
	}
	last := errs[maxErrors]
	last.Path, last.Message = "", "and more mistakes"
	return append(errs[:maxErrors:maxErrors], last)
}

// checkText refuses what no YAML reader or no API server would take, before YAML is tried: its own errors carry no column.
func checkText(text string) ConfigErrors {
	if len(text) > MaxConfigBytes {
		return ConfigErrors{{Line: 1, Column: 1, Message: fmt.Sprintf("the file has %d bytes; at most %d are allowed", len(text), MaxConfigBytes)}}
	}
	line, column := 1, 1
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return ConfigErrors{{Line: line, Column: column, Message: fmt.Sprintf("byte 0x%02X is not UTF-8", text[i])}}
		case !isYAMLText(r) && (i > 0 || r != '\uFEFF'):
			return ConfigErrors{{Line: line, Column: column, Message: fmt.Sprintf("character %U is not allowed; inside a quoted string it can be written as an escape", r)}}
		}
		column++
		if r == '\n' || r == '\r' && !strings.HasPrefix(text[i+1:], "\n") {
			line, column = line+1, 1
		}
		i += n
	}
	return nil
}

// isYAMLText says whether a character may stand unescaped: what YAML 1.2 calls printable, but not U+0085, U+2028 and U+2029. These are
// line ends to our YAML reader, as in YAML 1.1, and no line ends to people, editors and YAML 1.2: a script would be changed, and a
// comment could hide a key.
func isYAMLText(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= '~' || r >= 0xA0 && r <= 0xD7FF && r != 0x2028 && r != 0x2029 ||
		r >= 0xE000 && r <= 0xFFFD && r != 0xFEFF || r >= 0x10000
}

func parseYAML(text string) (root *yaml.Node, errs ConfigErrors) {
	defer func() {
		// the YAML reader is not ours; a file that it cannot stand must not end a controller
		if p := recover(); p != nil {
			root, errs = nil, ConfigErrors{{Line: 1, Column: 1, Message: fmt.Sprintf("the file cannot be read as YAML: %v", p)}}
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF), err == nil && isEmptyDocument(&doc):
		return nil, ConfigErrors{{Line: 1, Column: 1, Message: "the file is empty; it needs stages"}}
	case err != nil:
		return nil, ConfigErrors{syntaxError(text, err)}
	}
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
		return doc.Content[0], nil
	case err != nil:
		return nil, ConfigErrors{syntaxError(text, err)}
	}
	return nil, ConfigErrors{{Line: second.Line, Column: max(second.Column, 1), Message: "a second YAML document starts here; only one is allowed"}}
}

func isEmptyDocument(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null"
}

// noCharacter is an escape of half a character, or of one beyond the last.
var noCharacter = regexp.MustCompile(`(?:^|[^\\])(?:\\\\)*(\\u[dD][89a-fA-F][0-9a-fA-F]{2}|` +
	`\\U(?:0000[dD][89a-fA-F][0-9a-fA-F]{2}|00(?:1[1-9a-fA-F]|[2-9a-fA-F][0-9a-fA-F])[0-9a-fA-F]{4}|(?:0[1-9a-fA-F]|[1-9a-fA-F][0-9a-fA-F])[0-9a-fA-F]{6}))`)

var yamlErrorLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxError gives YAML's error a place. The reader names a line only, and none for the first: the column is where the line's text
// starts.
func syntaxError(text string, err error) ConfigError {
	e := ConfigError{Line: 1, Column: 1, Message: err.Error()}
	if m := yamlErrorLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " ")); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			e.Line = n
		}
		e.Message = "not YAML: " + m[2]
	}
	lines := strings.Split(text, "\n")
	e.Line = min(max(e.Line, 1), len(lines))
	line := lines[e.Line-1]
	if rest := strings.TrimLeft(line, " "); rest != "" {
		e.Column = len(line) - len(rest) + 1
	}
	if strings.Contains(e.Message, "invalid Unicode character escape code") {
		if at := noCharacter.FindStringSubmatchIndex(line); at != nil {
			e.Column = utf8.RuneCountInString(line[:at[2]]) + 1
			e.Message = "not YAML: " + line[at[2]:at[3]] + " is no character; one outside the basic plane is written as itself or as \\U and eight digits"
		}
	}
	if strings.Contains(e.Message, "tab character") || strings.Contains(e.Message, "that cannot start any token") {
		// the reader names the line before the tab
		for i := e.Line - 1; i < min(e.Line+2, len(lines)); i++ {
			if indent := len(lines[i]) - len(strings.TrimLeft(lines[i], " ")); strings.HasPrefix(lines[i][indent:], "\t") {
				e.Line, e.Column = i+1, indent+1
				e.Message = "not YAML: a tab cannot indent; use spaces"
				break
			}
		}
	}
	return e
}
