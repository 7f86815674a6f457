package scm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/go-playground/webhooks/v6/github"
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
	// githubFilesListed is the number of files of one commit from which on its list may
	// have been cut.
	githubFilesListed = 3000
	// githubWhole is the largest body that is decoded with its commits, which takes five
	// times the memory; of a larger one the changed files stay unknown.
	githubWhole = 2 << 20
)

// verifyGitHub takes the SHA-256 signature only; SHA-1 is what an attacker would like
// us to fall back to.
func verifyGitHub(keys [][]byte, header http.Header, body []byte) error {
	signature, ok := strings.CutPrefix(single(header, githubSignatureHeader), "sha256=")
	if !ok {
		signature = ""
	}
	return verifyHMAC(keys, signature, body)
}

// parseGitHub understands push and ping. A tag push fires push and create: only push
// is taken, so that it starts one run.
func parseGitHub(header http.Header, body []byte) (Delivery, error) {
	id, event := single(header, githubDeliveryHeader), single(header, githubEventHeader)
	d := Delivery{ID: deliveryID(id, body), Event: event}
	switch github.Event(event) {
	case github.PushEvent:
		e, err := githubPush(body)
		if err != nil {
			return d, err
		}
		d.Events = []HookEvent{e}
	case github.PingEvent:
		e, err := githubPing(body)
		if err != nil {
			return d, err
		}
		d.Events = []HookEvent{e}
	case "":
		return d, errors.New("the header X-GitHub-Event is missing")
	default:
		d.Event = "other"
		d.Nothing = "events of this kind start nothing; push and ping are understood"
	}
	return d, nil
}

// githubBase is the second, small decode: what webhooks/v6 lacks (whether there is a
// head commit, the repository of a ping), and what is enough when it cannot decode a
// body because of a field that does not matter here.
type githubBase struct {
	Ref, Before, After       string
	Created, Deleted, Forced bool
	Compare                  string
	HeadCommit               *struct {
		ID, Message, URL string
		Author           struct{ Name, Username string }
	} `json:"head_commit"`
	Repository struct {
		CloneURL string `json:"clone_url"`
		SSHURL   string `json:"ssh_url"`
		HTMLURL  string `json:"html_url"`
	}
	Pusher struct{ Name string }
	Sender struct{ Login string }
}

func (b *githubBase) addresses() []string {
	var out []string
	for _, a := range []string{b.Repository.CloneURL, b.Repository.SSHURL, b.Repository.HTMLURL} {
		if a != "" && len(a) <= maxURL {
			out = append(out, a)
		}
	}
	return out
}

func decodeGitHub(body []byte) (*githubBase, error) {
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	var b githubBase
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, errors.New("the body is not what GitHub documents") // its text could quote the body
	}
	return &b, nil
}

func githubPing(body []byte) (HookEvent, error) {
	b, err := decodeGitHub(body)
	if err != nil {
		return HookEvent{}, err
	}
	return HookEvent{
		Kind: HookPing, Addresses: b.addresses(), Sender: plainText(b.Sender.Login, maxName, false),
		Nothing: "a ping: the webhook works",
	}, nil
}

func githubPush(body []byte) (HookEvent, error) {
	b, err := decodeGitHub(body)
	if err != nil {
		return HookEvent{}, err
	}
	e := HookEvent{Kind: HookPush, Addresses: b.addresses(), Sender: plainText(b.Sender.Login, maxName, false)}
	if e.Sender == "" {
		e.Sender = plainText(b.Pusher.Name, maxName, false)
	}
	if err := e.setRef(b.Ref); err != nil {
		return HookEvent{}, err
	}
	if e.Tag != "" {
		e.Kind = HookTag
	}
	for _, c := range []struct {
		from string
		to   *string
	}{{b.Before, &e.Before}, {b.After, &e.After}} {
		switch {
		case isZero(c.from):
		case isCommit(c.from):
			*c.to = strings.ToLower(c.from)
		default:
			return HookEvent{}, errors.New("before and after are not full commit ids")
		}
	}
	if e.Kind == HookTag && b.HeadCommit != nil && isCommit(b.HeadCommit.ID) {
		e.After = strings.ToLower(b.HeadCommit.ID) // of an annotated tag, after is the tag object
	}
	if b.HeadCommit != nil {
		e.Message = plainText(b.HeadCommit.Message, maxMessageIn, true)
		e.Author = plainText(b.HeadCommit.Author.Name, maxName, false)
		if e.Author == "" {
			e.Author = plainText(b.HeadCommit.Author.Username, maxName, false)
		}
		e.HTMLURL = plainURL(b.HeadCommit.URL)
	}
	if e.HTMLURL == "" {
		e.HTMLURL = plainURL(b.Compare)
	}
	switch {
	case b.Deleted || e.After == "":
		e.Kind = HookDelete
		e.Nothing = "the branch or tag was deleted"
	case e.Nothing != "":
	case e.Before == e.After:
		e.Nothing = "the push changed nothing"
	case e.Kind == HookPush && b.HeadCommit != nil:
		if m := skipMarker(b.HeadCommit.Message); m != "" {
			e.Nothing = "the head commit says " + m
		}
	}
	if e.Kind == HookPush && e.Nothing == "" && len(body) <= githubWhole {
		e.Paths, e.PathsComplete = githubPaths(body, b)
	}
	return e, nil
}

// githubPaths are the files that the listed commits change. They are complete only
// when the list is known to be: of a forced push or a new branch it says nothing of
// what the branch lost, and a long list may have been cut.
func githubPaths(body []byte, b *githubBase) ([]string, bool) {
	push, err := parsePushPayload(body)
	if err != nil {
		return nil, false
	}
	var files pathSet
	complete := !b.Forced && !b.Created && !isZero(b.Before) && len(push.Commits) > 0 && len(push.Commits) < githubListed
	headListed := false
	for _, c := range push.Commits {
		files.add(c.Added...)
		files.add(c.Modified...)
		files.add(c.Removed...)
		complete = complete && len(c.Added)+len(c.Modified)+len(c.Removed) < githubFilesListed
		headListed = headListed || strings.EqualFold(c.ID, b.After)
	}
	return files.list, complete && headListed && !files.full
}

// parsePushPayload hands verified bytes to webhooks/v6. It gets no secret, since it
// would accept anything under an empty one, and no request of a client, whose body it
// would read without a bound.
func parsePushPayload(body []byte) (*github.PushPayload, error) {
	hook, err := github.New()
	if err != nil {
		return nil, err
	}
	parsed, err := hook.Parse(&http.Request{
		Method: http.MethodPost,
		Header: http.Header{githubEventHeader: {string(github.PushEvent)}},
		Body:   io.NopCloser(bytes.NewReader(body)),
	}, github.PushEvent)
	if err != nil {
		return nil, err
	}
	push, ok := parsed.(github.PushPayload)
	if !ok {
		return nil, errors.New("not a push")
	}
	return &push, nil
}
