package pipeline

import (
	"fmt"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// conditions are what `when` and the file's branch filter are compared with.
type conditions struct {
	event    string // one of eventWords
	branch   string // of a pull request: its target; of a tag: the tag's name, as in Rancher
	tag      bool
	paths    []string
	complete bool // paths are all changed files
}

func conditionsOf(e *v1alpha1.PipelineExecution) conditions {
	c := conditions{event: eventOf(e)}
	s := e.Spec.Source
	if s == nil {
		return c
	}
	c.branch, c.paths, c.complete = s.Branch, s.Paths, s.PathsComplete
	switch {
	case s.PullRequest != nil:
		c.branch = firstNonEmpty(s.BaseBranch, s.Branch)
	case s.Tag != "":
		c.branch, c.tag = s.Tag, true
	}
	return c
}

// eventOf is the word that `when.event` and CICD_EVENT use. A push that polling found is a push; a rerun is what it repeats, as far as
// its source tells: a request, a tag, an image, a delivery, else a person's.
func eventOf(e *v1alpha1.PipelineExecution) string {
	switch e.Spec.Trigger.Type {
	case v1alpha1.EventPush, v1alpha1.EventPoll:
		return "push"
	case v1alpha1.EventTag:
		return "tag"
	case v1alpha1.EventPullRequest:
		return "pull_request"
	case v1alpha1.EventImage:
		return "image"
	case v1alpha1.EventSchedule:
		return "schedule"
	case v1alpha1.EventRerun:
		source, trigger := e.Spec.Source, e.Spec.Trigger
		switch {
		case trigger.Image != nil:
			return "image"
		case source != nil && source.PullRequest != nil:
			return "pull_request"
		case trigger.DeliveryID != "" && source != nil && source.Tag != "":
			return "tag"
		case trigger.DeliveryID != "":
			return "push"
		}
	}
	return "manual"
}

// skipsAll says why the file's branch filter lets nothing run; empty when it does. It holds no tag back: tags have a trigger of their
// own to say which of them run.
func (c conditions) skipsAll(f *v1alpha1.Filter) string {
	if c.tag {
		return ""
	}
	if ok, why := filterMatches(f, c.branch); !ok {
		return "branch: " + why
	}
	return ""
}

// skips says which filter of a `when` leaves a stage or step out; empty when none does.
func (c conditions) skips(w *When) string {
	if w == nil {
		return ""
	}
	if ok, why := filterMatches(w.Branch, c.branch); !ok {
		return "when.branch: " + why
	}
	if ok, why := filterMatches(w.Event, c.event); !ok {
		return "when.event: " + why
	}
	if ok, why := pathsMatch(w.Paths, c.paths, c.complete); !ok {
		return fmt.Sprintf("when.paths: %s", why)
	}
	return ""
}
