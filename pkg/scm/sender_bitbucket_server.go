package scm

import (
	"errors"
	"net/http"
	"strings"

	server "github.com/go-playground/webhooks/v6/bitbucket-server"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// Bitbucket Server and Data Center:
// https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
const bitbucketServerDeliveryHeader = "X-Request-Id"

// What webhooks/v6 has no name for.
const (
	pullFromRefUpdated server.Event = "pr:from_ref_updated"
	pullReopened       server.Event = "pr:reopened"
)

func bitbucketServerEvents() []string {
	return []string{
		string(server.RepositoryReferenceChangedEvent), string(server.PullRequestOpenedEvent),
		string(pullFromRefUpdated), string(pullReopened), string(server.DiagnosticsPingEvent),
	}
}

// parseBitbucketServer understands changed refs, pull requests and the ping of the test
// button. Changed files are not told, and webhooks/v6 adds nothing to what is decoded here.
func parseBitbucketServer(header http.Header, body []byte) (Delivery, error) {
	event := delivery.Header(header, bitbucketEventHeader)
	d := Delivery{ID: delivery.ID(delivery.Header(header, bitbucketServerDeliveryHeader), body), Event: event}
	var err error
	switch server.Event(event) {
	case server.DiagnosticsPingEvent:
		if err = delivery.CheckJSON(body); err == nil {
			d.Events = []HookEvent{{Kind: HookPing, Nothing: nothingPing}}
		}
	case server.RepositoryReferenceChangedEvent:
		d.Events, err = bitbucketServerPush(body)
		if err == nil && len(d.Events) == 0 {
			d.Nothing = "the push names no ref"
		}
	case server.PullRequestOpenedEvent, pullFromRefUpdated, pullReopened:
		d.Events, err = bitbucketServerPull(body)
	case "":
		err = errors.New("the header X-Event-Key is missing")
	default:
		d = otherEvent(d, bitbucketServerEvents())
	}
	return d, err
}

type bitbucketServerUser struct{ Name, DisplayName string }

func (u bitbucketServerUser) name() string {
	if n := delivery.Text(u.Name, maxName, false); n != "" {
		return n
	}
	return delivery.Text(u.DisplayName, maxName, false)
}

type bitbucketServerLinks struct{ Clone, Self []struct{ Href string } }

type bitbucketServerRepository struct {
	ID      int64
	Slug    string
	Project struct{ Key string }
	Links   bitbucketServerLinks
}

// identify: older versions send no links, only the names that clone addresses are made of.
func (r bitbucketServerRepository) identify(e *HookEvent) {
	for _, l := range r.Links.Clone {
		e.setAddresses(l.Href)
	}
	if r.Project.Key != "" && r.Slug != "" {
		e.Name = delivery.Text(r.Project.Key+"/"+r.Slug, maxName, false)
	}
}

type bitbucketServerPushPayload struct {
	Actor      bitbucketServerUser
	Repository bitbucketServerRepository
	Changes    []struct {
		Ref              struct{ ID string }
		FromHash, ToHash string
		Type             string
	}
	ToCommit *struct {
		ID, Message string
		Author      bitbucketServerUser
	}
}

// bitbucketServerPush: each changed ref is an event. The head commit is told by newer
// versions only, for a push of one ref. Of a tag, the hash may be the tag object's.
func bitbucketServerPush(body []byte) ([]HookEvent, error) {
	p, err := delivery.Decode[bitbucketServerPushPayload]("Bitbucket Server", body)
	if err != nil {
		return nil, err
	}
	if err := checkChanges(len(p.Changes)); err != nil {
		return nil, err
	}
	var events []HookEvent
	for _, c := range p.Changes {
		e := HookEvent{Sender: p.Actor.name()}
		p.Repository.identify(&e)
		if err := e.setPush(c.Ref.ID, c.FromHash, c.ToHash); err != nil {
			return nil, err
		}
		message := ""
		if t := p.ToCommit; t != nil && strings.EqualFold(t.ID, c.ToHash) {
			message, e.Author = t.Message, t.Author.name()
			e.Message = delivery.Text(message, maxMessageIn, true)
		}
		e.settle(isZero(c.ToHash), message)
		if e.Kind == HookTag {
			e.After = ""
		}
		events = append(events, e)
	}
	return events, nil
}

type bitbucketServerSide struct {
	ID, LatestCommit string
	Repository       *bitbucketServerRepository
}

type bitbucketServerPullPayload struct {
	Actor       bitbucketServerUser
	PullRequest struct {
		ID             int64
		Title, State   string
		FromRef, ToRef bitbucketServerSide
		Author         struct{ User bitbucketServerUser }
		Links          bitbucketServerLinks
	}
	PreviousFromHash string
}

func bitbucketServerPull(body []byte) ([]HookEvent, error) {
	p, err := delivery.Decode[bitbucketServerPullPayload]("Bitbucket Server", body)
	if err != nil {
		return nil, err
	}
	pr := p.PullRequest
	e := HookEvent{Kind: HookPullRequest, Message: delivery.Text(pr.Title, maxMessageIn, false), Author: pr.Author.User.name(), Sender: p.Actor.name()}
	from, to := pr.FromRef.Repository, pr.ToRef.Repository
	if to == nil {
		return nil, errors.New("the pull request names no repository")
	}
	to.identify(&e)
	if len(pr.Links.Self) > 0 {
		e.HTMLURL = delivery.URL(pr.Links.Self[0].Href)
	}
	fork := from == nil || from.Slug == "" || from.ID != to.ID || !strings.EqualFold(from.Slug, to.Slug) || !strings.EqualFold(from.Project.Key, to.Project.Key)
	if err := e.setPull(pr.ID, fork, "", pr.FromRef.ID, strings.TrimPrefix(pr.ToRef.ID, "refs/heads/"), pr.FromRef.LatestCommit); err != nil {
		return nil, err
	}
	if isCommit(p.PreviousFromHash) {
		e.Before = strings.ToLower(p.PreviousFromHash)
	}
	switch {
	case e.Nothing != "":
	case fork:
		e.Nothing = nothingNoRef
	case !strings.HasPrefix(e.Ref, "refs/heads/"):
		return nil, errors.New("the head of the pull request is no branch")
	case e.After == "":
		return nil, errors.New("the pull request has no head commit")
	case pr.State != "" && pr.State != "OPEN":
		e.Nothing = nothingClosed
	}
	return []HookEvent{e}, nil
}
