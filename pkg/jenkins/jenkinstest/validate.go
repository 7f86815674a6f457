package jenkinstest

import (
	"fmt"
	"net/http"
	"strings"
)

// serveValidation answers validateJenkinsfile, which knows declarative Pipeline alone. The double looks no deeper than the two sections
// that every declarative Pipeline must have, and at braces; see "What the double does not do" in docs/jenkins-double.md.
func serveValidation(w http.ResponseWriter, r *http.Request) {
	if !post(w, r) {
		return
	}
	text := r.PostFormValue("jenkinsfile")
	if text == "" {
		serveJSON(w, ok(map[string]any{"result": "failure", "errors": []any{map[string]any{"error": "No Jenkinsfile specified"}}}))
		return
	}
	if problem := validateDeclarative(text); problem != "" {
		serveJSON(w, ok(map[string]any{"result": "failure", "errors": []any{map[string]any{"error": []string{problem}}}}))
		return
	}
	serveJSON(w, ok(map[string]any{"result": "success"}))
}

// validateDeclarative says what is wrong, "" when nothing is.
func validateDeclarative(text string) string {
	depth, line, pipeline := 0, 1, false
	sections := map[string]bool{}
	for i := 0; i < len(text); {
		rest := text[i:]
		n := 1
		switch c := text[i]; {
		case strings.HasPrefix(rest, "//"):
			n = span(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			n = span(rest, "*/")
		case strings.HasPrefix(rest, "'''"), strings.HasPrefix(rest, `"""`):
			n = 3 + quoted(rest[3:], rest[:3])
		case c == '\'' || c == '"':
			n = 1 + quoted(rest[1:], rest[:1])
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth < 0 {
				return fmt.Sprintf("WorkflowScript: %d: unexpected token: } @ line %d", line, line)
			}
		case isLetter(c):
			for n < len(rest) && (isLetter(rest[n]) || isDigit(rest[n])) {
				n++
			}
			if word := rest[:n]; depth == 0 && word == "pipeline" {
				pipeline = true
			} else if depth == 1 && pipeline {
				sections[word] = true
			}
		}
		line += strings.Count(rest[:n], "\n")
		i += n
	}
	switch {
	case !pipeline:
		return "Jenkinsfile content did not contain the 'pipeline' step"
	case depth > 0:
		return fmt.Sprintf("WorkflowScript: %d: expecting '}', found '' @ line %d", line, line)
	}
	for _, section := range []string{"stages", "agent"} {
		if !sections[section] {
			return fmt.Sprintf("Missing required section %q @ line 1, column 1.", section)
		}
	}
	return ""
}

// span is the length of a text up to the end of its first end mark, or of all of it.
func span(text, end string) int {
	if i := strings.Index(text, end); i >= 0 {
		return i + len(end)
	}
	return len(text)
}

// quoted is the length of what follows an opening quote, with the closing one.
func quoted(text, quote string) int {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], quote):
			return i + len(quote)
		}
	}
	return len(text)
}
