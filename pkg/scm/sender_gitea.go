package scm

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-playground/webhooks/v6/gitea"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// Gitea: https://docs.gitea.com/usage/webhooks. Forgejo, its fork, sends the same under
// both names.
var (
	giteaEventHeaders     = []string{"X-Gitea-Event", "X-Forgejo-Event"}
	giteaDeliveryHeaders  = []string{"X-Gitea-Delivery", "X-Forgejo-Delivery"}
	giteaSignatureHeaders = []string{"X-Gitea-Signature", "X-Forgejo-Signature"}
)

func giteaEvents() []string {
	return []string{string(gitea.PushEvent), string(gitea.PullRequestEvent)}
}

// firstHeader is the only value of the first of some headers that is there.
func firstHeader(h http.Header, names []string) string {
	for _, name := range names {
		if len(h.Values(name)) > 0 {
			return delivery.Header(h, name)
		}
	}
	return ""
}

// verifyGitea takes Gitea's own signature: what it sends in GitHub's name is for receivers
// that know no better. Without a secret it sends an empty one.
func verifyGitea(keys [][]byte, header http.Header, body []byte, _ time.Time) error {
	return delivery.VerifyHMAC(keys, firstHeader(header, giteaSignatureHeaders), body)
}

// parseGitea understands push and pull_request. As at GitHub, a new tag is told by push and
// create: push is taken. There is no ping: the test button sends a push of no change.
func parseGitea(header http.Header, body []byte) (Delivery, error) {
	event := firstHeader(header, giteaEventHeaders)
	d := Delivery{ID: delivery.ID(firstHeader(header, giteaDeliveryHeaders), body), Event: event}
	var parse func([]byte) (HookEvent, error)
	switch gitea.Event(event) {
	case gitea.PushEvent:
		parse = giteaPush
	case gitea.PullRequestEvent:
		parse = giteaPull
	case "":
		return d, errors.New("the header X-Gitea-Event is missing")
	default:
		return otherEvent(d, giteaEvents()), nil
	}
	e, err := parse(body)
	if err != nil {
		return d, err
	}
	d.Events = []HookEvent{e}
	return d, nil
}

// giteaBase is our own decode of a push: how many commits there were is not in webhooks/v6.
type giteaBase struct {
	Ref, Before, After string
	CompareURL         string      `json:"compare_url"`
	TotalCommits       int64       `json:"total_commits"`
	HeadCommit         *githubHead `json:"head_commit"`
	Repository         githubRepository
	Pusher, Sender     struct{ Login, Username string }
}

func giteaPush(body []byte) (HookEvent, error) {
	b, err := delivery.Decode[giteaBase]("Gitea", body)
	if err != nil {
		return HookEvent{}, err
	}
	var e HookEvent
	for _, name := range []string{b.Sender.Login, b.Pusher.Login, b.Sender.Username, b.Pusher.Username} {
		if e.Sender == "" {
			e.Sender = delivery.Text(name, maxName, false)
		}
	}
	e.setAddresses(b.Repository.addresses()...)
	if err := e.setPush(b.Ref, b.Before, b.After); err != nil {
		return HookEvent{}, err
	}
	if e.Kind == HookTag {
		e.After = "" // may be the tag object; the head commit says better
	}
	message := e.setHead(b.HeadCommit)
	if e.HTMLURL == "" {
		e.HTMLURL = delivery.URL(b.CompareURL)
	}
	e.settle(isZero(b.After), message)
	if e.Kind == HookPush && e.Nothing == "" && len(body) <= decodedWhole {
		e.Paths, e.PathsComplete = giteaPaths(body, b)
	}
	return e, nil
}

func giteaPull(body []byte) (HookEvent, error) {
	p, err := delivery.Decode[githubPullRequest]("Gitea", body)
	if err != nil {
		return HookEvent{}, err
	}
	return p.event()
}

// giteaPaths: Gitea lists few commits, and newer versions say how many there were. It does
// not say when a branch was rewritten.
func giteaPaths(body []byte, b *giteaBase) ([]string, bool) {
	hook, err := gitea.New()
	if err != nil {
		return nil, false
	}
	push, err := library[gitea.PushPayload](hook.Parse, giteaEventHeaders[0], gitea.PushEvent, body)
	if err != nil {
		return nil, false
	}
	commits := make([]listedCommit, 0, len(push.Commits))
	for _, c := range push.Commits {
		if c == nil {
			return nil, false
		}
		commits = append(commits, listedCommit{c.ID, c.Added, c.Modified, c.Removed})
	}
	complete := !isZero(b.Before) && b.TotalCommits > 0 && b.TotalCommits <= int64(len(commits))
	return changedFiles(commits, strings.ToLower(b.After), complete)
}
