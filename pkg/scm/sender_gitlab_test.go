package scm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/samples"
)

// signStandard signs as the Standard Webhooks say.
func signStandard(key []byte, id, stamp string, body []byte) string {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(key), signingPrefix))
	if err != nil {
		panic(err)
	}
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(id + "." + stamp + "."))
	m.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// Security: a token is compared in constant time, a signature covers id, time and body.
func TestGitLabProvesDeliveries(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	stamp := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	token, old := testKey, []byte("an older token that is still accepted")
	signing := []byte(signingPrefix + base64.StdEncoding.EncodeToString([]byte("twenty-four bytes of key")))
	body := []byte(`{"object_kind":"push"}`)
	const id = "0b6f4a5e-7c52-4a64-8f0b-0d8f0b6f4a5e"
	signed := func(change func(http.Header)) http.Header {
		h := http.Header{gitlabWebhookIDHeader: {id}, gitlabTimeHeader: {stamp(0)}, gitlabSignatureHeader: {signStandard(signing, id, stamp(0), body)}}
		if change != nil {
			change(h)
		}
		return h
	}
	sent := func(tokens ...string) http.Header { return http.Header{gitlabTokenHeader: tokens} }
	for name, c := range map[string]struct {
		keys   [][]byte
		header http.Header
		want   error
	}{
		"the token":                       {header: sent(string(token))},
		"an older token":                  {header: sent(string(old))},
		"another token":                   {header: sent("another token that nobody configured"), want: delivery.ErrSignature},
		"a part of the token":             {header: sent(string(token[:31])), want: delivery.ErrSignature},
		"the token and more":              {header: sent(string(token) + "x"), want: delivery.ErrSignature},
		"no token":                        {want: delivery.ErrSignature},
		"an empty token":                  {header: sent(""), want: delivery.ErrSignature},
		"two tokens, one of them right":   {header: sent(string(token), "x"), want: delivery.ErrSignature},
		"a signature":                     {header: signed(nil)},
		"a signature and a wrong token":   {header: signed(func(h http.Header) { h.Set(gitlabTokenHeader, "x") })},
		"a wrong signature and the token": {header: signed(func(h http.Header) { h.Set(gitlabSignatureHeader, "v1,AAAA"); h.Set(gitlabTokenHeader, string(token)) })},
		"one right signature of two":      {header: signed(func(h http.Header) { h.Set(gitlabSignatureHeader, "v1,AAAA "+h.Get(gitlabSignatureHeader)) })},
		"a signature of another version":  {header: signed(func(h http.Header) { h.Set(gitlabSignatureHeader, "v2"+h.Get(gitlabSignatureHeader)[2:]) }), want: delivery.ErrSignature},
		"a signature that is no base64":   {header: signed(func(h http.Header) { h.Set(gitlabSignatureHeader, "v1,*") }), want: delivery.ErrSignature},
		"another id":                      {header: signed(func(h http.Header) { h.Set(gitlabWebhookIDHeader, "x"+id) }), want: delivery.ErrSignature},
		"no id": {header: signed(func(h http.Header) {
			h.Del(gitlabWebhookIDHeader)
			h.Set(gitlabSignatureHeader, signStandard(signing, "", stamp(0), body))
		}), want: delivery.ErrSignature},
		"another time": {header: signed(func(h http.Header) { h.Set(gitlabTimeHeader, stamp(time.Second)) }), want: delivery.ErrSignature},
		"a signature by a key that does not sign": {keys: [][]byte{token}, header: signed(nil), want: delivery.ErrSignature},
		"four minutes old": {header: signed(func(h http.Header) {
			h.Set(gitlabTimeHeader, stamp(-4*time.Minute))
			h.Set(gitlabSignatureHeader, signStandard(signing, id, stamp(-4*time.Minute), body))
		})},
		"six minutes old": {header: signed(func(h http.Header) {
			h.Set(gitlabTimeHeader, stamp(-6*time.Minute))
			h.Set(gitlabSignatureHeader, signStandard(signing, id, stamp(-6*time.Minute), body))
		}), want: delivery.ErrStale},
		"six minutes in the future": {header: signed(func(h http.Header) {
			h.Set(gitlabTimeHeader, stamp(6*time.Minute))
			h.Set(gitlabSignatureHeader, signStandard(signing, id, stamp(6*time.Minute), body))
		}), want: delivery.ErrStale},
		"six minutes old, by nobody we know": {header: signed(func(h http.Header) { h.Set(gitlabTimeHeader, stamp(-6*time.Minute)) }), want: delivery.ErrSignature},
		"a time that is none": {header: signed(func(h http.Header) {
			h.Set(gitlabTimeHeader, "now")
			h.Set(gitlabSignatureHeader, signStandard(signing, id, "now", body))
		}), want: delivery.ErrSignature},
		"no keys":      {keys: [][]byte{}, header: sent(""), want: delivery.ErrNoKey},
		"an empty key": {keys: [][]byte{{}}, header: sent(""), want: delivery.ErrNoKey},
		"a short key":  {keys: [][]byte{[]byte("short")}, header: sent("short"), want: delivery.ErrNoKey},
		"a signing key of few bytes": {keys: [][]byte{[]byte(signingPrefix + "c2hvcnQga2V5")},
			header: signed(func(h http.Header) {
				h.Set(gitlabSignatureHeader, signStandard([]byte("whsec_c2hvcnQga2V5"), id, stamp(0), body))
			}), want: delivery.ErrSignature},
	} {
		if c.keys == nil {
			c.keys = [][]byte{old, signing, token}
		}
		err := verifyGitLab(c.keys, c.header, body, now)
		if !errors.Is(err, c.want) || errors.Is(err, delivery.ErrStale) != errors.Is(c.want, delivery.ErrStale) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func gitlabPush(change func(payload)) []byte {
	return encode(payload{
		"object_kind": "push", "event_name": "push", "before": commitA, "after": commitB, "checkout_sha": commitB, "ref": "refs/heads/main",
		"user_id": 4, "user_name": "Ann Lee", "user_username": "ann", "project_id": 15, "push_options": payload{},
		"project": payload{"web_url": "https://gitlab.example.com/acme/tools/shop", "git_http_url": "https://gitlab.example.com/acme/tools/shop.git",
			"git_ssh_url": "git@gitlab.example.com:acme/tools/shop.git"},
		"commits": []any{
			payload{"id": commitC, "message": "First", "timestamp": "2026-01-03T23:36:29+02:00", "url": "https://gitlab.example.com/acme/tools/shop/-/commit/c", "author": payload{"name": "Bob"}, "added": []any{"a.go"}, "modified": []any{}, "removed": []any{}},
			payload{"id": commitB, "message": "Second", "timestamp": "2026-01-03T23:36:29+02:00", "url": "https://gitlab.example.com/acme/tools/shop/-/commit/b", "author": payload{"name": "Ann"}, "added": []any{}, "modified": []any{"b.go"}, "removed": []any{"a.go"}},
		},
		"total_commits_count": 2,
	}, change)
}

func TestGitLabPushIsNormalised(t *testing.T) {
	base := HookEvent{
		Kind: HookPush, Ref: "refs/heads/main", Branch: "main", Before: commitA, After: commitB,
		Addresses: []string{"https://gitlab.example.com/acme/tools/shop.git", "git@gitlab.example.com:acme/tools/shop.git", "https://gitlab.example.com/acme/tools/shop"},
		Paths:     []string{"a.go", "b.go"}, PathsComplete: true,
		Message: "Second", Author: "Ann", Sender: "ann", HTMLURL: "https://gitlab.example.com/acme/tools/shop/-/commit/b",
	}
	last := func(m payload) payload { return m["commits"].([]any)[1].(payload) }
	tag := func(m payload) {
		m["object_kind"], m["ref"], m["before"], m["commits"], m["total_commits_count"] = "tag_push", "refs/tags/v1", zero, []any{}, 0
	}
	isTag := func(e *HookEvent) {
		e.Kind, e.Ref, e.Branch, e.Tag, e.Before = HookTag, "refs/tags/v1", "", "v1", ""
		e.Paths, e.PathsComplete, e.Message, e.Author, e.HTMLURL = nil, false, "", "", ""
	}
	noPaths := func(e *HookEvent) { e.Paths, e.PathsComplete = nil, false }
	for name, c := range map[string]struct {
		change func(payload)
		want   func(*HookEvent)
	}{
		"a push":                         {nil, func(*HookEvent) {}},
		"more commits than are listed":   {func(m payload) { m["total_commits_count"] = 21 }, func(e *HookEvent) { e.PathsComplete = false }},
		"a count that is missing":        {func(m payload) { delete(m, "total_commits_count") }, func(e *HookEvent) { e.PathsComplete = false }},
		"a new branch":                   {func(m payload) { m["before"] = zero }, func(e *HookEvent) { e.Before = ""; e.PathsComplete = false }},
		"a new branch without commits":   {func(m payload) { m["before"], m["commits"], m["total_commits_count"] = zero, []any{}, 0 }, func(e *HookEvent) { e.Before, e.Message, e.Author, e.HTMLURL = "", "", "", ""; noPaths(e) }},
		"a time that nobody can read":    {func(m payload) { last(m)["timestamp"] = "yesterday" }, noPaths},
		"a number where text was":        {func(m payload) { m["user_id"] = "four" }, noPaths},
		"without a user name":            {func(m payload) { delete(m, "user_username") }, func(e *HookEvent) { e.Sender = "Ann Lee" }},
		"a marker in the head":           {func(m payload) { last(m)["message"] = "x [ci skip]" }, func(e *HookEvent) { e.Message, e.Nothing = "x [ci skip]", "the head commit says [ci skip]"; noPaths(e) }},
		"a marker in an earlier commit":  {func(m payload) { m["commits"].([]any)[0].(payload)["message"] = "[ci skip]" }, func(*HookEvent) {}},
		"the push option ci.skip":        {func(m payload) { m["push_options"] = payload{"ci": payload{"skip": true}} }, func(e *HookEvent) { e.Nothing = "the push option ci.skip asks for no run"; noPaths(e) }},
		"the push option as text":        {func(m payload) { m["push_options"] = payload{"ci": payload{"skip": "1"}} }, func(e *HookEvent) { e.Nothing = "the push option ci.skip asks for no run"; noPaths(e) }},
		"a push option that is off":      {func(m payload) { m["push_options"] = payload{"ci": payload{"skip": false}} }, func(*HookEvent) {}},
		"a push that changes nothing":    {func(m payload) { m["before"] = commitB }, func(e *HookEvent) { e.Before, e.Nothing = commitB, nothingChanged; noPaths(e) }},
		"a tag":                          {tag, isTag},
		"an annotated tag is its commit": {func(m payload) { tag(m); m["after"] = commitC }, isTag},
		"a tag of which only the object is known": {func(m payload) { tag(m); m["after"], m["checkout_sha"] = commitC, nil },
			func(e *HookEvent) { isTag(e); e.After = "" }},
		"a tag whatever its commit and the push say": {func(m payload) {
			tag(m)
			m["push_options"] = payload{"ci": payload{"skip": true}}
			m["commits"] = []any{payload{"id": commitB, "message": "[skip ci]"}}
		}, func(e *HookEvent) { isTag(e); e.Message = "[skip ci]" }},
		"a deleted branch": {func(m payload) { m["after"], m["checkout_sha"], m["commits"] = zero, nil, []any{} },
			func(e *HookEvent) {
				e.Kind, e.After, e.Message, e.Author, e.HTMLURL, e.Nothing = HookDelete, "", "", "", "", nothingDeleted
				noPaths(e)
			}},
		"a deleted tag": {func(m payload) { tag(m); m["before"], m["after"], m["checkout_sha"] = commitA, zero, nil },
			func(e *HookEvent) {
				isTag(e)
				e.Kind, e.Before, e.After, e.Nothing = HookDelete, commitA, "", nothingDeleted
			}},
	} {
		want := base
		c.want(&want)
		body := gitlabPush(c.change)
		events := []string{"Push Hook", "System Hook"}
		if strings.Contains(string(body), "tag_push") {
			events[0] = "Tag Push Hook"
		}
		for _, event := range events {
			d, err := parseGitLab(http.Header{gitlabEventHeader: {event}, gitlabIdempotencyHeader: {"0b6f4a5e-7c52"}}, body)
			if err != nil || len(d.Events) != 1 || d.ID != "0b6f4a5e-7c52" || d.Event != event {
				t.Errorf("%s: %+v, %v", name, d, err)
				continue
			}
			if diff := cmp.Diff(want, d.Events[0], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func gitlabMergeBody(change func(payload)) []byte {
	project := func(name string) payload {
		return payload{"web_url": "https://gitlab.example.com/" + name, "git_http_url": "https://gitlab.example.com/" + name + ".git"}
	}
	return encode(payload{
		"object_kind": "merge_request", "event_type": "merge_request", "user": payload{"name": "Bob Ray", "username": "bob"}, "project": project("acme/shop"),
		"object_attributes": payload{
			"iid": 7, "id": 99, "action": "open", "state": "opened", "title": "Add it", "url": "https://gitlab.example.com/acme/shop/-/merge_requests/7",
			"source_branch": "feature", "target_branch": "main", "source_project_id": 14, "target_project_id": 14, "draft": true,
			"last_commit": payload{"id": commitB, "message": "Second", "author": payload{"name": "Ann"}},
			"source":      project("acme/shop"), "target": project("acme/shop"),
		},
	}, change)
}

func TestGitLabMergeRequestsAreNormalised(t *testing.T) {
	base := HookEvent{
		Kind: HookPullRequest, Ref: "refs/merge-requests/7/head", Branch: "main", After: commitB, PullRequest: &v1alpha1.PullRequest{Number: 7},
		Addresses: []string{"https://gitlab.example.com/acme/shop.git", "https://gitlab.example.com/acme/shop"},
		Message:   "Second", Author: "Ann", Sender: "bob", HTMLURL: "https://gitlab.example.com/acme/shop/-/merge_requests/7",
	}
	set := func(pairs ...any) func(payload) {
		return func(m payload) {
			for i := 0; i < len(pairs); i += 2 {
				at(m, "object_attributes")[pairs[i].(string)] = pairs[i+1]
			}
		}
	}
	nothing := func(action string) func(*HookEvent) { return func(e *HookEvent) { e.Nothing = nothingAction(action) } }
	for name, c := range map[string]struct {
		change func(payload)
		want   func(*HookEvent)
	}{
		"a new one":                 {nil, func(*HookEvent) {}},
		"one that is open again":    {set("action", "reopen"), func(*HookEvent) {}},
		"new commits":               {set("action", "update", "oldrev", commitA), func(e *HookEvent) { e.Before = commitA }},
		"a changed title":           {set("action", "update"), nothing("update")},
		"a draft that is ready":     {set("action", "update", "draft", false), nothing("update")},
		"an approval":               {set("action", "approved"), nothing("approved")},
		"a merge":                   {set("action", "merge", "state", "merged"), nothing("merge")},
		"no action":                 {set("action", nil), nothing("")},
		"an update of a closed one": {set("action", "update", "oldrev", commitA, "state", "closed"), func(e *HookEvent) { e.Before, e.Nothing = commitA, nothingClosed }},
		"one without commits": {set("last_commit", nil), func(e *HookEvent) {
			e.After, e.Message, e.Author, e.Nothing = "", "Add it", "", "the merge request has no commits"
		}},
		"a fork": {set("source_project_id", 15, "source", payload{"git_http_url": "https://gitlab.example.com/eve/shop.git"}), func(e *HookEvent) {
			e.PullRequest = &v1alpha1.PullRequest{Number: 7, Fork: true, HeadRepositoryURL: "https://gitlab.example.com/eve/shop.git"}
		}},
		"a fork that is gone":            {set("source_project_id", nil, "source", nil), func(e *HookEvent) { e.PullRequest = &v1alpha1.PullRequest{Number: 7, Fork: true} }},
		"projects that it does not tell": {set("source_project_id", 0, "target_project_id", 0, "source", nil), func(e *HookEvent) { e.PullRequest = &v1alpha1.PullRequest{Number: 7, Fork: true} }},
	} {
		want := base
		c.want(&want)
		for _, event := range []string{"Merge Request Hook", "System Hook"} {
			d, err := parseGitLab(http.Header{gitlabEventHeader: {event}}, gitlabMergeBody(c.change))
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

// A custom webhook template can send anything.
func TestGitLabSaysWhatItCannotUse(t *testing.T) {
	for name, c := range map[string]struct{ event, body string }{
		"a template without the kind": {"Push Hook", `{"ref":"refs/heads/main"}`},
		"a body of another event":     {"Merge Request Hook", string(gitlabPush(nil))},
		"a push of nothing":           {"Push Hook", `{"object_kind":"push"}`},
		"an odd oldrev": {"Merge Request Hook", string(gitlabMergeBody(func(m payload) {
			at(m, "object_attributes")["action"], at(m, "object_attributes")["oldrev"] = "update", "main"
		}))},
		"no header": {"", string(gitlabPush(nil))},
	} {
		h := http.Header{}
		if c.event != "" {
			h.Set(gitlabEventHeader, c.event)
		}
		if d, err := parseGitLab(h, []byte(c.body)); err == nil {
			t.Errorf("%s was accepted: %+v", name, d)
		}
	}
	for _, c := range []struct{ event, body string }{
		{"Note Hook", `{"object_kind":"note"}`}, {"System Hook", `{"event_name":"project_create","project_id":"x"}`}, {"System Hook", `{}`},
	} {
		if d, err := parseGitLab(http.Header{gitlabEventHeader: {c.event}}, []byte(c.body)); err != nil || d.Event != "other" || d.Nothing == "" {
			t.Errorf("%s: %+v, %v", c, d, err)
		}
	}
}

// The id that is signed comes before the ones that are not.
func TestGitLabDeliveryIDs(t *testing.T) {
	h := http.Header{}
	for i, name := range []string{gitlabUUIDHeader, gitlabIdempotencyHeader, gitlabWebhookIDHeader} {
		h.Set(name, fmt.Sprintf("delivery-%d", i))
		if got, want := gitlabID(h, nil), fmt.Sprintf("delivery-%d", i); got != want {
			t.Errorf("id = %q, want %q", got, want)
		}
	}
	if got := gitlabID(http.Header{}, []byte("x")); !strings.HasPrefix(got, "body-") {
		t.Errorf("id of none = %q", got)
	}
}

func TestGitLabSamplesOfTheLibrary(t *testing.T) {
	want := map[string]string{
		"push-event": "Push Hook", "tag-event": "Tag Push Hook", "merge-request-event": "Merge Request Hook",
		"system-push-event": "System Hook", "system-tag-event": "System Hook", "system-merge-request-event": "System Hook",
	}
	for name, body := range samples.Library(t, "gitlab") {
		event, understood := want[name]
		if !understood {
			event = "System Hook"
		}
		d, err := parseGitLab(http.Header{gitlabEventHeader: {event}}, body)
		checkDelivery(t, d, err)
		if err != nil || understood != (len(d.Events) == 1) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func FuzzParseGitLab(f *testing.F) {
	seeds(f, "gitlab", gitlabEvents())
	for _, body := range samples.GitLab(f) {
		f.Add("System Hook", body)
	}
	f.Add("Push Hook", gitlabPush(nil))
	f.Add("Merge Request Hook", gitlabMergeBody(nil))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		d, err := parseGitLab(http.Header{gitlabEventHeader: {event}}, body)
		checkDelivery(t, d, err)
	})
}
