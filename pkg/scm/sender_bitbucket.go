package scm

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-playground/webhooks/v6/bitbucket"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// Bitbucket Cloud: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
const (
	bitbucketEventHeader     = "X-Event-Key"
	bitbucketDeliveryHeader  = "X-Request-Uuid" // the same when Bitbucket tries again
	bitbucketSignatureHeader = "X-Hub-Signature"
)

func bitbucketEvents() []string {
	return []string{string(bitbucket.RepoPushEvent), string(bitbucket.PullRequestCreatedEvent), string(bitbucket.PullRequestUpdatedEvent)}
}

// verifyBitbucket takes the signature, which both Bitbuckets send when the webhook has a
// secret. The X-Hook-UUID that webhooks/v6 compares is no secret.
func verifyBitbucket(keys [][]byte, header http.Header, body []byte, _ time.Time) error {
	return delivery.VerifyHeader(keys, header, bitbucketSignatureHeader, body)
}

// parseBitbucket understands pushes and pull requests. Bitbucket has no ping.
//
// Everything is decoded by ourselves: there is no list of changed files that webhooks/v6
// could add, and its type of a push cannot tell a branch that is gone from one that is not
// there.
func parseBitbucket(header http.Header, body []byte) (Delivery, error) {
	event := delivery.Header(header, bitbucketEventHeader)
	d := Delivery{ID: delivery.ID(delivery.Header(header, bitbucketDeliveryHeader), body), Event: event}
	var err error
	switch bitbucket.Event(event) {
	case bitbucket.RepoPushEvent:
		d.Events, err = bitbucketPush(body)
		if err == nil && len(d.Events) == 0 {
			d.Nothing = "the push names no ref"
		}
	case bitbucket.PullRequestCreatedEvent, bitbucket.PullRequestUpdatedEvent:
		d.Events, err = bitbucketPull(body)
	case "":
		err = errors.New("the header X-Event-Key is missing")
	default:
		d = otherEvent(d, bitbucketEvents())
	}
	return d, err
}

type bitbucketActor struct {
	Nickname    string
	DisplayName string `json:"display_name"`
}

func (a bitbucketActor) name() string {
	if n := delivery.Text(a.Nickname, maxName, false); n != "" {
		return n
	}
	return delivery.Text(a.DisplayName, maxName, false)
}

type bitbucketLinks struct{ HTML struct{ Href string } }

type bitbucketRepository struct {
	FullName string `json:"full_name"`
	Links    bitbucketLinks
}

type bitbucketRef struct {
	Type, Name string
	Target     struct {
		Hash, Message string
		Links         bitbucketLinks
		Author        struct{ User bitbucketActor }
	}
}

type bitbucketPushPayload struct {
	Actor      bitbucketActor
	Repository bitbucketRepository
	Push       struct {
		Changes []struct {
			Old, New *bitbucketRef
			Links    bitbucketLinks
		}
	}
}

// bitbucketPush: one delivery tells of all refs of a push. No changed files are told.
func bitbucketPush(body []byte) ([]HookEvent, error) {
	p, err := delivery.Decode[bitbucketPushPayload]("Bitbucket", body)
	if err != nil {
		return nil, err
	}
	if err := checkChanges(len(p.Push.Changes)); err != nil {
		return nil, err
	}
	var events []HookEvent
	for _, c := range p.Push.Changes {
		var e HookEvent
		e.setAddresses(p.Repository.Links.HTML.Href)
		e.Sender = p.Actor.name()
		ref, before, after := c.New, "", ""
		if c.Old != nil {
			before = c.Old.Target.Hash
		}
		if c.New != nil {
			after = c.New.Target.Hash
		} else {
			ref = c.Old
		}
		if ref == nil {
			return nil, errors.New("a change of the push names no ref")
		}
		if err := e.setPush(bitbucketRefName(*ref), before, after); err != nil {
			return nil, err
		}
		e.Message, e.Author = delivery.Text(ref.Target.Message, maxMessageIn, true), ref.Target.Author.User.name()
		for _, u := range []string{ref.Target.Links.HTML.Href, c.Links.HTML.Href} {
			if e.HTMLURL == "" {
				e.HTMLURL = delivery.URL(u)
			}
		}
		e.settle(c.New == nil, ref.Target.Message)
		events = append(events, e)
	}
	return events, nil
}

func bitbucketRefName(r bitbucketRef) string {
	if r.Type == "tag" {
		return "refs/tags/" + r.Name
	}
	return "refs/heads/" + r.Name
}

func checkChanges(n int) error {
	if n > maxChanges {
		return fmt.Errorf("the push changes %d refs: more than %d at once start nothing", n, maxChanges)
	}
	return nil
}

type bitbucketSide struct {
	Branch     struct{ Name string }
	Commit     struct{ Hash string }
	Repository *bitbucketRepository
}

type bitbucketPullPayload struct {
	Actor       bitbucketActor
	Repository  bitbucketRepository
	PullRequest struct {
		ID                  int64
		Title, State        string
		Author              bitbucketActor
		Source, Destination bitbucketSide
		Links               bitbucketLinks
	}
}

// bitbucketPull: "updated" comes for a new title as for new commits and does not say which.
// So the run is of the head commit, not of the delivery. That commit is told by the first
// 12 digits of its id; admission finds out the rest.
func bitbucketPull(body []byte) ([]HookEvent, error) {
	p, err := delivery.Decode[bitbucketPullPayload]("Bitbucket", body)
	if err != nil {
		return nil, err
	}
	pr := p.PullRequest
	e := HookEvent{
		Kind: HookPullRequest, Message: delivery.Text(pr.Title, maxMessageIn, false), Author: pr.Author.name(),
		Sender: p.Actor.name(), HTMLURL: delivery.URL(pr.Links.HTML.Href),
	}
	e.setAddresses(p.Repository.Links.HTML.Href)
	from := pr.Source.Repository
	fork := from == nil || from.FullName == "" || !strings.EqualFold(from.FullName, p.Repository.FullName)
	head, address := "", ""
	if isCommit(pr.Source.Commit.Hash) {
		head = pr.Source.Commit.Hash
	}
	if from != nil {
		address = from.Links.HTML.Href
	}
	if err := e.setPull(pr.ID, fork, address, "refs/heads/"+pr.Source.Branch.Name, pr.Destination.Branch.Name, head); err != nil {
		return nil, err
	}
	e.Key = pullKey(pr.ID, pr.Source.Commit.Hash)
	switch {
	case e.Nothing != "":
	case fork:
		e.Nothing = nothingNoRef
	case pr.State != "" && pr.State != "OPEN":
		e.Nothing = nothingClosed
	}
	return []HookEvent{e}, nil
}

// nothingNoRef: what is built has to come from the configured repository, never from an
// address in a payload.
const nothingNoRef = "the request comes from a fork, whose commits Bitbucket keeps in the fork alone: only requests from branches of the repository are built"

// pullKey is the same for every delivery that tells of the same head of a request.
func pullKey(number int64, head string) string {
	return fmt.Sprintf("pull-%d-%s", number, delivery.Text(head, 64, false))
}
