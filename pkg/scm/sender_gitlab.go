package scm

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-playground/webhooks/v6/gitlab"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// GitLab: https://docs.gitlab.com/user/project/integrations/webhook_events/
const (
	gitlabEventHeader = "X-Gitlab-Event"
	gitlabTokenHeader = "X-Gitlab-Token"
	// The id that stays the same when GitLab tries again, under both of its names.
	gitlabIdempotencyHeader = "Idempotency-Key"
	gitlabWebhookIDHeader   = "Webhook-Id"
	gitlabUUIDHeader        = "X-Gitlab-Webhook-Uuid"

	gitlabTimeHeader      = "Webhook-Timestamp"
	gitlabSignatureHeader = "Webhook-Signature"
	// signingPrefix marks a key that signs (https://www.standardwebhooks.com); the bytes
	// follow in base64.
	signingPrefix = "whsec_"
)

func gitlabEvents() []string {
	return []string{string(gitlab.PushEvents), string(gitlab.TagEvents), string(gitlab.MergeRequestEvents), string(gitlab.SystemHookEvents)}
}

// verifyGitLab takes the token that GitLab repeats in a header, or, where one of the keys
// is a signing token (whsec_…), its signature over id, time and body. Either is enough:
// while a webhook changes from one to the other it sends both.
func verifyGitLab(keys [][]byte, header http.Header, body []byte, now time.Time) error {
	token := delivery.VerifyToken(keys, delivery.Header(header, gitlabTokenHeader))
	signature := verifyStandard(delivery.UsableKeys(keys), header, body, now)
	if token == nil || errors.Is(token, delivery.ErrNoKey) {
		return token
	}
	return signature
}

