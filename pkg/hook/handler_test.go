package hook

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestPushStartsTheRunsItMatches(t *testing.T) {
	f := newFixture(t)
	code, a, _ := f.send(request(push(nil), shopKey))
	if len(a.Skipped) != 1 {
		t.Fatalf("status %d, %+v\n%s", code, a, f.log)
	}
	name := v1alpha1.EventExecutionName("build", guid, "refs/heads/main")
	want := answer{
		DeliveryID: guid, Created: []string{name},
		Skipped: []skipped{{Pipeline: "docs", Reason: a.Skipped[0].Reason}},
	}
	if diff := cmp.Diff(want, a, cmp.AllowUnexported(answer{})); code != http.StatusAccepted || diff != "" {
		t.Errorf("status %d (-want +got):\n%s", code, diff)
	}
	if !strings.Contains(a.Skipped[0].Reason, "paths") {
		t.Errorf("docs was skipped because %q, wanted the filter on paths", a.Skipped[0].Reason)
	}
	var run v1alpha1.PipelineExecution
	if !f.api.object("pipelineexecutions", "team", name, &run) {
		t.Fatalf("%s is not stored; there are %v", name, f.runs())
	}
	wantSpec := v1alpha1.PipelineExecutionSpec{
		PipelineRef: v1alpha1.LocalReference{Name: "build"}, Control: v1alpha1.ControlRun,
		Trigger: v1alpha1.Trigger{Type: v1alpha1.EventPush, User: "ann", DeliveryID: guid},
		Source: &v1alpha1.Source{
			RepositoryURL: "https://github.com/acme/shop.git", Ref: "refs/heads/main", Branch: "main", Commit: strings.Repeat("b", 40),
			Message: "Fix it", Author: "Ann", HTMLURL: "https://github.com/acme/shop/commit/b", Paths: []string{"main.go"}, PathsComplete: true,
		},
	}
	if diff := cmp.Diff(wantSpec, run.Spec); diff != "" {
		t.Errorf("the run (-want +got):\n%s", diff)
	}
	eventually(t, "the delivery is in the repository's status", func() bool {
		var repo v1alpha1.SourceCodeRepository
		f.api.object("sourcecoderepositories", "team", "shop", &repo)
		d := repo.Status.Webhook.LastDelivery
		return d != nil && d.ID == guid && d.Event == "push" && d.Result == "started "+name && repo.Status.Webhook.Path == shopPath
	})
	if !strings.Contains(f.log.String(), "delivery="+guid) || !strings.Contains(f.log.String(), name) {
		t.Errorf("the log does not tell what happened:\n%s", f.log)
	}
}

func TestRedeliveryFindsTheRunStored(t *testing.T) {
	f := newFixture(t)
	f.send(request(push(nil), shopKey))
	f.start() // another replica, or the same one after a restart
	for range 5 {
		code, a, _ := f.send(request(push(nil), shopKey))
		if code != http.StatusOK || len(a.Existing) != 1 || len(a.Created) != 0 {
			t.Errorf("status %d, %+v", code, a)
		}
	}
	if n := len(f.runs()); n != 1 {
		t.Errorf("%d runs are stored", n)
	}
}

func TestTagStartsOneRun(t *testing.T) {
	f := newFixture(t)
	body := push(func(m map[string]any) { m["ref"] = "refs/tags/v1"; m["before"] = strings.Repeat("0", 40) })
	if code, a, _ := f.send(request(body, shopKey)); code != http.StatusAccepted || len(a.Created) != 1 {
		t.Errorf("push of a tag: %d, %+v", code, a)
	}
	r := request([]byte(`{"ref":"v1","ref_type":"tag"}`), shopKey)
	r.Header.Set("X-GitHub-Event", "create") // what GitHub sends beside it
	if code, a, _ := f.send(r); code != http.StatusOK || len(a.Created) != 0 || a.Reason == "" {
		t.Errorf("create of a tag: %d, %+v", code, a)
	}
	if n := len(f.runs()); n != 1 {
		t.Errorf("%d runs are stored", n)
	}
}

