package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// hostOf makes the fixture's repository one at another host.
func (f *fixture) hostOf(typ v1alpha1.ProviderType, url string) {
	f.t.Helper()
	f.api.put(f.t, "sourcecodeproviders", &v1alpha1.SourceCodeProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "github"}, Spec: v1alpha1.SourceCodeProviderSpec{Type: typ, URL: "https://git.example.com"},
	})
	repo := shop()
	repo.Spec.URL = url
	f.api.put(f.t, "sourcecoderepositories", repo)
	eventually(f.t, "the repository has moved", func() bool {
		r, p, err := f.h.store.byPath(shopPath)
		return err == nil && p == typ && r.Spec.URL == url
	})
}

func hexHMAC(key string, body []byte) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

// deliver makes a request with the headers that a host sends.
func deliver(body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, shopPath, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// runsByRef are the runs that exist, as "<trigger> <ref> <commit>".
func (f *fixture) runsByRef() []string {
	var out []string
	for _, name := range f.runs() {
		e := f.execution(strings.TrimPrefix(name, "team/"))
		out = append(out, fmt.Sprintf("%s %s %.4s", e.Spec.Trigger.Type, e.Spec.Source.Ref, e.Spec.Source.Commit))
	}
	slices.Sort(out)
	return out
}

func TestEveryHostStartsItsRuns(t *testing.T) {
	a, b, zero := strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("0", 40)
	signing := "whsec_" + base64.StdEncoding.EncodeToString([]byte(shopKey))
	for name, c := range map[string]struct {
		host   v1alpha1.ProviderType
		url    string
		secret string
		send   func(body string) *http.Request
		bodies []string
		want   []string
	}{
		"GitLab, with its token": {
			host: v1alpha1.ProviderGitLab, url: "https://git.example.com/acme/shop.git",
			send: func(body string) *http.Request {
				event := map[bool]string{true: "Tag Push Hook", false: "Push Hook"}[strings.Contains(body, "tag_push")]
				return deliver(body, "X-Gitlab-Event", event, "X-Gitlab-Token", shopKey, "Idempotency-Key", "delivery-"+hexHMAC("", []byte(body))[:20])
			},
			bodies: []string{
				fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/main","before":%q,"after":%q,"project":{"git_http_url":"https://git.example.com/acme/shop.git"}}`, a, b),
				fmt.Sprintf(`{"object_kind":"tag_push","ref":"refs/tags/v1","before":%q,"after":%q,"checkout_sha":%q,"project":{"git_http_url":"https://git.example.com/acme/shop.git"}}`, zero, a, b),
			},
			want: []string{"Push refs/heads/main bbbb", "Push refs/heads/main bbbb", "Tag refs/tags/v1 bbbb"},
		},
		"GitLab, signed": {
			host: v1alpha1.ProviderGitLab, url: "https://git.example.com/acme/shop.git", secret: signing,
			send: func(body string) *http.Request {
				id, stamp := "0b6f4a5e-7c52", strconv.FormatInt(time.Now().Unix(), 10)
				m := hmac.New(sha256.New, []byte(shopKey))
				m.Write([]byte(id + "." + stamp + "." + body))
				return deliver(body, "X-Gitlab-Event", "Push Hook", "Webhook-Id", id, "Webhook-Timestamp", stamp, "Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
			},
			bodies: []string{fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/main","before":%q,"after":%q,"project":{"git_http_url":"https://git.example.com/acme/shop.git"}}`, a, b)},
			want:   []string{"Push refs/heads/main bbbb", "Push refs/heads/main bbbb"},
		},
		"Gitea": {
			host: v1alpha1.ProviderGitea, url: "git@git.example.com:acme/shop.git",
			send: func(body string) *http.Request {
				return deliver(body, "X-Gitea-Event", "push", "X-Gitea-Delivery", guid, "X-Gitea-Signature", hexHMAC(shopKey, []byte(body)))
			},
			bodies: []string{fmt.Sprintf(`{"ref":"refs/heads/main","before":%q,"after":%q,"repository":{"clone_url":"https://git.example.com/acme/shop.git"}}`, a, b)},
			want:   []string{"Push refs/heads/main bbbb", "Push refs/heads/main bbbb"},
		},
		"Bitbucket, several refs in one delivery": {
			host: v1alpha1.ProviderBitbucket, url: "https://bitbucket.org/acme/shop.git",
			send: func(body string) *http.Request {
				return deliver(body, "X-Event-Key", "repo:push", "X-Request-UUID", guid, "X-Hub-Signature", "sha256="+hexHMAC(shopKey, []byte(body)))
			},
			bodies: []string{fmt.Sprintf(`{"repository":{"links":{"html":{"href":"https://bitbucket.org/acme/shop"}}},"push":{"changes":[`+
				`{"new":{"type":"branch","name":"main","target":{"hash":%[1]q}}},{"new":{"type":"tag","name":"v1","target":{"hash":%[1]q}}},{"new":{"type":"tag","name":"v2","target":{"hash":%[1]q}}}]}}`, b)},
			want: []string{"Push refs/heads/main bbbb", "Push refs/heads/main bbbb", "Tag refs/tags/v1 bbbb", "Tag refs/tags/v2 bbbb"},
		},
		"Bitbucket Server, without links": {
			host: v1alpha1.ProviderBitbucketServer, url: "ssh://git@git.example.com:7999/acme/shop.git",
			send: func(body string) *http.Request {
				return deliver(body, "X-Event-Key", "repo:refs_changed", "X-Request-Id", guid, "X-Hub-Signature", "sha256="+hexHMAC(shopKey, []byte(body)))
			},
			bodies: []string{fmt.Sprintf(`{"repository":{"slug":"shop","project":{"key":"ACME"}},"changes":[{"ref":{"id":"refs/heads/main"},"fromHash":%q,"toHash":%q},{"ref":{"id":"refs/tags/v1"},"fromHash":%q,"toHash":%q}]}`, a, b, zero, a)},
			want:   []string{"Push refs/heads/main bbbb", "Push refs/heads/main bbbb", "Tag refs/tags/v1 "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if c.secret != "" {
				f.api.put(t, "secrets", secret("shop-hook", map[string]string{"secret": c.secret}))
			}
			f.hostOf(c.host, c.url)
			for range 3 { // a delivery that comes again starts nothing again
				for _, body := range c.bodies {
					if code, a, _ := f.send(c.send(body)); code != http.StatusAccepted && code != http.StatusOK {
						t.Fatalf("%d, %+v", code, a)
					}
				}
			}
			if diff := cmp.Diff(c.want, f.runsByRef()); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
			forged := c.send(c.bodies[0] + " ")
			for _, h := range []string{"X-Gitlab-Token", "Webhook-Signature", "X-Gitea-Signature", "X-Hub-Signature"} {
				if forged.Header.Get(h) != "" {
					forged.Header.Set(h, c.send(strings.Replace(c.bodies[0], "main", "evil", 1)).Header.Get(h)+"0")
				}
			}
			if code, a, _ := f.send(forged); code != http.StatusUnauthorized {
				t.Errorf("a forged delivery: %d, %+v", code, a)
			}
		})
	}
}

// pull is a pull request as GitHub reports it.
func pull(change func(m map[string]any)) []byte {
	repo := func(name string) map[string]any {
		return map[string]any{"full_name": name, "clone_url": "https://github.com/" + name + ".git"}
	}
	m := map[string]any{
		"action": "opened", "number": 7, "repository": repo("acme/shop"), "sender": map[string]any{"login": "eve"},
		"pull_request": map[string]any{
			"title": "Add it", "user": map[string]any{"login": "eve"}, "state": "open",
			"head": map[string]any{"ref": "feature", "sha": strings.Repeat("d", 40), "repo": repo("acme/shop")},
			"base": map[string]any{"ref": "main", "sha": strings.Repeat("a", 40), "repo": repo("acme/shop")},
		},
	}
	if change != nil {
		change(m)
	}
	return mustJSON(m)
}

// fromFork makes a pull request one of a fork.
func fromFork(m map[string]any) {
	head := m["pull_request"].(map[string]any)["head"].(map[string]any)
	head["repo"] = map[string]any{"full_name": "eve/shop", "clone_url": "https://github.com/eve/shop.git"}
}

func TestPullRequestsStartTheRunsThatAskForThem(t *testing.T) {
	f := newFixture(t)
	for name, forks := range map[string]v1alpha1.ForkPolicy{"none": v1alpha1.ForksNone, "bare": v1alpha1.ForksWithoutSecrets, "all": v1alpha1.ForksAll} {
		f.api.put(t, "pipelines", pipelineOf(name, "shop", func(p *v1alpha1.Pipeline) {
			p.Spec.Triggers = &v1alpha1.Triggers{PullRequest: &v1alpha1.PullRequestTrigger{Forks: forks, Branches: &v1alpha1.Filter{Include: []string{"main"}}}}
		}))
	}
	send := func(body []byte) (int, answer) {
		r := request(body, shopKey)
		r.Header.Set("X-GitHub-Event", "pull_request")
		r.Header.Set("X-GitHub-Delivery", "delivery-"+hexHMAC("", body)[:20])
		code, a, _ := f.send(r)
		return code, a
	}
	eventually(t, "five pipelines are known", func() bool {
		p, err := f.h.store.pipelinesOf(shop())
		return err == nil && len(p) == 5
	})
	for what, c := range map[string]struct {
		change func(map[string]any)
		runs   []string // of the pipelines
		reason string   // why another does not run
	}{
		"a request of the repository":        {nil, []string{"all", "bare", "none"}, "triggers.pullRequest is not set"},
		"new commits in it":                  {func(m map[string]any) { m["action"] = "synchronize" }, []string{"all", "bare", "none"}, ""},
		"a request of a fork":                {fromFork, []string{"all", "bare"}, "triggers.pullRequest.forks is None and the request comes from https://github.com/eve/shop.git"},
		"a request to a branch nobody wants": {func(m map[string]any) { m["pull_request"].(map[string]any)["base"].(map[string]any)["ref"] = "dev" }, nil, "triggers.pullRequest.branches"},
		"a label":                            {func(m map[string]any) { m["action"] = "labeled" }, nil, ""},
	} {
		code, a := send(pull(c.change))
		got := map[string]bool{}
		for _, name := range a.Created {
			got[name[:strings.LastIndexByte(name, '-')]] = true
		}
		if diff := cmp.Diff(c.runs, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%s: %d (-want +got):\n%s", what, code, diff)
		}
		if !strings.Contains(fmt.Sprint(a.Skipped), c.reason) {
			t.Errorf("%s: skipped %v, want one because %s", what, a.Skipped, c.reason)
		}
	}
	_, a := send(pull(func(m map[string]any) { fromFork(m); m["action"] = "reopened" }))
	for _, name := range a.Created {
		e := f.execution(name)
		want := &v1alpha1.Source{
			RepositoryURL: "https://github.com/acme/shop.git", Ref: "refs/pull/7/head", Branch: "main", BaseBranch: "main", Commit: strings.Repeat("d", 40),
			Message: "Add it", Author: "eve", PullRequest: &v1alpha1.PullRequest{Number: 7, Fork: true, HeadRepositoryURL: "https://github.com/eve/shop.git"},
		}
		if diff := cmp.Diff(want, e.Spec.Source); diff != "" {
			t.Errorf("what is built of a fork (-want +got):\n%s", diff)
		}
		if e.Spec.Trigger.Type != v1alpha1.EventPullRequest || e.Labels[v1alpha1.LabelTrigger] != "PullRequest" {
			t.Errorf("trigger %+v, labels %v", e.Spec.Trigger, e.Labels)
		}
	}
	if len(a.Created) != 2 {
		t.Errorf("a fork's request that is open again started %v", a.Created)
	}
}

// Bitbucket says "updated" of new commits and of a new title alike: the head commit tells.
func TestBitbucketPullRequestsRunOncePerCommit(t *testing.T) {
	f := newFixture(t)
	f.hostOf(v1alpha1.ProviderBitbucket, "https://bitbucket.org/acme/shop.git")
	f.api.put(t, "pipelines", pipelineOf("pulls", "shop", func(p *v1alpha1.Pipeline) {
		p.Spec.Triggers = &v1alpha1.Triggers{PullRequest: &v1alpha1.PullRequestTrigger{Forks: v1alpha1.ForksAll}}
	}))
	send := func(title, hash, from string) answer {
		body := fmt.Sprintf(`{"repository":{"full_name":"acme/shop","links":{"html":{"href":"https://bitbucket.org/acme/shop"}}},"pullrequest":{"id":7,"title":%q,"state":"OPEN",`+
			`"source":{"branch":{"name":"feature"},"commit":{"hash":%q},"repository":{"full_name":%q}},"destination":{"branch":{"name":"main"}}}}`, title, hash, from)
		code, a, _ := f.send(deliver(body, "X-Event-Key", "pullrequest:updated", "X-Request-UUID", "delivery-"+hexHMAC("", []byte(body))[:20], "X-Hub-Signature", "sha256="+hexHMAC(shopKey, []byte(body))))
		if code >= 300 {
			t.Fatalf("%d, %+v", code, a)
		}
		return a
	}
	eventually(t, "the pipeline is known", func() bool { return len(send("one", "d3022fc0ca3d", "acme/shop").Created)+len(f.runs()) > 0 })
	for _, title := range []string{"two", "three"} {
		if a := send(title, "d3022fc0ca3d", "acme/shop"); len(a.Existing) != 1 || len(a.Created) != 0 {
			t.Errorf("a new title started %+v", a)
		}
	}
	if a := send("three", "e4022fc0ca3d", "acme/shop"); len(a.Created) != 1 {
		t.Errorf("new commits started %+v", a)
	} else if e := f.execution(a.Created[0]); e.Spec.Source.Ref != "refs/heads/feature" || e.Spec.Source.Commit != "" {
		t.Errorf("built is %+v", e.Spec.Source)
	}
	if a := send("four", "f5022fc0ca3d", "eve/shop"); len(a.Created) != 0 || !strings.Contains(a.Reason, "fork") {
		t.Errorf("a fork, whose commits are not in the repository, started %+v", a)
	}
}
