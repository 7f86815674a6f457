package scm

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits of what is taken over from a payload: those of the API's fields.
const (
	maxRef       = 512
	maxShortRef  = 255
	maxMessageIn = 4096
	maxName      = 256

	// More changed files than these are not listed: the object has to stay small
	// (https://etcd.io/docs/v3.5/dev-guide/limit/), and incomplete paths only let runs pass.
	maxPaths     = 1000
	maxPathBytes = 64 << 10
	maxPath      = 1024
)

// pathSet collects changed files within the limits.
type pathSet struct {
	seen  map[string]bool
	list  []string
	bytes int
	full  bool // something was left out
}

func (p *pathSet) add(paths ...string) {
	for _, s := range paths {
		if p.full || p.seen[s] {
			continue
		}
		p.bytes += len(s)
		if len(p.list) == maxPaths || p.bytes > maxPathBytes || len(s) > maxPath || s == "" || !utf8.ValidString(s) {
			p.full = true
			continue
		}
		if p.seen == nil {
			p.seen = map[string]bool{}
		}
		p.seen[s] = true
		p.list = append(p.list, s)
	}
}

// skipMarkers are those of GitHub Actions, of which GitLab has two
// (https://docs.github.com/actions/managing-workflow-runs/skipping-workflow-runs).
var skipMarkers = []string{"[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]"}

var skipTrailer = regexp.MustCompile(`(?im)^skip-checks:[ \t]*true[ \t]*$`)

// skipMarker is the marker in a head commit's message that asks for no run, "" when
// there is none.
func skipMarker(message string) string {
	lower := strings.ToLower(message)
	for _, m := range skipMarkers {
		if strings.Contains(lower, m) {
			return m
		}
	}
	// A trailer is in the last paragraph (git-interpret-trailers(1)).
	paragraphs := strings.Split(strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n")), "\n\n")
	if len(paragraphs) > 1 && skipTrailer.MatchString(paragraphs[len(paragraphs)-1]) {
		return "skip-checks: true"
	}
	return ""
}

// setRef fills in the names of a ref, or says why it cannot be built.
func (e *HookEvent) setRef(ref string) error {
	if err := checkRef(ref); err != nil {
		return errors.New("the ref is no name of a branch or tag")
	}
	e.Ref = ref
	var short string
	switch {
	case strings.HasPrefix(ref, "refs/heads/"):
		short = strings.TrimPrefix(ref, "refs/heads/")
		e.Branch = short
	case strings.HasPrefix(ref, "refs/tags/"):
		short = strings.TrimPrefix(ref, "refs/tags/")
		e.Tag = short
	default:
		e.Nothing = "the ref is neither a branch nor a tag"
	}
	if len(ref) > maxRef || len(short) > maxShortRef {
		e.Ref, e.Branch, e.Tag = "", "", ""
		e.Nothing = "the name of the ref is too long"
	}
	if !utf8.ValidString(ref) {
		return errors.New("the ref is not valid UTF-8")
	}
	return nil
}

// isZero: hosts write a commit that is not there as zeros.
func isZero(commit string) bool { return strings.Trim(commit, "0") == "" }
