package scm

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/samples"
)

// Security: Gitea's own signature counts, not the one that it sends in GitHub's name.
func TestGiteaSignatures(t *testing.T) {
	body := []byte(`{}`)
	right := sign(testKey, body)[len("sha256="):]
	for name, c := range map[string]struct {
		header http.Header
		want   error
	}{
		"Gitea's":                        {http.Header{"X-Gitea-Signature": {right}}, nil},
		"Forgejo's":                      {http.Header{"X-Forgejo-Signature": {right}}, nil},
		"both":                           {http.Header{"X-Gitea-Signature": {right}, "X-Forgejo-Signature": {right}}, nil},
		"an empty one, without a secret": {http.Header{"X-Gitea-Signature": {""}}, delivery.ErrSignature},
		"an empty one and Forgejo's":     {http.Header{"X-Gitea-Signature": {""}, "X-Forgejo-Signature": {right}}, delivery.ErrSignature},
		"two":                            {http.Header{"X-Gitea-Signature": {right, right}}, delivery.ErrSignature},
		"GitHub's":                       {http.Header{githubSignatureHeader: {"sha256=" + right}}, delivery.ErrSignature},
		"Gogs'":                          {http.Header{"X-Gogs-Signature": {right}}, delivery.ErrSignature},
		"with GitHub's prefix":           {http.Header{"X-Gitea-Signature": {"sha256=" + right}}, delivery.ErrSignature},
	} {
		if err := verifyGitea([][]byte{testKey}, c.header, body, time.Time{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := verifyGitea(nil, http.Header{"X-Gitea-Signature": {""}}, body, time.Time{}); !errors.Is(err, delivery.ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
}

func giteaPushBody(change func(payload)) []byte {
	commit := func(id, message string, files ...any) payload {
		return payload{"id": id, "message": message, "url": "https://gitea.example.com/acme/shop/commit/" + id[:1], "author": payload{"name": "Ann", "username": "ann"},
			"timestamp": "2026-03-09T16:23:39+09:00", "added": files, "removed": nil, "modified": []any{}}
	}
	return encode(payload{
		"ref": "refs/heads/main", "before": commitA, "after": commitB, "compare_url": "https://gitea.example.com/acme/shop/compare/a...b",
		"commits": []any{commit(commitB, "Second", "b.go"), commit(commitC, "First", "c.go")}, "total_commits": 2, "head_commit": commit(commitB, "Second", "b.go"),
		"repository": payload{"id": 1, "full_name": "acme/shop", "clone_url": "https://gitea.example.com/acme/shop.git", "ssh_url": "git@gitea.example.com:acme/shop.git", "html_url": "https://gitea.example.com/acme/shop"},
		"pusher":     payload{"login": "bob", "username": "bob"}, "sender": payload{"login": "bob", "username": "bob"},
	}, change)
}

func TestGiteaPushIsNormalised(t *testing.T) {
	base := HookEvent{
		Kind: HookPush, Ref: "refs/heads/main", Branch: "main", Before: commitA, After: commitB,
		Addresses: []string{"https://gitea.example.com/acme/shop.git", "git@gitea.example.com:acme/shop.git", "https://gitea.example.com/acme/shop"},
		Paths:     []string{"b.go", "c.go"}, PathsComplete: true, Message: "Second", Author: "Ann", Sender: "bob", HTMLURL: "https://gitea.example.com/acme/shop/commit/b",
	}
	noPaths := func(e *HookEvent) { e.Paths, e.PathsComplete = nil, false }
	tag := func(m payload) { m["ref"], m["before"], m["after"] = "refs/tags/v1", zero, commitC }
	isTag := func(e *HookEvent) {
		e.Kind, e.Ref, e.Branch, e.Tag, e.Before = HookTag, "refs/tags/v1", "", "v1", ""
		noPaths(e)
	}
	for name, c := range map[string]struct {
		change func(payload)
		want   func(*HookEvent)
	}{
		"a push":                              {nil, func(*HookEvent) {}},
		"more commits than are listed":        {func(m payload) { m["total_commits"] = 30 }, func(e *HookEvent) { e.PathsComplete = false }},
		"an older version tells no total":     {func(m payload) { delete(m, "total_commits") }, func(e *HookEvent) { e.PathsComplete = false }},
		"a new branch":                        {func(m payload) { m["before"] = zero }, func(e *HookEvent) { e.Before = ""; e.PathsComplete = false }},
		"a commit that is null":               {func(m payload) { m["commits"] = []any{nil, nil} }, noPaths},
		"a time that nobody can read":         {func(m payload) { at(m, "head_commit")["timestamp"] = "yesterday" }, noPaths},
		"the test button changes nothing":     {func(m payload) { m["before"] = commitB }, func(e *HookEvent) { e.Before, e.Nothing = commitB, nothingChanged; noPaths(e) }},
		"a marker in the head":                {func(m payload) { at(m, "head_commit")["message"] = "[skip ci]" }, func(e *HookEvent) { e.Message, e.Nothing = "[skip ci]", "the head commit says [skip ci]"; noPaths(e) }},
		"an annotated tag is its head commit": {tag, isTag},
		"a tag without a head commit": {func(m payload) { tag(m); m["head_commit"] = nil }, func(e *HookEvent) {
			isTag(e)
			e.After, e.Message, e.Author, e.HTMLURL = "", "", "", "https://gitea.example.com/acme/shop/compare/a...b"
		}},
		"a deleted branch": {func(m payload) { m["after"], m["head_commit"], m["commits"] = zero, nil, nil }, func(e *HookEvent) {
			e.Kind, e.After, e.Message, e.Author, e.HTMLURL, e.Nothing = HookDelete, "", "", "", "https://gitea.example.com/acme/shop/compare/a...b", nothingDeleted
			noPaths(e)
		}},
	} {
		want := base
		c.want(&want)
		for _, brand := range []string{"X-Gitea-", "X-Forgejo-"} {
			h := http.Header{}
			h.Set(brand+"Event", "push")
			h.Set(brand+"Delivery", "0b6f4a5e-7c52")
			h.Set("X-GitHub-Event", "ping") // sent for others, and nothing to us
			d, err := parseGitea(h, giteaPushBody(c.change))
			if err != nil || len(d.Events) != 1 || d.ID != "0b6f4a5e-7c52" {
				t.Errorf("%s: %+v, %v", name, d, err)
				continue
			}
			if diff := cmp.Diff(want, d.Events[0], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestGiteaOtherEventsStartNothing(t *testing.T) {
	for _, event := range []string{"create", "delete", "release", "package", "pull_request_comment"} {
		if d, err := parseGitea(http.Header{"X-Gitea-Event": {event}}, []byte(`{}`)); err != nil || d.Event != "other" || d.Nothing == "" {
			t.Errorf("%s: %+v, %v", event, d, err)
		}
	}
	if _, err := parseGitea(http.Header{githubEventHeader: {"push"}}, giteaPushBody(nil)); err == nil {
		t.Error("an event in GitHub's name only was accepted")
	}
}

func TestGiteaSamplesOfTheLibrary(t *testing.T) {
	events := map[string]string{"push-event": "push", "pull-request-event": "pull_request"}
	for name, body := range samples.Library(t, "gitea") {
		event, understood := events[name]
		if !understood {
			event = "create"
		}
		d, err := parseGitea(http.Header{"X-Gitea-Event": {event}}, body)
		checkDelivery(t, d, err)
		if err != nil || understood != (len(d.Events) == 1) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func FuzzParseGitea(f *testing.F) {
	seeds(f, "gitea", giteaEvents())
	f.Add("push", giteaPushBody(nil))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		d, err := parseGitea(http.Header{"X-Gitea-Event": {event}}, body)
		checkDelivery(t, d, err)
	})
}
