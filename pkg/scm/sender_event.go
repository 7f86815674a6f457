package scm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// maxChanges is how many refs one delivery may change. Hosts stop far below it (GitLab at
// 3) or send one delivery each; a mirrored repository should not become a run per ref.
const maxChanges = 1000

// Why events start nothing.
const (
	nothingPing    = "a ping: the webhook works"
	nothingDeleted = "the branch or tag was deleted"
	nothingChanged = "the push changed nothing"
	nothingClosed  = "the pull request is closed"
	nothingCreated = "the push of the same branch or tag is what counts"
)

func nothingAction(action string) string {
	return fmt.Sprintf("action %q of a pull request brings no commits", delivery.Text(action, 64, false))
}

// otherEvent is a delivery that nothing is made of.
func otherEvent(d Delivery, understood []string) Delivery {
	d.Event = "other"
	d.Nothing = fmt.Sprintf("events of this kind start nothing; understood are %s", strings.Join(understood, ", "))
	return d
}

// library hands verified bytes to the parser of webhooks/v6. It gets no secret, since it
// would accept anything under an empty one, and no request of a client, whose body it
// would read without a bound. Its types are strict: a field that does not matter here may
// make it fail, which must cost no more than what only it can tell.
func library[P any, E ~string](parse func(*http.Request, ...E) (any, error), header string, event E, body []byte) (payload *P, err error) {
	defer func() {
		if r := recover(); r != nil {
			payload, err = nil, errors.New("the parser panicked")
		}
	}()
	parsed, err := parse(&http.Request{
		Method: http.MethodPost,
		Header: http.Header{http.CanonicalHeaderKey(header): {string(event)}},
		Body:   io.NopCloser(bytes.NewReader(body)),
	}, event)
	if err != nil {
		return nil, err
	}
	p, ok := parsed.(P)
	if !ok {
		return nil, errors.New("a payload of another event")
	}
	return &p, nil
}

// setCommits fills in where a ref was and is.
func (e *HookEvent) setCommits(before, after string) error {
	for _, c := range []struct {
		from string
		to   *string
	}{{before, &e.Before}, {after, &e.After}} {
		switch {
		case isZero(c.from):
		case isCommit(c.from):
			*c.to = strings.ToLower(c.from)
		default:
			return errors.New("before and after are not full commit ids")
		}
	}
	return nil
}

// settle decides what a push amounts to whose ref and commits are known. message is that
// of the head commit: it may ask for no run of its branch; a tag is pushed to have one.
func (e *HookEvent) settle(deleted bool, message string) {
	switch {
	case deleted:
		e.Kind, e.After = HookDelete, ""
		e.Nothing = nothingDeleted
	case e.Nothing != "":
	case e.Before == e.After && e.After != "":
		e.Nothing = nothingChanged
	case e.Kind == HookPush:
		if m := skipMarker(message); m != "" {
			e.Nothing = "the head commit says " + m
		}
	}
}

// setAddresses keeps the addresses that may be compared.
func (e *HookEvent) setAddresses(addresses ...string) {
	for _, a := range addresses {
		if a != "" && len(a) <= delivery.MaxURL && !slices.Contains(e.Addresses, a) {
			e.Addresses = append(e.Addresses, a)
		}
	}
}

// Of reports whether the event is one of the repository at url. A host that sends no
// address is taken at its word for the name.
func (e HookEvent) Of(url string) bool {
	if len(e.Addresses) > 0 {
		return SameRepository(url, e.Addresses...)
	}
	key := RepositoryKey(url)
	return e.Name != "" && key != "" && strings.HasSuffix(key, "/"+strings.ToLower(e.Name))
}

// From names the repository of the event for people.
func (e HookEvent) From() string {
	for _, a := range e.Addresses {
		if key := RepositoryKey(a); key != "" {
			return delivery.Text(key, maxName, false)
		}
	}
	return delivery.Text(e.Name, maxName, false)
}

// listedCommit is what a push says of one of its commits.
type listedCommit struct {
	id                       string
	added, modified, removed []string
}

// changedFiles are the files that the listed commits change, and whether they are all:
// complete says whether the list of commits is, and the head has to be in it.
func changedFiles(commits []listedCommit, head string, complete bool) ([]string, bool) {
	var files pathSet
	headListed := false
	for _, c := range commits {
		files.add(c.added...)
		files.add(c.modified...)
		files.add(c.removed...)
		complete = complete && len(c.added)+len(c.modified)+len(c.removed) < filesListed
		headListed = headListed || strings.EqualFold(c.id, head)
	}
	return files.list, complete && headListed && !files.full
}

// filesListed is the number of files of one commit from which on its list may have been
// cut.
const filesListed = 3000
