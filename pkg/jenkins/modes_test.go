package jenkins_test

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
)

// J36: a log that is not there yet is no error and no end.
func TestModeLogIsEmptyAtFirst(t *testing.T) {
	for name, header := range map[string]http.Header{
		"nothing was written yet":                 {"X-Text-Size": {"0"}, "X-More-Data": {"true"}},
		"nothing is there again, after a restart": {"X-Text-Size": {"0"}, "X-More-Data": {"true"}, "X-Jenkins-Session": {"new"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := rawPair(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html;charset=UTF-8")
				maps.Copy(w.Header(), header)
			})
			from := jenkins.LogPosition{Offset: 12}
			var text strings.Builder
			read, err := c.Log(context.Background(), ref, 1, from, &text)
			ok(t, err)
			if diff := cmp.Diff(jenkins.LogRead{Next: from, More: true}, read); diff != "" || text.Len() > 0 {
				t.Errorf("text %q, read (-want +got):\n%s", text.String(), diff)
			}
		})
	}
}

// J33: an input that somebody else has answered, or that is gone, is as good as answered.
func TestModeInputIsAnsweredBySomebodyElse(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"it was answered already": xerror("Input has already been given"),
		"it is not there any more": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Jenkins-Session", "abcd1234")
			w.WriteHeader(http.StatusNotFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := rawPair(t, answer)
			for verb, act := range map[string]func(context.Context, jenkins.JobRef, int, string) (bool, error){"proceed": c.Proceed, "abort": c.AbortInput} {
				if mine, err := act(context.Background(), ref, 1, "Go"); mine || err != nil {
					t.Errorf("%s: %v, %v, want no error, and that it was not us", verb, mine, err)
				}
			}
		})
	}
}
