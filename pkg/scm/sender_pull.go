package scm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// A draft is built like any other request, as GitHub Actions and GitLab do: people ask for
// a review of what has been built. When it is said to be ready, nothing has changed.

// pullCommits are the actions that bring commits to be built, by the words of GitHub and
// Gitea.
var pullCommits = map[string]bool{"opened": true, "reopened": true, "synchronize": true, "synchronized": true}

// githubPullRequest is our own decode of a pull request of GitHub, whose type in
// webhooks/v6 lacks before and after, or of Gitea, whose payload has the same shape.
type githubPullRequest struct {
	Action      string
	Number      int64
	Before      string
	PullRequest struct {
		Title   string
		HTMLURL string `json:"html_url"`
		State   string
		User    struct{ Login string }
		Head    githubPullSide
		Base    githubPullSide
	} `json:"pull_request"`
	Repository githubRepository
	Sender     struct{ Login string }
}

type githubPullSide struct {
	Ref, SHA string
	Repo     *githubRepository
}

func githubPull(body []byte) (HookEvent, error) {
	p, err := delivery.Decode[githubPullRequest]("GitHub", body)
	if err != nil {
		return HookEvent{}, err
	}
	return p.event()
}

// event normalises a request whose head its repository keeps at refs/pull/N/head.
func (p *githubPullRequest) event() (HookEvent, error) {
	pr := p.PullRequest
	e := HookEvent{
		Kind: HookPullRequest, Message: delivery.Text(pr.Title, maxMessageIn, false), Author: delivery.Text(pr.User.Login, maxName, false),
		Sender: delivery.Text(p.Sender.Login, maxName, false), HTMLURL: delivery.URL(pr.HTMLURL),
	}
	e.setAddresses(p.Repository.addresses()...)
	base := p.Repository.FullName
	if pr.Base.Repo != nil {
		base = pr.Base.Repo.FullName
	}
	from := ""
	fork := pr.Head.Repo == nil || base == "" || !strings.EqualFold(pr.Head.Repo.FullName, base) || !isBranchName(pr.Head.Ref)
	if pr.Head.Repo != nil {
		from = pr.Head.Repo.CloneURL
	}
	if err := e.setPull(p.Number, fork, from, fmt.Sprintf("refs/pull/%d/head", p.Number), pr.Base.Ref, pr.Head.SHA); err != nil {
		return HookEvent{}, err
	}
	if e.After == "" {
		return HookEvent{}, errors.New("the pull request has no head commit")
	}
	if isCommit(p.Before) {
		e.Before = strings.ToLower(p.Before)
	}
	switch {
	case e.Nothing != "":
	case !pullCommits[p.Action]:
		e.Nothing = nothingAction(p.Action)
	case pr.State == "closed":
		e.Nothing = nothingClosed
	}
	return e, nil
}

// isBranchName: Gitea and Forgejo take requests from people who may not push (AGit); they
// say that such a head is in the repository itself, at a ref that is no branch.
func isBranchName(ref string) bool { return ref != "" && !strings.HasPrefix(ref, "refs/") }

// setPull fills in which request it is and what is built of it: ref, in the repository
// that it is made to, at head. Nothing is fetched from where it comes from.
func (e *HookEvent) setPull(number int64, fork bool, from, ref, base, head string) error {
	if number <= 0 {
		return errors.New("the pull request has no number")
	}
	e.PullRequest = &v1alpha1.PullRequest{Number: number, Fork: fork}
	if fork {
		e.PullRequest.HeadRepositoryURL = delivery.URL(from)
	}
	if err := e.setRef("refs/heads/" + base); err != nil {
		return errors.New("the target of the pull request is no name of a branch")
	}
	if e.Nothing == "" {
		if err := checkRef(ref); err != nil || len(ref) > maxRef {
			return errors.New("the head of the pull request is no name of a ref")
		}
		e.Ref = ref
	}
	return e.setCommits("", head)
}
