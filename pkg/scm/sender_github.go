package scm

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-playground/webhooks/v6/github"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// GitHub: https://docs.github.com/webhooks/webhook-events-and-payloads
const (
	// In the spelling of http.CanonicalHeaderKey; GitHub writes X-GitHub-Event.
	githubEventHeader     = "X-Github-Event"
	githubDeliveryHeader  = "X-Github-Delivery"
	githubSignatureHeader = "X-Hub-Signature-256"

	// githubListed is the number of commits from which on a list may have been cut: older
	// Enterprise Servers stop at 20, github.com at 2048.
	githubListed = 20
	// decodedWhole is the largest body that is decoded with its commits, which takes five
	// times the memory; of a larger one the changed files stay unknown.
	decodedWhole = 2 << 20
)

func githubEvents() []string {
	return []string{string(github.PushEvent), string(github.PullRequestEvent), string(github.PingEvent)}
}

// verifyGitHub takes the SHA-256 signature only; SHA-1 is what an attacker would like
// us to fall back to.
func verifyGitHub(keys [][]byte, header http.Header, body []byte, _ time.Time) error {
	return delivery.VerifyHeader(keys, header, githubSignatureHeader, body)
}

// parseGitHub understands push, pull_request and ping. A tag push fires push and create:
// only push is taken, so that it starts one run; so it is with delete.
func parseGitHub(header http.Header, body []byte) (Delivery, error) {
	id, event := delivery.Header(header, githubDeliveryHeader), delivery.Header(header, githubEventHeader)
	d := Delivery{ID: delivery.ID(id, body), Event: event}
	var parse func([]byte) (HookEvent, error)
	switch github.Event(event) {
	case github.PushEvent:
		parse = githubPush
	case github.PullRequestEvent:
		parse = githubPull
	case github.PingEvent:
		parse = githubPing
	case "":
		return d, errors.New("the header X-GitHub-Event is missing")
	default:
		return otherEvent(d, githubEvents()), nil
	}
	e, err := parse(body)
	if err != nil {
		return d, err
	}
	d.Events = []HookEvent{e}
	return d, nil
}

// githubRepository is a repository in a payload of GitHub, or of Gitea, which follows it.
type githubRepository struct {
	FullName string `json:"full_name"`
	CloneURL string `json:"clone_url"`
	SSHURL   string `json:"ssh_url"`
	HTMLURL  string `json:"html_url"`
}

func (r githubRepository) addresses() []string { return []string{r.CloneURL, r.SSHURL, r.HTMLURL} }

// githubHead is the commit that a push ends at.
type githubHead struct {
	ID, Message, URL string
	Author           struct{ Name, Username string }
}

// githubBase is our own decode of a push or a ping: what webhooks/v6 lacks (whether there
// is a head commit, the repository of a ping), and what is enough when it cannot decode a
// body because of a field that does not matter here.
type githubBase struct {
	Ref, Before, After       string
	Created, Deleted, Forced bool
	Compare                  string
	HeadCommit               *githubHead `json:"head_commit"`
	Repository               githubRepository
	Pusher                   struct{ Name string }
	Sender                   struct{ Login string }
}

func githubPing(body []byte) (HookEvent, error) {
	b, err := delivery.Decode[githubBase]("GitHub", body)
	if err != nil {
		return HookEvent{}, err
	}
	e := HookEvent{Kind: HookPing, Sender: delivery.Text(b.Sender.Login, maxName, false), Nothing: nothingPing}
	e.setAddresses(b.Repository.addresses()...)
	return e, nil
}

func githubPush(body []byte) (HookEvent, error) {
	b, err := delivery.Decode[githubBase]("GitHub", body)
	if err != nil {
		return HookEvent{}, err
	}
	e := HookEvent{Sender: delivery.Text(b.Sender.Login, maxName, false)}
	if e.Sender == "" {
		e.Sender = delivery.Text(b.Pusher.Name, maxName, false)
	}
	e.setAddresses(b.Repository.addresses()...)
	if err := e.setPush(b.Ref, b.Before, b.After); err != nil {
		return HookEvent{}, err
	}
	message := e.setHead(b.HeadCommit)
	if e.HTMLURL == "" {
		e.HTMLURL = delivery.URL(b.Compare)
	}
	e.settle(b.Deleted || isZero(b.After), message)
	if e.Kind == HookPush && e.Nothing == "" && len(body) <= decodedWhole {
		e.Paths, e.PathsComplete = githubPaths(body, b)
	}
	return e, nil
}

// setPush fills in the ref of a push, and where it was and is.
func (e *HookEvent) setPush(ref, before, after string) error {
	e.Kind = HookPush
	if err := e.setRef(ref); err != nil {
		return err
	}
	if e.Tag != "" {
		e.Kind = HookTag
	}
	return e.setCommits(before, after)
}

// setHead fills in what is shown of the head commit, and gives its message as it is.
func (e *HookEvent) setHead(head *githubHead) string {
	if head == nil {
		return ""
	}
	if e.Kind == HookTag && isCommit(head.ID) {
		e.After = strings.ToLower(head.ID) // of an annotated tag, after is the tag object
	}
	e.Message = delivery.Text(head.Message, maxMessageIn, true)
	e.Author = delivery.Text(head.Author.Name, maxName, false)
	if e.Author == "" {
		e.Author = delivery.Text(head.Author.Username, maxName, false)
	}
	e.HTMLURL = delivery.URL(head.URL)
	return head.Message
}

// githubPaths are the files that the listed commits change. They are complete only
// when the list is known to be: of a forced push or a new branch it says nothing of
// what the branch lost, and a long list may have been cut.
func githubPaths(body []byte, b *githubBase) ([]string, bool) {
	hook, err := github.New()
	if err != nil {
		return nil, false
	}
	push, err := library[github.PushPayload](hook.Parse, githubEventHeader, github.PushEvent, body)
	if err != nil {
		return nil, false
	}
	commits := make([]listedCommit, 0, len(push.Commits))
	for _, c := range push.Commits {
		commits = append(commits, listedCommit{c.ID, c.Added, c.Modified, c.Removed})
	}
	complete := !b.Forced && !b.Created && !isZero(b.Before) && len(commits) > 0 && len(commits) < githubListed
	return changedFiles(commits, b.After, complete)
}
