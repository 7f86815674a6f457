package scm

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/samples"
)

// Security: the signature counts; the hook's UUID is no secret, and a short header is no
// reason to panic.
func TestBitbucketSignatures(t *testing.T) {
	body := []byte(`{}`)
	right := sign(testKey, body)
	for name, c := range map[string]struct {
		header http.Header
		want   error
	}{
		"a right one":             {http.Header{"X-Hub-Signature": {right}}, nil},
		"a short one":             {http.Header{"X-Hub-Signature": {"sha"}}, delivery.ErrSignature},
		"none":                    {http.Header{"X-Hook-Uuid": {"{a}"}}, delivery.ErrSignature},
		"SHA-1":                   {http.Header{"X-Hub-Signature": {"sha1=" + right[7:47]}}, delivery.ErrSignature},
		"in the header of GitHub": {http.Header{githubSignatureHeader: {right}}, delivery.ErrSignature},
	} {
		if err := verifyBitbucket([][]byte{testKey}, c.header, body, time.Time{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func bitbucketPushBody(change func(payload)) []byte {
	html := func(href string) payload { return payload{"html": payload{"href": href}} }
	ref := func(typ, name, hash string) payload {
		return payload{"type": typ, "name": name, "target": payload{"hash": hash, "message": "Second\n", "links": html("https://bitbucket.org/acme/shop/commits/" + hash[:1]),
			"author": payload{"raw": "Ann <ann@example.com>", "user": payload{"nickname": "ann", "display_name": "Ann Lee"}}}}
	}
	return encode(payload{
		"actor": payload{"display_name": "Bob Ray", "nickname": "bob"}, "repository": payload{"full_name": "acme/shop", "links": html("https://bitbucket.org/acme/shop")},
		"push": payload{"changes": []any{payload{"old": ref("branch", "main", commitA), "new": ref("branch", "main", commitB), "created": false, "forced": false, "closed": false,
			"links": html("https://bitbucket.org/acme/shop/branches/compare/b..a"), "commits": []any{}, "truncated": false}}},
	}, change)
}

func TestBitbucketPushIsNormalised(t *testing.T) {
	base := HookEvent{
		Kind: HookPush, Ref: "refs/heads/main", Branch: "main", Before: commitA, After: commitB, Addresses: []string{"https://bitbucket.org/acme/shop"},
		Message: "Second", Author: "ann", Sender: "bob", HTMLURL: "https://bitbucket.org/acme/shop/commits/b",
	}
	change := func(m payload) payload { return at(m, "push", "changes") }
	for name, c := range map[string]struct {
		change func(payload)
		want   func(*HookEvent)
	}{
		"a push":       {nil, func(*HookEvent) {}},
		"a new branch": {func(m payload) { change(m)["old"] = nil }, func(e *HookEvent) { e.Before = "" }},
		"a branch that is gone": {func(m payload) { change(m)["new"] = nil },
			func(e *HookEvent) {
				e.Kind, e.After, e.Nothing, e.HTMLURL = HookDelete, "", nothingDeleted, "https://bitbucket.org/acme/shop/commits/a"
			}},
		"a tag, whatever its commit says": {func(m payload) {
			n := change(m)["new"].(payload)
			n["type"], n["name"], change(m)["old"] = "tag", "v1", nil
			at(n, "target")["message"] = "[skip ci]"
		}, func(e *HookEvent) {
			e.Kind, e.Ref, e.Branch, e.Tag, e.Before, e.Message = HookTag, "refs/tags/v1", "", "v1", "", "[skip ci]"
		}},
		"a marker in the head": {func(m payload) { at(m, "push", "changes", "new", "target")["message"] = "x [skip ci]" },
			func(e *HookEvent) { e.Message, e.Nothing = "x [skip ci]", "the head commit says [skip ci]" }},
		"a branch with slashes": {func(m payload) { at(m, "push", "changes", "new")["name"] = "feature/a" }, func(e *HookEvent) { e.Ref, e.Branch = "refs/heads/feature/a", "feature/a" }},
	} {
		want := base
		c.want(&want)
		d, err := parseBitbucket(http.Header{bitbucketEventHeader: {"repo:push"}, bitbucketDeliveryHeader: {"0b6f4a5e-7c52"}}, bitbucketPushBody(c.change))
		if err != nil || len(d.Events) != 1 || d.ID != "0b6f4a5e-7c52" {
			t.Errorf("%s: %+v, %v", name, d, err)
			continue
		}
		if diff := cmp.Diff(want, d.Events[0], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBitbucketOddPushes(t *testing.T) {
	parse := func(change func(payload)) (Delivery, error) {
		return parseBitbucket(http.Header{bitbucketEventHeader: {"repo:push"}}, bitbucketPushBody(change))
	}
	if d, err := parse(func(m payload) { at(m, "push")["changes"] = []any{} }); err != nil || d.Nothing == "" {
		t.Errorf("a push of no refs: %+v, %v", d, err)
	}
	var refs []any
	for _, name := range []string{"main", "next", "old"} {
		refs = append(refs, payload{"new": payload{"type": "branch", "name": name, "target": payload{"hash": commitB}}})
	}
	d, err := parse(func(m payload) { at(m, "push")["changes"] = refs })
	if err != nil || len(d.Events) != 3 || d.Events[1].Branch != "next" {
		t.Errorf("three refs: %+v, %v", d, err)
	}
	for name, changes := range map[string][]any{
		"a change of nothing": {payload{"old": nil, "new": nil}},
		"a short hash":        {payload{"new": payload{"type": "branch", "name": "main", "target": payload{"hash": "abc"}}}},
		"no name":             {payload{"new": payload{"type": "branch", "target": payload{"hash": commitB}}}},
		"too many refs":       make([]any, maxChanges+1),
	} {
		if d, err := parse(func(m payload) { at(m, "push")["changes"] = changes }); err == nil {
			t.Errorf("%s was accepted: %d events", name, len(d.Events))
		}
	}
}

func bitbucketPullBody(change func(payload)) []byte {
	repo := func() payload {
		return payload{"full_name": "acme/shop", "links": payload{"html": payload{"href": "https://bitbucket.org/acme/shop"}}}
	}
	side := func(branch, hash string) payload {
		return payload{"branch": payload{"name": branch}, "commit": payload{"hash": hash}, "repository": repo()}
	}
	return encode(payload{
		"actor": payload{"nickname": "bob"}, "repository": repo(),
		"pullrequest": payload{"id": 7, "title": "Add it", "state": "OPEN", "author": payload{"nickname": "ann"}, "links": payload{"html": payload{"href": "https://bitbucket.org/acme/shop/pull-requests/7"}},
			"source": side("feature", "d3022fc0ca3d"), "destination": side("main", "ce5965ddd289")},
	}, change)
}

func TestBitbucketPullRequests(t *testing.T) {
	base := HookEvent{
		Kind: HookPullRequest, Ref: "refs/heads/feature", Branch: "main", PullRequest: &v1alpha1.PullRequest{Number: 7}, Key: "pull-7-d3022fc0ca3d",
		Addresses: []string{"https://bitbucket.org/acme/shop"}, Message: "Add it", Author: "ann", Sender: "bob", HTMLURL: "https://bitbucket.org/acme/shop/pull-requests/7",
	}
	for name, c := range map[string]struct {
		change func(payload)
		want   func(*HookEvent)
	}{
		"a new one, whose commit is to be looked up": {nil, func(*HookEvent) {}},
		"one with a whole commit id":                 {func(m payload) { at(m, "pullrequest", "source", "commit")["hash"] = commitB }, func(e *HookEvent) { e.After, e.Key = commitB, "pull-7-"+commitB }},
		"one that is merged":                         {func(m payload) { at(m, "pullrequest")["state"] = "MERGED" }, func(e *HookEvent) { e.Nothing = nothingClosed }},
		"a fork": {func(m payload) {
			r := at(m, "pullrequest", "source", "repository")
			r["full_name"], r["links"] = "eve/shop", payload{"html": payload{"href": "https://bitbucket.org/eve/shop"}}
		}, func(e *HookEvent) {
			e.PullRequest = &v1alpha1.PullRequest{Number: 7, Fork: true, HeadRepositoryURL: "https://bitbucket.org/eve/shop"}
			e.Nothing = nothingNoRef
		}},
		"a fork that is gone": {func(m payload) { at(m, "pullrequest", "source")["repository"] = nil }, func(e *HookEvent) {
			e.PullRequest, e.Nothing = &v1alpha1.PullRequest{Number: 7, Fork: true}, nothingNoRef
		}},
	} {
		want := base
		c.want(&want)
		for _, event := range []string{"pullrequest:created", "pullrequest:updated"} {
			d, err := parseBitbucket(http.Header{bitbucketEventHeader: {event}}, bitbucketPullBody(c.change))
			if err != nil || len(d.Events) != 1 {
				t.Errorf("%s: %+v, %v", name, d, err)
				continue
			}
			if diff := cmp.Diff(want, d.Events[0], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func bitbucketServerPushBody(change func(payload)) []byte {
	return encode(payload{
		"eventKey": "repo:refs_changed", "date": "2026-03-01T10:37:14+0100", "actor": payload{"name": "bob", "displayName": "Bob Ray"},
		"repository": payload{"slug": "shop", "id": 4, "project": payload{"key": "ACME"}, "links": payload{"clone": []any{
			payload{"href": "ssh://git@bitbucket.example.com:7999/acme/shop.git", "name": "ssh"}, payload{"href": "https://bitbucket.example.com/scm/acme/shop.git", "name": "http"}}}},
		"changes": []any{
			payload{"ref": payload{"id": "refs/heads/main"}, "refId": "refs/heads/main", "fromHash": commitA, "toHash": commitB, "type": "UPDATE"},
			payload{"ref": payload{"id": "refs/tags/v1"}, "refId": "refs/tags/v1", "fromHash": zero, "toHash": commitC, "type": "ADD"},
			payload{"ref": payload{"id": "refs/heads/gone"}, "refId": "refs/heads/gone", "fromHash": commitA, "toHash": zero, "type": "DELETE"},
		},
	}, change)
}

func TestBitbucketServerChangedRefsAreEvents(t *testing.T) {
	addresses := []string{"ssh://git@bitbucket.example.com:7999/acme/shop.git", "https://bitbucket.example.com/scm/acme/shop.git"}
	want := []HookEvent{
		{Kind: HookPush, Ref: "refs/heads/main", Branch: "main", Before: commitA, After: commitB, Addresses: addresses, Name: "ACME/shop", Sender: "bob"},
		{Kind: HookTag, Ref: "refs/tags/v1", Tag: "v1", Addresses: addresses, Name: "ACME/shop", Sender: "bob"}, // the commit is looked up
		{Kind: HookDelete, Ref: "refs/heads/gone", Branch: "gone", Before: commitA, Addresses: addresses, Name: "ACME/shop", Sender: "bob", Nothing: nothingDeleted},
	}
	parse := func(change func(payload)) (Delivery, error) {
		return parseBitbucketServer(http.Header{bitbucketEventHeader: {"repo:refs_changed"}, "X-Request-Id": {"0b6f4a5e-7c52"}}, bitbucketServerPushBody(change))
	}
	d, err := parse(nil)
	if err != nil || d.ID != "0b6f4a5e-7c52" {
		t.Fatalf("%+v, %v", d, err)
	}
	if diff := cmp.Diff(want, d.Events, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("three refs (-want +got):\n%s", diff)
	}
	d, err = parse(func(m payload) {
		at(m, "repository")["links"] = payload{}
		m["toCommit"] = payload{"id": commitB, "message": "x [skip ci]", "author": payload{"name": "ann"}}
	})
	if err != nil || len(d.Events) != 3 || d.Events[0].Nothing != "the head commit says [skip ci]" || d.Events[0].Author != "ann" || d.Events[1].Nothing != "" {
		t.Errorf("a marker in the head commit: %+v, %v", d, err)
	}
	if !d.Events[0].Of("ssh://git@bitbucket.example.com:7999/ACME/shop.git") || d.Events[0].Of("ssh://git@bitbucket.example.com:7999/other/shop.git") {
		t.Error("without links the name of the repository counts")
	}
	for name, change := range map[string]func(payload){
		"an odd hash":   func(m payload) { at(m, "changes")["toHash"] = "HEAD" },
		"no ref":        func(m payload) { delete(at(m, "changes"), "ref") },
		"too many refs": func(m payload) { m["changes"] = make([]any, maxChanges+1) },
	} {
		if d, err := parse(change); err == nil {
			t.Errorf("%s was accepted: %d events", name, len(d.Events))
		}
	}
	if d, err := parse(func(m payload) { m["changes"] = nil }); err != nil || d.Nothing == "" {
		t.Errorf("no refs: %+v, %v", d, err)
	}
}

func bitbucketServerPullBody(change func(payload)) []byte {
	side := func(ref, commit string) payload {
		return payload{"id": ref, "latestCommit": commit, "repository": payload{"slug": "shop", "id": 4, "project": payload{"key": "ACME"}}}
	}
	return encode(payload{
		"eventKey": "pr:opened", "actor": payload{"name": "bob"},
		"pullRequest": payload{"id": 7, "title": "Add it", "state": "OPEN", "author": payload{"user": payload{"name": "ann"}},
			"fromRef": side("refs/heads/feature", commitB), "toRef": side("refs/heads/main", commitA),
			"links": payload{"self": []any{payload{"href": "https://bitbucket.example.com/projects/ACME/repos/shop/pull-requests/7"}}}},
	}, change)
}

func TestBitbucketServerPullRequests(t *testing.T) {
	base := HookEvent{
		Kind: HookPullRequest, Ref: "refs/heads/feature", Branch: "main", After: commitB, PullRequest: &v1alpha1.PullRequest{Number: 7}, Name: "ACME/shop",
		Message: "Add it", Author: "ann", Sender: "bob", HTMLURL: "https://bitbucket.example.com/projects/ACME/repos/shop/pull-requests/7",
	}
	for name, c := range map[string]struct {
		event  string
		change func(payload)
		want   func(*HookEvent)
	}{
		"a new one":              {"pr:opened", nil, func(*HookEvent) {}},
		"new commits":            {"pr:from_ref_updated", func(m payload) { m["previousFromHash"] = commitA }, func(e *HookEvent) { e.Before = commitA }},
		"one that is open again": {"pr:reopened", nil, func(*HookEvent) {}},
		"a fork": {"pr:opened", func(m payload) {
			r := at(m, "pullRequest", "fromRef", "repository")
			r["id"], r["project"] = 5, payload{"key": "~eve"}
		},
			func(e *HookEvent) {
				e.PullRequest, e.Nothing = &v1alpha1.PullRequest{Number: 7, Fork: true}, nothingNoRef
			}},
		"a closed one": {"pr:from_ref_updated", func(m payload) { at(m, "pullRequest")["state"] = "DECLINED" }, func(e *HookEvent) { e.Nothing = nothingClosed }},
	} {
		want := base
		c.want(&want)
		d, err := parseBitbucketServer(http.Header{bitbucketEventHeader: {c.event}}, bitbucketServerPullBody(c.change))
		if err != nil || len(d.Events) != 1 {
			t.Errorf("%s: %+v, %v", name, d, err)
			continue
		}
		if diff := cmp.Diff(want, d.Events[0], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, change := range map[string]func(payload){
		"no head":              func(m payload) { delete(at(m, "pullRequest", "fromRef"), "latestCommit") },
		"a head that is a tag": func(m payload) { at(m, "pullRequest", "fromRef")["id"] = "refs/tags/v1" },
		"an odd head":          func(m payload) { at(m, "pullRequest", "fromRef")["id"] = "--upload-pack=x" },
		"no target":            func(m payload) { delete(at(m, "pullRequest"), "toRef") },
	} {
		if d, err := parseBitbucketServer(http.Header{bitbucketEventHeader: {"pr:opened"}}, bitbucketServerPullBody(change)); err == nil {
			t.Errorf("%s was accepted: %+v", name, d)
		}
	}
}

func TestBitbucketPingsAndOtherEvents(t *testing.T) {
	d, err := parseBitbucketServer(http.Header{bitbucketEventHeader: {"diagnostics:ping"}}, []byte(`{"test":true}`))
	if err != nil || len(d.Events) != 1 || d.Events[0].Kind != HookPing {
		t.Errorf("a ping: %+v, %v", d, err)
	}
	for name, body := range samples.Library(t, "bitbucket") {
		event := map[string]string{"repo-push": "repo:push", "pull-request-created": "pullrequest:created", "pull-request-updated": "pullrequest:updated"}[name]
		if event == "" {
			event = strings.Replace(name, "-", ":", 1)
		}
		d, err := parseBitbucket(http.Header{bitbucketEventHeader: {event}}, body)
		checkDelivery(t, d, err)
		if err != nil || (d.Event == "other") != (len(d.Events) == 0) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	for name, body := range samples.Library(t, "bitbucket-server") {
		event := map[string]string{"repo-refs-changed": "repo:refs_changed", "pr-opened": "pr:opened"}[name]
		if event == "" {
			event = strings.Replace(name, "-", ":", 1)
		}
		d, err := parseBitbucketServer(http.Header{bitbucketEventHeader: {event}}, body)
		checkDelivery(t, d, err)
		if err != nil || (d.Event == "other") != (len(d.Events) == 0) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func FuzzParseBitbucket(f *testing.F) {
	seeds(f, "bitbucket", bitbucketEvents())
	f.Add("repo:push", bitbucketPushBody(nil))
	f.Add("pullrequest:updated", bitbucketPullBody(nil))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		d, err := parseBitbucket(http.Header{bitbucketEventHeader: {event}}, body)
		checkDelivery(t, d, err)
	})
}

func FuzzParseBitbucketServer(f *testing.F) {
	seeds(f, "bitbucket-server", bitbucketServerEvents())
	f.Add("repo:refs_changed", bitbucketServerPushBody(nil))
	f.Add("pr:opened", bitbucketServerPullBody(nil))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		d, err := parseBitbucketServer(http.Header{bitbucketEventHeader: {event}}, body)
		checkDelivery(t, d, err)
	})
}