func TestAuthenticDeliveriesThatStartNothingAreFine(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		event  string
		body   []byte
		reason string
	}{
		"a ping":        {"ping", []byte(`{"zen":"x"}`), "ping"},
		"another event": {"issues", []byte(`{}`), "start nothing"},
		"a deleted branch": {"push", push(func(m map[string]any) {
			m["deleted"] = true
			m["after"] = strings.Repeat("0", 40)
			m["head_commit"] = nil
		}), "deleted"},
		"an empty push": {"push", push(func(m map[string]any) { m["before"] = m["after"] }), "changed nothing"},
		"a skip marker": {"push", push(func(m map[string]any) { m["head_commit"].(map[string]any)["message"] = "x [skip ci]" }), "[skip ci]"},
		"another repository": {"push", push(func(m map[string]any) {
			m["repository"] = map[string]any{"clone_url": "https://github.com/acme/other.git"}
		}), "another repository"},
		"no repository": {"push", push(func(m map[string]any) { delete(m, "repository") }), "another repository"},
	} {
		r := request(c.body, shopKey)
		r.Header.Set("X-GitHub-Event", c.event)
		code, a, _ := f.send(r)
		if code != http.StatusOK || !strings.Contains(a.Reason, c.reason) || len(a.Created) != 0 {
			t.Errorf("%s: %d, %+v, want 200 because of %q", name, code, a, c.reason)
		}
	}
	code, a, _ := f.send(request(push(func(m map[string]any) { m["ref"] = "refs/heads/dev" }), shopKey))
	if code != http.StatusOK || len(a.Skipped) != 2 {
		t.Errorf("a branch that no filter wants: %d, %+v", code, a)
	}
	f.api.put(t, "pipelines", pipelineOf("build", "shop", func(p *v1alpha1.Pipeline) { p.Spec.Suspend = true }))
	eventually(t, "a suspended pipeline is skipped", func() bool {
		_, a, _ := f.send(request(push(nil), shopKey))
		return len(a.Skipped) == 2 && strings.Contains(a.Skipped[0].Reason, "suspended")
	})
	if n := len(f.runs()); n > 1 { // at most the one before the suspension was seen
		t.Errorf("runs %v", f.runs())
	}
}

func TestRequestsAreRefusedByTheirHeaders(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		change func(r *http.Request)
		want   int
	}{
		"GET":                     {func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"an unknown path":         {func(r *http.Request) { r.URL.Path = "/hooks/fedcba9876543210fedcba9876543210" }, 404},
		"a longer path":           {func(r *http.Request) { r.URL.Path += "/" }, 404},
		"a shorter path":          {func(r *http.Request) { r.URL.Path = shopPath[:len(shopPath)-1] }, 404},
		"the prefix":              {func(r *http.Request) { r.URL.Path = "/hooks/" }, 404},
		"a form":                  {func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415},
		"no type":                 {func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		"gzip":                    {func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415},
		"a promise of 200 MB":     {func(r *http.Request) { r.ContentLength = 200 << 20 }, 413},
		"a charset is no problem": {func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }, 202},
	} {
		r := request(push(nil), shopKey)
		c.change(r)
		if code, a, _ := f.send(r); code != c.want {
			t.Errorf("%s: %d, %+v, want %d", name, code, a, c.want)
		}
	}
}

func TestDisabledAndDeletedWebhooksAreUnknownPaths(t *testing.T) {
	now := metav1.Now()
	for name, change := range map[string]func(*v1alpha1.SourceCodeRepository){
		"disabled":        func(r *v1alpha1.SourceCodeRepository) { r.Spec.Webhook.Mode = v1alpha1.WebhookDisabled },
		"no webhook":      func(r *v1alpha1.SourceCodeRepository) { r.Spec.Webhook = nil },
		"being deleted":   func(r *v1alpha1.SourceCodeRepository) { r.DeletionTimestamp = &now },
		"a guessable one": func(r *v1alpha1.SourceCodeRepository) { r.Status.Webhook.Path = "/hooks/" },
		"no provider":     func(r *v1alpha1.SourceCodeRepository) { r.Spec.ProviderRef.Name = "gone" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			repo := shop()
			change(repo)
			f.api.put(t, "sourcecoderepositories", repo)
			eventually(t, "404", func() bool {
				r := request(push(nil), shopKey)
				if name == "a guessable one" {
					r.URL.Path = "/hooks/"
				}
				code, _, _ := f.send(r)
				return code == http.StatusNotFound
			})
		})
	}
	t.Run("a path that two repositories have", func(t *testing.T) {
		f := newFixture(t)
		thief := shop()
		thief.Namespace, thief.Name = "thief", "shop"
		f.api.put(t, "sourcecoderepositories", thief)
		eventually(t, "404", func() bool {
			code, _, _ := f.send(request(push(nil), shopKey))
			return code == http.StatusNotFound
		})
	})
}
