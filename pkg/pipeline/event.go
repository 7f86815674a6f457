package pipeline

import (
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Event is something that may start runs, in the same shape whoever reported it.
type Event struct {
	// Type of the event.
	Type v1alpha1.EventType
	// Repository is the name of the SourceCodeRepository that it happened in. Empty for events that have none, such as a pushed image.
	Repository string
	// Source is what would be built.
	Source v1alpha1.Source
	// User who caused it, as the API server or the Git host reports it.
	User string
	// DeliveryID is the sender's id of the event; a redelivery has the same. Empty: runs get generated names.
	DeliveryID string
	// Key tells the event from others in place of DeliveryID, where a sender reports one thing in several deliveries. Optional.
	Key string
	// Image that was pushed, for image events.
	Image *v1alpha1.ImageReference
	// Registry that reports the image, and the Secret keys that proved it: triggers of another registry or another key do not match.
	Registry v1alpha1.RegistryType
	ProvedBy []v1alpha1.SecretKeyReference
}

// TokenOf is where the token lies that proves the sender of an image trigger; empty when the trigger names none, and nobody can.
func TokenOf(t v1alpha1.ImageTrigger) v1alpha1.SecretKeyReference {
	if t.TokenSecretRef == nil {
		return v1alpha1.SecretKeyReference{}
	}
	return v1alpha1.SecretKeyReference{Name: t.TokenSecretRef.Name, Key: firstNonEmpty(t.TokenSecretRef.Key, v1alpha1.ImageTokenKey)}
}

// ManualRequest is what a person asks to be built. At most one of Branch and Tag is set.
type ManualRequest struct {
	// Branch to build. Default: the Pipeline's branch, else the repository's default branch.
	Branch string
	// Tag to build.
	Tag string
	// Commit to build, a full id. Default: the tip of Branch or Tag, resolved at admission.
	Commit string
	// User who asks.
	User string
}

// ManualEvent is the event of a person's request. The repository may be nil: then nothing is cloned.
func ManualEvent(p *v1alpha1.Pipeline, repo *v1alpha1.SourceCodeRepository, req ManualRequest) Event {
	ev := Event{Type: v1alpha1.EventManual, User: req.User}
	if repo == nil {
		return ev
	}
	ev.Repository = repo.Name
	ev.Source = v1alpha1.Source{RepositoryURL: repo.Spec.URL, Commit: req.Commit}
	if req.Tag != "" {
		ev.Source.Tag = req.Tag
		ev.Source.Ref = "refs/tags/" + req.Tag
		return ev
	}
	ev.Source.Branch = firstNonEmpty(req.Branch, p.Spec.Branch, repo.Spec.DefaultBranch, "main")
	ev.Source.Ref = "refs/heads/" + ev.Source.Branch
	return ev
}

// DefaultConfigPaths are the config files that are looked for, in this order, when a Pipeline names none.
func DefaultConfigPaths() []string {
	return []string{".pipeline.yml", ".rancher-pipeline.yml", ".rancher-pipeline.yaml", ".cubepaas.devops.yml"}
}

// ConfigPaths are the config files to look for in a Pipeline's repository, in this order.
func ConfigPaths(p *v1alpha1.Pipeline) []string {
	if p.Spec.ConfigPath != "" {
		return []string{p.Spec.ConfigPath}
	}
	return DefaultConfigPaths()
}

func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