// verifyStandard checks a signature of the Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
func verifyStandard(keys [][]byte, header http.Header, body []byte, now time.Time) error {
	id, stamp := delivery.Header(header, gitlabWebhookIDHeader), delivery.Header(header, gitlabTimeHeader)
	var sums [][]byte
	for s := range strings.FieldsSeq(delivery.Header(header, gitlabSignatureHeader)) {
		if s, ok := strings.CutPrefix(s, "v1,"); ok && len(sums) < 8 {
			if sum, err := base64.StdEncoding.DecodeString(s); err == nil {
				sums = append(sums, sum)
			}
		}
	}
	ok := false
	for _, key := range keys {
		encoded, isSigning := bytes.CutPrefix(key, []byte(signingPrefix))
		secret, err := base64.StdEncoding.DecodeString(string(encoded))
		if !isSigning || err != nil || len(secret) < delivery.MinKeyLength {
			continue
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		want := mac.Sum(nil)
		for _, sum := range sums {
			if hmac.Equal(want, sum) {
				ok = true
			}
		}
	}
	if !ok || id == "" {
		return delivery.ErrSignature
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return delivery.ErrSignature
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > delivery.MaxAge || age < -delivery.MaxAge {
		return delivery.ErrStale
	}
	return nil
}

// gitlabID: what signs or proves a delivery covers its id, so that it can be trusted.
func gitlabID(header http.Header, body []byte) string {
	for _, name := range []string{gitlabWebhookIDHeader, gitlabIdempotencyHeader, gitlabUUIDHeader} {
		if id := delivery.Header(header, name); id != "" {
			return delivery.ID(id, body)
		}
	}
	return delivery.ID("", body)
}

// gitlabKinds are what a body says it is, by the header's word for it.
var gitlabKinds = map[gitlab.Event]string{
	gitlab.PushEvents: "push", gitlab.TagEvents: "tag_push", gitlab.MergeRequestEvents: "merge_request",
}

// parseGitLab understands pushes of branches and tags, and merge requests, also of an
// instance's system hook. GitLab has no ping: its test button sends the last push again.
func parseGitLab(header http.Header, body []byte) (Delivery, error) {
	event := delivery.Header(header, gitlabEventHeader)
	d := Delivery{ID: gitlabID(header, body), Event: event}
	if event == "" {
		return d, errors.New("the header X-Gitlab-Event is missing")
	}
	want, known := gitlabKinds[gitlab.Event(event)]
	if !known && gitlab.Event(event) != gitlab.SystemHookEvents {
		return otherEvent(d, gitlabEvents()), nil
	}
	is, err := delivery.Decode[gitlabKind]("GitLab", body)
	if err != nil {
		return d, err
	}
	kind := is.ObjectKind
	if kind == "" {
		kind = is.EventName // system hooks of older versions
	}
	switch {
	case known && kind != want:
		return d, fmt.Errorf("the body is not what GitLab documents: object_kind of a %s is %s; a custom webhook template must keep it", event, want)
	case kind != "push" && kind != "tag_push" && kind != "merge_request":
		return otherEvent(d, gitlabEvents()), nil
	}
	b, err := delivery.Decode[gitlabBase]("GitLab", body)
	if err != nil {
		return d, err
	}
	var e HookEvent
	if kind == "merge_request" {
		e, err = b.merge()
	} else {
		e, err = b.push(body)
	}
	if err != nil {
		return d, err
	}
	d.Events = []HookEvent{e}
	return d, nil
}

type gitlabKind struct {
	ObjectKind string `json:"object_kind"`
	EventName  string `json:"event_name"`
}

// gitlabBase is our own decode: what webhooks/v6 lacks (push options, oldrev), and what is
// enough when its strict times and numbers fail.
type gitlabBase struct {
	Ref         string
	Before      string
	After       string
	CheckoutSHA string `json:"checkout_sha"`
	UserName    string `json:"user_name"`
	Username    string `json:"user_username"`
	Total       int64  `json:"total_commits_count"`
	Commits     []gitlabCommit
	PushOptions struct {
		CI struct{ Skip any }
	} `json:"push_options"`
	Project gitlabProject
	User    struct{ Name, Username string }
	Merge   gitlabMerge `json:"object_attributes"`
}

type gitlabCommit struct {
	ID, Message, URL string
	Author           struct{ Name string }
}

type gitlabProject struct {
	WebURL  string `json:"web_url"`
	HTTPURL string `json:"git_http_url"`
	SSHURL  string `json:"git_ssh_url"`
}

func (p gitlabProject) addresses() []string { return []string{p.HTTPURL, p.SSHURL, p.WebURL} }

func (b *gitlabBase) push(body []byte) (HookEvent, error) {
	var e HookEvent
	e.setAddresses(b.Project.addresses()...)
	e.Sender = delivery.Text(b.Username, maxName, false)
	if e.Sender == "" {
		e.Sender = delivery.Text(b.UserName, maxName, false)
	}
	if err := e.setPush(b.Ref, b.Before, b.After); err != nil {
		return HookEvent{}, err
	}
	if e.Kind == HookTag {
		e.After = "" // may be the tag object
		if isCommit(b.CheckoutSHA) {
			e.After = strings.ToLower(b.CheckoutSHA)
		}
	}
	var head gitlabCommit
	for _, c := range b.Commits {
		if e.After != "" && strings.EqualFold(c.ID, e.After) {
			head = c
		}
	}
	e.Message, e.Author, e.HTMLURL = delivery.Text(head.Message, maxMessageIn, true), delivery.Text(head.Author.Name, maxName, false), delivery.URL(head.URL)
	e.settle(isZero(b.After), head.Message)
	if e.Kind == HookPush && e.Nothing == "" && asked(b.PushOptions.CI.Skip) {
		e.Nothing = "the push option ci.skip asks for no run"
	}
	if e.Kind == HookPush && e.Nothing == "" && len(body) <= decodedWhole {
		e.Paths, e.PathsComplete = b.paths(body)
	}
	return e, nil
}

// asked: GitLab writes a push option without a value as true, one with a value as text.
func asked(option any) bool {
	switch v := option.(type) {
	case bool:
		return v
	case string:
		return v != "false"
	}
	return false
}

// paths: of a long push GitLab lists the last 20 commits, and says how many there were.
// It does not say when a branch was rewritten.
func (b *gitlabBase) paths(body []byte) ([]string, bool) {
	hook, err := gitlab.New()
	if err != nil {
		return nil, false
	}
	push, err := library[gitlab.PushEventPayload](hook.Parse, gitlabEventHeader, gitlab.PushEvents, body)
	if err != nil {
		return nil, false
	}
	commits := make([]listedCommit, 0, len(push.Commits))
	for _, c := range push.Commits {
		commits = append(commits, listedCommit{c.ID, c.Added, c.Modified, c.Removed})
	}
	complete := !isZero(b.Before) && len(commits) > 0 && b.Total > 0 && b.Total <= int64(len(commits))
	return changedFiles(commits, b.After, complete)
}
