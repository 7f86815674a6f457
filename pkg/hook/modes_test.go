package hook

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// R5: events that arrive at the same moment start a run each.
func TestModeSimultaneousEvents(t *testing.T) {
	f := newFixture(t)
	const n = 16
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			r := request(push(func(m map[string]any) {
				m["after"] = fmt.Sprintf("%040x", i+1)
				m["head_commit"].(map[string]any)["id"] = m["after"]
				m["commits"].([]any)[0].(map[string]any)["id"] = m["after"]
			}), shopKey)
			r.Header.Set("X-GitHub-Delivery", fmt.Sprintf("delivery-%08d", i))
			if code, a, _ := f.send(r); code != http.StatusAccepted || len(a.Created) != 1 {
				t.Errorf("event %d: %d, %+v", i, code, a)
			}
		})
	}
	all.Wait()
	commits := map[string]bool{}
	for _, key := range f.runs() {
		_, name, _ := strings.Cut(key, "/")
		var run v1alpha1.PipelineExecution
		f.api.object("pipelineexecutions", "team", name, &run)
		commits[run.Spec.Source.Commit] = true
	}
	if len(commits) != n || len(f.runs()) != n {
		t.Errorf("%d runs of %d commits, want %d each", len(f.runs()), len(commits), n)
	}
}

// R13: a delivery that carries the headers of several hosts, as proxies add them, is read
// once, as the repository's host sends it.
func TestModeHeadersOfSeveralHosts(t *testing.T) {
	f := newFixture(t)
	for range 2 {
		r := request(push(nil), shopKey)
		r.Header.Set("X-Request-Id", "7f3c9c4e-6a9b-4f6e-9d5a-1c2b3a4d5e6f") // of an ingress; Bitbucket Server's too
		r.Header.Set("X-Event-Key", "repo:refs_changed")
		r.Header.Set("X-Gitlab-Event", "Push Hook")
		r.Header.Set("X-Gitea-Event", "push")
		f.send(r)
	}
	if runs := f.runs(); len(runs) != 1 {
		t.Errorf("runs %v, want one", runs)
	}
}
