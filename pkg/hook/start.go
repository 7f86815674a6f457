package hook

import (
	"context"
	"fmt"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

// start matches what a delivery reports against the repository's pipelines and
// stores the runs.
func (h *Handler) start(ctx context.Context, repo *v1alpha1.SourceCodeRepository, parsed scm.Delivery) answer {
	a := answer{DeliveryID: parsed.ID, Reason: parsed.Nothing}
	pipelines, err := h.store.pipelinesOf(repo)
	if err != nil {
		h.log.Error("pipelines of a repository could not be listed", "namespace", repo.Namespace, "repository", repo.Name, "error", err)
		return unavailable("the pipelines cannot be listed now")
	}
	var runs []*v1alpha1.PipelineExecution
	for _, e := range parsed.Events {
		if why := nothingToDo(repo, e); why != "" {
			a.Reason = why
			continue
		}
		ev := event(repo, e, parsed.ID)
		for i, decision := range pipeline.Match(ev, pipelines) {
			if !decision.Run {
				a.Skipped = append(a.Skipped, skipped{Pipeline: decision.Pipeline, Reason: decision.Reason})
				continue
			}
			runs = append(runs, pipeline.NewExecution(pipelines[i], ev))
		}
		if len(pipelines) == 0 {
			a.Reason = "no pipeline builds this repository"
		}
	}
	return h.create(ctx, runs, a)
}

// nothingToDo says why an event starts nothing, whatever the pipelines want.
func nothingToDo(repo *v1alpha1.SourceCodeRepository, e scm.HookEvent) string {
	switch {
	case e.Kind == scm.HookPing:
		return e.Nothing // the ping of an organisation's webhook names no repository
	case !e.Of(repo.Spec.URL):
		// A right signature for one repository must not start the runs of another that
		// happens to have the same secret.
		return fmt.Sprintf("the delivery is of another repository (%s) than the one configured", e.From())
	default:
		return e.Nothing
	}
}

// event is the delivery in the words of pkg/pipeline. What is cloned is the address
// that was configured, never one from the payload.
func event(repo *v1alpha1.SourceCodeRepository, e scm.HookEvent, id string) pipeline.Event {
	ev := pipeline.Event{
		Type: v1alpha1.EventPush, Repository: repo.Name, User: e.Sender, DeliveryID: id, Key: e.Key,
		Source: v1alpha1.Source{
			RepositoryURL: repo.Spec.URL, Ref: e.Ref, Branch: e.Branch, Tag: e.Tag, Commit: e.After,
			Message: e.Message, Author: e.Author, HTMLURL: e.HTMLURL,
			Paths: e.Paths, PathsComplete: e.PathsComplete,
		},
	}
	switch e.Kind {
	case scm.HookTag:
		ev.Type = v1alpha1.EventTag
	case scm.HookPullRequest:
		ev.Type, ev.Source.BaseBranch, ev.Source.PullRequest = v1alpha1.EventPullRequest, e.Branch, e.PullRequest
	}
	return ev
}
