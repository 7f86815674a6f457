package scm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

var (
	zero    = strings.Repeat("0", 40)
	commitA = strings.Repeat("a", 40)
	commitB = strings.Repeat("b", 40)
	commitC = strings.Repeat("c", 40)
)

// payload is a JSON object to be changed in tests.
type payload = map[string]any

// at walks into a body: an object by name, a list by its first element.
func at(m any, path ...string) payload {
	for _, p := range path {
		m = m.(payload)[p]
		if l, ok := m.([]any); ok {
			m = l[0]
		}
	}
	return m.(payload)
}

func encode(m payload, change func(payload)) []byte {
	if change != nil {
		change(m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// githubPullBody is a pull request of GitHub and, near enough, of Gitea.
func githubPullBody(change func(payload)) []byte {
	repo := func(name string) payload {
		return payload{"full_name": name, "clone_url": "https://git.example.com/" + name + ".git", "html_url": "https://git.example.com/" + name, "ssh_url": "git@git.example.com:" + name + ".git"}
	}
	return encode(payload{
		"action": "opened", "number": 7,
		"pull_request": payload{
			"title": "Add it", "html_url": "https://git.example.com/acme/shop/pull/7", "state": "open", "user": payload{"login": "ann"},
			"head": payload{"ref": "feature", "sha": commitB, "repo": repo("acme/shop")},
			"base": payload{"ref": "main", "sha": commitA, "repo": repo("acme/shop")},
		},
		"repository": repo("acme/shop"), "sender": payload{"login": "bob"},
	}, change)
}

func TestPullRequestsOfGitHubAndGiteaAreNormalised(t *testing.T) {
	base := HookEvent{
		Kind: HookPullRequest, Ref: "refs/pull/7/head", Branch: "main", After: commitB, PullRequest: &v1alpha1.PullRequest{Number: 7},
		Addresses: []string{"https://git.example.com/acme/shop.git", "git@git.example.com:acme/shop.git", "https://git.example.com/acme/shop"},
		Message:   "Add it", Author: "ann", Sender: "bob", HTMLURL: "https://git.example.com/acme/shop/pull/7",
	}
	fork := func(from string) func(*HookEvent) {
		return func(e *HookEvent) {
			e.PullRequest = &v1alpha1.PullRequest{Number: 7, Fork: true, HeadRepositoryURL: from}
		}
	}
	for name, c := range map[string]struct {
		change func(payload)
		want   func(*HookEvent)
	}{
		"one that was opened":       {nil, func(*HookEvent) {}},
		"new commits at GitHub":     {func(m payload) { m["action"], m["before"] = "synchronize", commitA }, func(e *HookEvent) { e.Before = commitA }},
		"new commits at Gitea":      {func(m payload) { m["action"] = "synchronized" }, func(*HookEvent) {}},
		"one that is open again":    {func(m payload) { m["action"] = "reopened" }, func(*HookEvent) {}},
		"a draft is built as well":  {func(m payload) { at(m, "pull_request")["draft"] = true }, func(*HookEvent) {}},
		"a label changes no commit": {func(m payload) { m["action"] = "labeled" }, func(e *HookEvent) { e.Nothing = `action "labeled" of a pull request brings no commits` }},
		"a draft that is ready has changed no commit": {func(m payload) { m["action"] = "ready_for_review" },
			func(e *HookEvent) { e.Nothing = `action "ready_for_review" of a pull request brings no commits` }},
		"a closed one": {func(m payload) { m["action"] = "closed" }, func(e *HookEvent) { e.Nothing = `action "closed" of a pull request brings no commits` }},
		"new commits in a closed one": {func(m payload) { m["action"] = "synchronize"; at(m, "pull_request")["state"] = "closed" },
			func(e *HookEvent) { e.Nothing = nothingClosed }},
		"a fork": {func(m payload) {
			r := at(m, "pull_request", "head", "repo")
			r["full_name"], r["clone_url"] = "eve/shop", "https://git.example.com/eve/shop.git"
		}, fork("https://git.example.com/eve/shop.git")},
		"a fork that is gone": {func(m payload) { at(m, "pull_request", "head")["repo"] = nil }, fork("")},
		"a fork with an address to avoid": {func(m payload) {
			r := at(m, "pull_request", "head", "repo")
			r["full_name"], r["clone_url"] = "eve/shop", "file:///etc"
		}, fork("")},
		"a head that is no branch of the repository, from who may not push (AGit)": {func(m payload) { at(m, "pull_request", "head")["ref"] = "refs/pull/7/head" },
			fork("https://git.example.com/acme/shop.git")},
		"another spelling of the same repository": {func(m payload) { at(m, "pull_request", "head", "repo")["full_name"] = "Acme/Shop" }, func(*HookEvent) {}},
		"a target with shell characters":          {func(m payload) { at(m, "pull_request", "base")["ref"] = "a;$(id)" }, func(e *HookEvent) { e.Branch = "a;$(id)" }},
	} {
		want := base
		c.want(&want)
		body := githubPullBody(c.change)
		for host, parse := range map[string]func() (Delivery, error){
			"GitHub": func() (Delivery, error) { return parseGitHub(http.Header{githubEventHeader: {"pull_request"}}, body) },
			"Gitea":  func() (Delivery, error) { return parseGitea(http.Header{"X-Gitea-Event": {"pull_request"}}, body) },
		} {
			d, err := parse()
			if err != nil || len(d.Events) != 1 {
				t.Errorf("%s, %s: %+v, %v", name, host, d, err)
				continue
			}
			if diff := cmp.Diff(want, d.Events[0], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, host, diff)
			}
		}
	}
}

// Security: what reaches git is made of a number and of what was configured.
func TestOddPullRequestsAreRefused(t *testing.T) {
	for name, change := range map[string]func(payload){
		"no number":               func(m payload) { delete(m, "number") },
		"a negative number":       func(m payload) { m["number"] = -7 },
		"text for a number":       func(m payload) { m["number"] = "7/../../heads/main" },
		"no head":                 func(m payload) { delete(at(m, "pull_request"), "head") },
		"no commit":               func(m payload) { at(m, "pull_request", "head")["sha"] = "" },
		"a commit of zeros":       func(m payload) { at(m, "pull_request", "head")["sha"] = zero },
		"a short commit":          func(m payload) { at(m, "pull_request", "head")["sha"] = "abc" },
		"a branch for a commit":   func(m payload) { at(m, "pull_request", "head")["sha"] = "main" },
		"no target":               func(m payload) { delete(at(m, "pull_request"), "base") },
		"a target with dots":      func(m payload) { at(m, "pull_request", "base")["ref"] = "../x" },
		"a target that is a list": func(m payload) { at(m, "pull_request", "base")["ref"] = []any{"main"} },
	} {
		if d, err := parseGitHub(http.Header{githubEventHeader: {"pull_request"}}, githubPullBody(change)); err == nil {
			t.Errorf("%s was accepted: %+v", name, d.Events)
		}
	}
}

func TestEventsAreOfTheRepositoryThatTheySay(t *testing.T) {
	for _, c := range []struct {
		why  string
		e    HookEvent
		url  string
		want bool
	}{
		{"an address", HookEvent{Addresses: []string{"https://h/a/b"}}, "git@h:a/b.git", true},
		{"another one", HookEvent{Addresses: []string{"https://h/a/c"}, Name: "a/b"}, "git@h:a/b.git", false},
		{"a name when there is no address", HookEvent{Name: "PROJ/shop"}, "https://h/scm/proj/shop.git", true},
		{"the end of a name is no name", HookEvent{Name: "op/shop"}, "https://h/scm/shop/shop.git", false},
		{"another name", HookEvent{Name: "PROJ/shop2"}, "https://h/scm/proj/shop.git", false},
		{"nothing at all", HookEvent{}, "https://h/scm/proj/shop.git", false},
		{"no address to compare with", HookEvent{Name: "a/b"}, "", false},
	} {
		if got := c.e.Of(c.url); got != c.want {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
}

func TestEveryHostHasASenderAndItsEvents(t *testing.T) {
	for _, host := range []v1alpha1.ProviderType{
		v1alpha1.ProviderGitHub, v1alpha1.ProviderGitLab, v1alpha1.ProviderGitea, v1alpha1.ProviderBitbucket,
		v1alpha1.ProviderBitbucketServer, v1alpha1.ProviderGit, "",
	} {
		s, ok := SenderOf(host)
		if !ok || len(s.Events) == 0 {
			t.Errorf("%q has no sender", host)
			continue
		}
		for _, body := range []string{"", "null", "[]", "{}", `{"ref":1}`, fmt.Sprintf(`{"a":%s}`, strings.Repeat("[", 100))} {
			for _, event := range append(s.Events, "", "no such event") {
				h := http.Header{}
				for _, name := range []string{githubEventHeader, gitlabEventHeader, giteaEventHeaders[0], bitbucketEventHeader} {
					h.Set(name, event)
				}
				d, err := s.Parse(h, []byte(body))
				checkDelivery(t, d, err)
				if err == nil && d.Event != "other" && d.Event != "" && (body == "" || body[0] != '{') {
					t.Errorf("%s: %q of event %q was understood: %+v", host, body, event, d)
				}
			}
		}
	}
	if _, ok := SenderOf("Sourceforge"); ok {
		t.Error("a host that nobody knows has a sender")
	}
}
