package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func include(globs ...string) *v1alpha1.Filter { return &v1alpha1.Filter{Include: globs} }

func pushTo(branch string, paths ...string) Event {
	return Event{Type: v1alpha1.EventPush, Repository: "app", Source: v1alpha1.Source{
		RepositoryURL: "https://h/r", Branch: branch, Ref: "refs/heads/" + branch, Paths: paths, PathsComplete: paths != nil,
	}}
}

func TestMatch(t *testing.T) {
	triggered := func(tr v1alpha1.Triggers) v1alpha1.PipelineSpec {
		return v1alpha1.PipelineSpec{RepositoryRef: &v1alpha1.LocalReference{Name: "app"}, Triggers: &tr}
	}
	onPush := func(p v1alpha1.PushTrigger) v1alpha1.PipelineSpec { return triggered(v1alpha1.Triggers{Push: &p}) }
	onPR := func(p v1alpha1.PullRequestTrigger) v1alpha1.PipelineSpec {
		return triggered(v1alpha1.Triggers{PullRequest: &p})
	}
	tag := Event{Type: v1alpha1.EventTag, Repository: "app", Source: v1alpha1.Source{Tag: "v1.2.0", Ref: "refs/tags/v1.2.0"}}
	pr := func(fork bool) Event {
		return Event{Type: v1alpha1.EventPullRequest, Repository: "app", Source: v1alpha1.Source{
			Branch: "main", BaseBranch: "main", PullRequest: &v1alpha1.PullRequest{Number: 7, Fork: fork, HeadRepositoryURL: "https://h/evil"},
		}}
	}
	image := func(repository, tag string) Event {
		return Event{
			Type: v1alpha1.EventImage, Image: &v1alpha1.ImageReference{Repository: repository, Tag: tag},
			Registry: v1alpha1.RegistryHarbor, ProvedBy: []v1alpha1.SecretKeyReference{{Name: "harbor", Key: "token"}},
		}
	}
	token := &v1alpha1.SecretKeyReference{Name: "harbor"}
	images := triggered(v1alpha1.Triggers{Image: []v1alpha1.ImageTrigger{
		{Registry: v1alpha1.RegistryHarbor, TokenSecretRef: token, Repository: "library/*", Tags: include("1.*")},
		{Registry: v1alpha1.RegistryHarbor, TokenSecretRef: token, Repository: "team/**", Tags: &v1alpha1.Filter{Exclude: []string{"*-rc"}}},
	}})
	imagesOf := func(t v1alpha1.ImageTrigger) v1alpha1.PipelineSpec {
		t.Repository = "**"
		return triggered(v1alpha1.Triggers{Image: []v1alpha1.ImageTrigger{t}})
	}
	suspended := onPush(v1alpha1.PushTrigger{})
	suspended.Suspend = true
	cases := map[string]struct {
		event Event
		spec  v1alpha1.PipelineSpec
		want  Decision
	}{
		"a push without filters runs": {pushTo("main"), onPush(v1alpha1.PushTrigger{}), Decision{Run: true, Reason: "triggers.push matches branch main"}},
		"another repository's push does not": {
			pushTo("main"), v1alpha1.PipelineSpec{RepositoryRef: &v1alpha1.LocalReference{Name: "other"}},
			Decision{Reason: "the pipeline's repository is other, not app"},
		},
		"a pipeline without a repository has no pushes": {pushTo("main"), v1alpha1.PipelineSpec{}, Decision{Reason: "the pipeline has no repository"}},
		"no trigger, no run":                            {pushTo("main"), triggered(v1alpha1.Triggers{}), Decision{Reason: "triggers.push is not set"}},
		"no triggers at all":                            {pushTo("main"), v1alpha1.PipelineSpec{RepositoryRef: &v1alpha1.LocalReference{Name: "app"}}, Decision{Reason: "the pipeline has no triggers"}},
		"a suspended pipeline waits":                    {pushTo("main"), suspended, Decision{Reason: "the pipeline is suspended"}},
		"a person starts a suspended":                   {Event{Type: v1alpha1.EventManual, Repository: "app"}, suspended, Decision{Run: true, Reason: "asked for by a person"}},
		"a poll is a push":                              {func() Event { e := pushTo("main"); e.Type = v1alpha1.EventPoll; return e }(), onPush(v1alpha1.PushTrigger{}), Decision{Run: true, Reason: "triggers.push matches branch main"}},
		"a star stops at a slash": {
			pushTo("release/1/2"), onPush(v1alpha1.PushTrigger{Branches: include("release/*")}),
			Decision{Reason: `triggers.push.branches: include [release/*] does not match "release/1/2"`},
		},
		"two stars do not": {pushTo("release/1/2"), onPush(v1alpha1.PushTrigger{Branches: include("main", "release/**")}), Decision{Run: true, Reason: "triggers.push matches branch release/1/2"}},
		"exclude wins over include": {
			pushTo("wip/x"), onPush(v1alpha1.PushTrigger{Branches: &v1alpha1.Filter{Include: []string{"**"}, Exclude: []string{"wip/**"}}}),
			Decision{Reason: `triggers.push.branches: exclude "wip/**" matches "wip/x"`},
		},
		"one changed file that passes is enough": {
			pushTo("main", "docs/a.md", "cmd/x/main.go"), onPush(v1alpha1.PushTrigger{Paths: include("cmd/**")}), Decision{Run: true, Reason: "triggers.push matches branch main"},
		},
		"changed files that all are excluded do not run": {
			pushTo("main", "docs/a.md", "README.md"), onPush(v1alpha1.PushTrigger{Paths: &v1alpha1.Filter{Exclude: []string{"**/*.md"}}}),
			Decision{Reason: `triggers.push.paths: none of 2 changed files passes exclude [**/*.md]`},
		},
		"unknown changed files run": {pushTo("main"), onPush(v1alpha1.PushTrigger{Paths: include("cmd/**")}), Decision{Run: true, Reason: "triggers.push matches branch main"}},
		"a push that changes nothing does not pass a filter on paths": {
			pushTo("main", []string{}...), onPush(v1alpha1.PushTrigger{Paths: include("cmd/**")}), Decision{Reason: "triggers.push.paths: none of 0 changed files passes include [cmd/**]"},
		},
		"a tag needs the tag trigger":               {tag, onPush(v1alpha1.PushTrigger{}), Decision{Reason: "triggers.tag is not set"}},
		"a tag is not held back by a branch filter": {tag, triggered(v1alpha1.Triggers{Push: &v1alpha1.PushTrigger{Branches: include("main")}, Tag: &v1alpha1.TagTrigger{Tags: include("v*")}}), Decision{Run: true, Reason: "triggers.tag matches tag v1.2.0"}},
		"a tag that does not match":                 {tag, triggered(v1alpha1.Triggers{Tag: &v1alpha1.TagTrigger{Tags: include("w*")}}), Decision{Reason: `triggers.tag.tags: include [w*] does not match "v1.2.0"`}},
		"a request is matched by its target":        {pr(false), onPR(v1alpha1.PullRequestTrigger{Branches: include("main")}), Decision{Run: true, Reason: "triggers.pullRequest matches target branch main"}},
		"a fork's request does not run by default":  {pr(true), onPR(v1alpha1.PullRequestTrigger{}), Decision{Reason: "triggers.pullRequest.forks is None and the request comes from https://h/evil"}},
		"a fork's request runs without secrets":     {pr(true), onPR(v1alpha1.PullRequestTrigger{Forks: v1alpha1.ForksWithoutSecrets}), Decision{Run: true, Reason: "triggers.pullRequest matches target branch main"}},
		"an image is matched without its host":      {image("registry.example.com:5000/library/redis", "1.2"), images, Decision{Run: true, Reason: "triggers.image[0] matches image library/redis:1.2"}},
		"an image may match a later trigger":        {image("team/a/b", "2"), images, Decision{Run: true, Reason: "triggers.image[1] matches image team/a/b:2"}},
		"an image that matches none says why": {
			image("library/redis", "2-rc"), images,
			Decision{Reason: `triggers.image[0].tags: include [1.*] does not match "2-rc"; triggers.image[1].repository: "team/**" does not match "library/redis"`},
		},
		"an image with an excluded tag": {image("team/a", "2-rc"), images, Decision{Reason: `triggers.image[0].repository: "library/*" does not match "team/a"; triggers.image[1].tags: exclude "*-rc" matches "2-rc"`}},
		"an image of another registry": {image("a", "1"), imagesOf(v1alpha1.ImageTrigger{Registry: v1alpha1.RegistryQuay, TokenSecretRef: token}),
			Decision{Reason: "triggers.image[0].registry: is Quay, not Harbor"}},
		"an image that another secret proves": {image("a", "1"), imagesOf(v1alpha1.ImageTrigger{Registry: v1alpha1.RegistryHarbor, TokenSecretRef: &v1alpha1.SecretKeyReference{Name: "other"}}),
			Decision{Reason: "triggers.image[0].tokenSecretRef: not what the sender is proved by"}},
		"an image that another key proves": {image("a", "1"), imagesOf(v1alpha1.ImageTrigger{Registry: v1alpha1.RegistryHarbor, TokenSecretRef: &v1alpha1.SecretKeyReference{Name: "harbor", Key: "other"}}),
			Decision{Reason: "triggers.image[0].tokenSecretRef: not what the sender is proved by"}},
		"an image that nothing can prove": {image("a", "1"), imagesOf(v1alpha1.ImageTrigger{Registry: v1alpha1.RegistryHarbor}),
			Decision{Reason: "triggers.image[0].tokenSecretRef: not what the sender is proved by"}},
		"a schedule needs one": {Event{Type: v1alpha1.EventSchedule}, triggered(v1alpha1.Triggers{}), Decision{Reason: "triggers.schedule is not set"}},
		"a glob that is none matches nothing": {
			pushTo("main"), onPush(v1alpha1.PushTrigger{Branches: include("[")}), Decision{Reason: `triggers.push.branches: include [[] does not match "main"`},
		},
		"an event that nobody knows": {Event{Type: "Moon"}, triggered(v1alpha1.Triggers{}), Decision{Reason: `event type "Moon" is not known`}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.want.Pipeline = "p"
			got := Match(c.event, []*v1alpha1.Pipeline{{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: c.spec}})
			if diff := cmp.Diff([]Decision{c.want}, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("release/**", "release/1")
	f.Add("**/**/**/*a*", "a/b/c")
	f.Add("{a,b}[!c]", "ad")
	f.Fuzz(func(t *testing.T, glob, name string) {
		if len(glob) > 256 || len(name) > 1024 {
			t.Skip("longer than an object may hold")
		}
		globMatches(glob, name) // does not panic
	})
}
