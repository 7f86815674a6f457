package hook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/samples"
)

// githubSample is what decides which answer is right for a payload of GitHub, read in
// another way than the product does.
func githubSample(t *testing.T, event string, body []byte) (status int, trigger v1alpha1.EventType, reason string) {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	repository, _ := m["repository"].(map[string]any)
	ours := repository["clone_url"] == "https://github.com/Codertocat/Hello-World.git"
	ref, _ := m["ref"].(string)
	switch {
	case event == "ping":
		return http.StatusOK, "", "a ping"
	case event != "push" && event != "pull_request":
		return http.StatusOK, "", "start nothing"
	case !ours:
		return http.StatusOK, "", "another repository"
	case event == "push" && m["deleted"] == true:
		return http.StatusOK, "", "deleted"
	case event == "push" && strings.HasPrefix(ref, "refs/tags/"):
		return http.StatusAccepted, v1alpha1.EventTag, ""
	case event == "push":
		return http.StatusAccepted, v1alpha1.EventPush, ""
	}
	if a := m["action"]; a == "opened" || a == "reopened" || a == "synchronize" {
		return http.StatusAccepted, v1alpha1.EventPullRequest, ""
	}
	return http.StatusOK, "", "brings no commits"
}

// Every payload that GitHub is known to send gets the answer that is right for it: a run
// of the right kind, or a success that says why not.
func TestEverySampleOfGitHubGetsItsAnswer(t *testing.T) {
	all := samples.Octokit(t)
	f := newFixture(t)
	f.hostOf(v1alpha1.ProviderGitHub, "https://github.com/Codertocat/Hello-World.git")
	f.api.put(t, "pipelines", pipelineOf("build", "shop", func(p *v1alpha1.Pipeline) {
		p.Spec.Triggers = &v1alpha1.Triggers{Push: &v1alpha1.PushTrigger{}, Tag: &v1alpha1.TagTrigger{}, PullRequest: &v1alpha1.PullRequestTrigger{Forks: v1alpha1.ForksAll}}
	}))
	eventually(t, "the pipeline is known", func() bool {
		p, err := f.h.store.pipelinesOf(shop())
		return err == nil && len(p) == 2 && p[0].Spec.Triggers.PullRequest != nil
	})
	counts := map[string]int{}
	for i, s := range all {
		what := fmt.Sprintf("%s %s %d", s.Host, s.Event, s.Number)
		r := request(s.Body, shopKey)
		r.Header.Set("X-GitHub-Event", s.Event)
		r.Header.Set("X-GitHub-Delivery", fmt.Sprintf("delivery-%d", i))
		code, a, _ := f.send(r)
		status, trigger, reason := githubSample(t, s.Event, s.Body)
		if len(a.Existing) > 0 { // several versions have the same payload
			status = http.StatusOK
		}
		if code != status || !strings.Contains(a.Reason, reason) {
			t.Errorf("%s: %d, %+v, want %d because of %q", what, code, a, status, reason)
			continue
		}
		for _, name := range append(a.Created, a.Existing...) {
			if e := f.execution(name); e.Spec.Trigger.Type != trigger {
				t.Errorf("%s started a run of %s, want %s", what, e.Spec.Trigger.Type, trigger)
			}
		}
		counts[s.Host]++
		counts[string(trigger)] += len(a.Created)
	}
	if counts["api.github.com"] != 329 || counts["Push"] == 0 || counts["Tag"] == 0 || counts["PullRequest"] == 0 {
		t.Errorf("answered %v", counts)
	}
}

// What GitLab's own client is tested with.
func TestEverySampleOfGitLabGetsItsAnswer(t *testing.T) {
	all := samples.GitLab(t)
	f := newFixture(t)
	f.hostOf(v1alpha1.ProviderGitLab, "http://example.com/mike/diaspora.git")
	events := map[string]string{"push": "Push Hook", "tag_push": "Tag Push Hook", "merge_request": "Merge Request Hook"}
	for name, body := range all {
		kind, short, _ := strings.Cut(name, "/")
		event := events[short]
		switch {
		case kind == "systemhooks":
			event = "System Hook"
		case event == "":
			event = "Note Hook"
		}
		code, a, _ := f.send(deliver(string(body), "X-Gitlab-Event", event, "X-Gitlab-Token", shopKey, "Idempotency-Key", "delivery-"+name[strings.LastIndex(name, "/")+1:]))
		understood := events[short] != ""
		if code != http.StatusOK && code != http.StatusAccepted || understood == strings.Contains(a.Reason, "start nothing") {
			t.Errorf("%s: %d, %+v", name, code, a)
		}
	}
}
