package pipeline

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestNewExecution(t *testing.T) {
	token := &v1alpha1.SecretKeyReference{Name: "registry"}
	proved := []v1alpha1.SecretKeyReference{{Name: "registry", Key: "token"}}
	p := &v1alpha1.Pipeline{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"},
		Spec: v1alpha1.PipelineSpec{
			RepositoryRef: &v1alpha1.LocalReference{Name: "app"}, Branch: "develop",
			Triggers: &v1alpha1.Triggers{Image: []v1alpha1.ImageTrigger{{Repository: "base/*", Branch: "rebuild", TokenSecretRef: token}, {Repository: "other/*", TokenSecretRef: token}}},
		},
	}
	event := pushTo("main")
	event.DeliveryID, event.User, event.Source.Commit = "d-1", "ada", testCommit

	got := NewExecution(p, event)
	want := &v1alpha1.PipelineExecution{
		TypeMeta: metav1.TypeMeta{APIVersion: "kubectl-pipeline.io/v1alpha1", Kind: "PipelineExecution"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "app-" + v1alpha1.ShortHash("d-1", "app", "refs/heads/main"),
			Labels: map[string]string{
				"kubectl-pipeline.io/pipeline": "app", "kubectl-pipeline.io/trigger": "Push", "kubectl-pipeline.io/phase-class": "active",
				"kubectl-pipeline.io/branch-hash": v1alpha1.ShortHash("main"),
			},
			Finalizers: []string{v1alpha1.Finalizer},
		},
		Spec: v1alpha1.PipelineExecutionSpec{
			PipelineRef: v1alpha1.LocalReference{Name: "app"},
			Source:      &v1alpha1.Source{RepositoryURL: "https://h/r", Branch: "main", Ref: "refs/heads/main", Commit: testCommit},
			Trigger:     v1alpha1.Trigger{Type: v1alpha1.EventPush, User: "ada", DeliveryID: "d-1"},
			Control:     v1alpha1.ControlRun,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("execution (-want +got):\n%s", diff)
	}

	t.Run("a redelivery has the same name, another ref of the delivery has not", func(t *testing.T) {
		other := event
		other.Source.Ref = "refs/heads/b"
		if again := NewExecution(p, event).Name; again != got.Name {
			t.Errorf("name %s, want %s", again, got.Name)
		}
		if NewExecution(p, other).Name == got.Name {
			t.Error("two refs have one name")
		}
	})
	t.Run("two tags of one image delivery have two names", func(t *testing.T) {
		push := Event{Type: v1alpha1.EventImage, DeliveryID: "d", Image: &v1alpha1.ImageReference{Repository: "base/a", Tag: "1"}}
		first := NewExecution(p, push).Name
		push.Image = &v1alpha1.ImageReference{Repository: "base/a", Tag: "2"}
		if NewExecution(p, push).Name == first {
			t.Error("two tags have one name")
		}
	})
	t.Run("an event with a key of its own has the same name in every delivery", func(t *testing.T) {
		first, second, other := event, event, event
		first.Key, second.Key, other.Key = "pull-7-abc", "pull-7-abc", "pull-7-def"
		second.DeliveryID = "d-2"
		name := NewExecution(p, first).Name
		if NewExecution(p, second).Name != name || NewExecution(p, other).Name == name {
			t.Error("the key does not decide")
		}
	})
	t.Run("an event does not share memory with its run", func(t *testing.T) {
		shared := pushTo("main", "a")
		NewExecution(p, shared).Spec.Source.Paths[0] = "b"
		if shared.Source.Paths[0] != "a" {
			t.Error("the event was changed")
		}
	})
	t.Run("a person's run has a generated name", func(t *testing.T) {
		repo := &v1alpha1.SourceCodeRepository{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.SourceCodeRepositorySpec{URL: "https://h/r", DefaultBranch: "trunk"}}
		for name, c := range map[string]struct {
			req  ManualRequest
			want v1alpha1.Source
		}{
			"the pipeline's branch": {ManualRequest{}, v1alpha1.Source{RepositoryURL: "https://h/r", Branch: "develop", Ref: "refs/heads/develop"}},
			"another branch":        {ManualRequest{Branch: "x", Commit: testCommit}, v1alpha1.Source{RepositoryURL: "https://h/r", Branch: "x", Ref: "refs/heads/x", Commit: testCommit}},
			"a tag":                 {ManualRequest{Tag: "v1"}, v1alpha1.Source{RepositoryURL: "https://h/r", Tag: "v1", Ref: "refs/tags/v1"}},
		} {
			e := NewExecution(p, ManualEvent(p, repo, c.req))
			if diff := cmp.Diff(&c.want, e.Spec.Source); diff != "" {
				t.Errorf("%s: source (-want +got):\n%s", name, diff)
			}
			if e.Name != "" || e.GenerateName != "app-" {
				t.Errorf("%s: name %q, generateName %q", name, e.Name, e.GenerateName)
			}
		}
		if e := NewExecution(p, ManualEvent(p, nil, ManualRequest{User: "ada"})); e.Spec.Source != nil || e.Spec.Trigger.User != "ada" {
			t.Errorf("without a repository: %+v", e.Spec)
		}
	})
	t.Run("an image event builds the branch of the trigger that matched, else the pipeline's", func(t *testing.T) {
		for repository, want := range map[string]string{"reg.io/base/a": "refs/heads/rebuild", "reg.io/other/a": "refs/heads/develop"} {
			e := NewExecution(p, Event{Type: v1alpha1.EventImage, Image: &v1alpha1.ImageReference{Repository: repository, Tag: "1"}, ProvedBy: proved, Source: v1alpha1.Source{RepositoryURL: "https://h/r"}})
			if e.Spec.Source.Ref != want || e.Spec.Trigger.Image.Repository != repository {
				t.Errorf("%s: ref %s, want %s", repository, e.Spec.Source.Ref, want)
			}
		}
	})
	t.Run("texts and lists fit the API's bounds", func(t *testing.T) {
		long := pushTo("main", make([]string, 2000)...)
		long.Source.Message, long.Source.Author, long.User, long.DeliveryID = strings.Repeat("é", 5000), strings.Repeat("é", 300), strings.Repeat("é", 300), strings.Repeat("é", 300)
		s := NewExecution(p, long).Spec
		if len([]rune(s.Source.Message)) != 4096 || len([]rune(s.Source.Author)) != 256 || len([]rune(s.Trigger.User)) != 256 || len([]rune(s.Trigger.DeliveryID)) != 256 {
			t.Error("a text is too long")
		}
		if len(s.Source.Paths) != 1000 || s.Source.PathsComplete {
			t.Errorf("%d paths, complete %v; want 1000 that are not complete", len(s.Source.Paths), s.Source.PathsComplete)
		}
	})
}

func TestConfigPaths(t *testing.T) {
	p := &v1alpha1.Pipeline{}
	if diff := cmp.Diff([]string{".pipeline.yml", ".rancher-pipeline.yml", ".rancher-pipeline.yaml", ".cubepaas.devops.yml"}, ConfigPaths(p)); diff != "" {
		t.Error(diff)
	}
	p.Spec.ConfigPath = "ci/x.yml"
	if diff := cmp.Diff([]string{"ci/x.yml"}, ConfigPaths(p)); diff != "" {
		t.Error(diff)
	}
}
