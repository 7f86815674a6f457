package scm

import (
	"errors"
	"fmt"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// gitlabMerge is a merge request.
type gitlabMerge struct {
	IID             int64
	Action          string
	State           string
	Title           string
	URL             string
	OldRev          string
	TargetBranch    string         `json:"target_branch"`
	SourceProjectID int64          `json:"source_project_id"`
	TargetProjectID int64          `json:"target_project_id"`
	LastCommit      *gitlabCommit  `json:"last_commit"`
	Source          *gitlabProject `json:"source"`
}

// merge normalises a merge request. Action update is one of new commits when it says which
// commit there was before, else of a changed title, label and so on.
func (b *gitlabBase) merge() (HookEvent, error) {
	m := b.Merge
	e := HookEvent{Kind: HookPullRequest, Sender: delivery.Text(b.User.Username, maxName, false), HTMLURL: delivery.URL(m.URL)}
	if e.Sender == "" {
		e.Sender = delivery.Text(b.User.Name, maxName, false)
	}
	e.setAddresses(b.Project.addresses()...)
	head, from := "", ""
	if m.LastCommit != nil {
		head = m.LastCommit.ID
		e.Message, e.Author = delivery.Text(m.LastCommit.Message, maxMessageIn, true), delivery.Text(m.LastCommit.Author.Name, maxName, false)
	}
	if e.Message == "" {
		e.Message = delivery.Text(m.Title, maxMessageIn, false)
	}
	fork := m.SourceProjectID == 0 || m.SourceProjectID != m.TargetProjectID
	if m.Source != nil {
		from = m.Source.HTTPURL
	}
	if err := e.setPull(m.IID, fork, from, fmt.Sprintf("refs/merge-requests/%d/head", m.IID), m.TargetBranch, head); err != nil {
		return HookEvent{}, err
	}
	if m.OldRev != "" {
		if err := e.setCommits(m.OldRev, head); err != nil {
			return HookEvent{}, errors.New("oldrev is not a full commit id")
		}
	}
	switch {
	case e.Nothing != "":
	case m.Action != "open" && m.Action != "reopen" && (m.Action != "update" || isZero(m.OldRev)):
		e.Nothing = nothingAction(m.Action)
	case m.State == "closed" || m.State == "merged":
		e.Nothing = nothingClosed
	case e.After == "":
		e.Nothing = "the merge request has no commits"
	}
	return e, nil
}
