package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Decision says whether an event starts a run of a pipeline, and why.
type Decision struct {
	// Pipeline is its name.
	Pipeline string
	// Run is true when the event starts a run.
	Run bool
	// Reason names the filter that decided, in words.
	Reason string
}

// Match decides, for each pipeline and in their order, whether an event starts a run. Filters of the config file are not known here:
// Compile applies them.
func Match(ev Event, pipelines []*v1alpha1.Pipeline) []Decision {
	decisions := make([]Decision, 0, len(pipelines))
	for _, p := range pipelines {
		run, reason := match(ev, p)
		decisions = append(decisions, Decision{Pipeline: p.Name, Run: run, Reason: reason})
	}
	return decisions
}

func match(ev Event, p *v1alpha1.Pipeline) (bool, string) {
	if ev.Repository != "" {
		switch {
		case p.Spec.RepositoryRef == nil:
			return false, "the pipeline has no repository"
		case p.Spec.RepositoryRef.Name != ev.Repository:
			return false, fmt.Sprintf("the pipeline's repository is %s, not %s", p.Spec.RepositoryRef.Name, ev.Repository)
		}
	}
	if ev.Type == v1alpha1.EventManual || ev.Type == v1alpha1.EventRerun {
		return true, "asked for by a person"
	}
	if p.Spec.Suspend {
		return false, "the pipeline is suspended"
	}
	triggers := p.Spec.Triggers
	if triggers == nil {
		return false, "the pipeline has no triggers"
	}
	switch ev.Type {
	case v1alpha1.EventPush, v1alpha1.EventPoll:
		return matchPush(ev, triggers.Push)
	case v1alpha1.EventTag:
		return matchTag(ev, triggers.Tag)
	case v1alpha1.EventPullRequest:
		return matchPullRequest(ev, triggers.PullRequest)
	case v1alpha1.EventImage:
		_, run, reason := matchImage(ev, triggers.Image)
		return run, reason
	case v1alpha1.EventSchedule:
		if len(triggers.Schedule) == 0 {
			return false, "triggers.schedule is not set"
		}
		return true, "triggers.schedule is set"
	}
	return false, fmt.Sprintf("event type %q is not known", ev.Type)
}

func matchPush(ev Event, t *v1alpha1.PushTrigger) (bool, string) {
	if t == nil {
		return false, "triggers.push is not set"
	}
	if ok, why := filterMatches(t.Branches, ev.Source.Branch); !ok {
		return false, "triggers.push.branches: " + why
	}
	if ok, why := pathsMatch(t.Paths, ev.Source.Paths, ev.Source.PathsComplete); !ok {
		return false, "triggers.push.paths: " + why
	}
	return true, fmt.Sprintf("triggers.push matches branch %s", ev.Source.Branch)
}

func matchTag(ev Event, t *v1alpha1.TagTrigger) (bool, string) {
	if t == nil {
		return false, "triggers.tag is not set"
	}
	if ok, why := filterMatches(t.Tags, ev.Source.Tag); !ok {
		return false, "triggers.tag.tags: " + why
	}
	return true, fmt.Sprintf("triggers.tag matches tag %s", ev.Source.Tag)
}

func matchPullRequest(ev Event, t *v1alpha1.PullRequestTrigger) (bool, string) {
	if t == nil {
		return false, "triggers.pullRequest is not set"
	}
	if pr := ev.Source.PullRequest; pr != nil && pr.Fork && forkPolicy(t) == v1alpha1.ForksNone {
		return false, fmt.Sprintf("triggers.pullRequest.forks is None and the request comes from %s", firstNonEmpty(pr.HeadRepositoryURL, "a fork"))
	}
	target := firstNonEmpty(ev.Source.BaseBranch, ev.Source.Branch)
	if ok, why := filterMatches(t.Branches, target); !ok {
		return false, "triggers.pullRequest.branches: " + why
	}
	if ok, why := pathsMatch(t.Paths, ev.Source.Paths, ev.Source.PathsComplete); !ok {
		return false, "triggers.pullRequest.paths: " + why
	}
	return true, fmt.Sprintf("triggers.pullRequest matches target branch %s", target)
}

// forkPolicy is the policy of a trigger; one that is absent or empty trusts no fork.
func forkPolicy(t *v1alpha1.PullRequestTrigger) v1alpha1.ForkPolicy {
	if t == nil || t.Forks == "" {
		return v1alpha1.ForksNone
	}
	return t.Forks
}

// Trusts says whether a run of what s names may see secrets, write to a cache that others read, and bring its own config: all but a pull
// request of a fork may, unless the pipeline's policy is ForksAll.
func Trusts(p *v1alpha1.Pipeline, s *v1alpha1.Source) bool {
	if s == nil || s.PullRequest == nil || !s.PullRequest.Fork {
		return true
	}
	t := p.Spec.Triggers
	return t != nil && forkPolicy(t.PullRequest) == v1alpha1.ForksAll
}

// matchImage returns the index of the first trigger that matches.
func matchImage(ev Event, triggers []v1alpha1.ImageTrigger) (int, bool, string) {
	if len(triggers) == 0 {
		return -1, false, "triggers.image is not set"
	}
	if ev.Image == nil {
		return -1, false, "the event names no image"
	}
	repository := withoutRegistryHost(ev.Image.Repository)
	var whys []string
	for i, t := range triggers {
		where := fmt.Sprintf("triggers.image[%d]", i)
		if t.Registry != ev.Registry {
			whys = append(whys, fmt.Sprintf("%s.registry: is %s, not %s", where, t.Registry, ev.Registry))
			continue
		}
		if token := TokenOf(t); token.Name == "" || !slices.Contains(ev.ProvedBy, token) {
			whys = append(whys, where+".tokenSecretRef: not what the sender is proved by")
			continue
		}
		if !globMatches(t.Repository, repository) {
			whys = append(whys, fmt.Sprintf("%s.repository: %q does not match %q", where, t.Repository, repository))
			continue
		}
		if ok, why := filterMatches(t.Tags, ev.Image.Tag); !ok {
			whys = append(whys, where+".tags: "+why)
			continue
		}
		return i, true, fmt.Sprintf("%s matches image %s:%s", where, repository, ev.Image.Tag)
	}
	return -1, false, strings.Join(whys, "; ")
}

// withoutRegistryHost cuts the host off an image repository: a first part with a dot or a port, or localhost, as image references are
// read everywhere.
func withoutRegistryHost(repository string) string {
	host, rest, found := strings.Cut(repository, "/")
	if found && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return rest
	}
	return repository
}
