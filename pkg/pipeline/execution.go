package pipeline

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// NewExecution is the run of a pipeline that an event starts. An event with a DeliveryID gets the same name again when it is
// redelivered; any other a generated one. What is built is the event's source; where that names no ref, the branch of the image
// trigger that matched, else the pipeline's own, and where there is none either, admission takes the repository's default branch.
func NewExecution(p *v1alpha1.Pipeline, ev Event) *v1alpha1.PipelineExecution {
	source := eventSource(p, ev)
	e := &v1alpha1.PipelineExecution{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "PipelineExecution"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace,
			Labels: map[string]string{
				v1alpha1.LabelPipeline:   v1alpha1.LabelValue(p.Name),
				v1alpha1.LabelTrigger:    string(ev.Type),
				v1alpha1.LabelPhaseClass: v1alpha1.PhaseClassActive,
			},
			Finalizers: []string{v1alpha1.Finalizer},
		},
		Spec: v1alpha1.PipelineExecutionSpec{
			PipelineRef: v1alpha1.LocalReference{Name: p.Name},
			Source:      source,
			Trigger: v1alpha1.Trigger{
				Type:       ev.Type,
				User:       cut(ev.User, 256),
				DeliveryID: cut(ev.DeliveryID, 256),
			},
			Control: v1alpha1.ControlRun,
		},
	}
	if ev.Image != nil {
		image := *ev.Image
		e.Spec.Trigger.Image = &image
	}
	if source != nil && source.Branch != "" {
		e.Labels[v1alpha1.LabelBranchHash] = v1alpha1.ShortHash(source.Branch)
	}
	if ev.DeliveryID == "" {
		e.GenerateName = v1alpha1.Truncate(p.Name, 200) + "-"
		return e
	}
	e.Name = v1alpha1.EventExecutionName(p.Name, firstNonEmpty(ev.Key, ev.DeliveryID), eventRef(ev))
	return e
}

// eventRef tells apart what one delivery reports: one delivery may name several refs, or several tags of an image.
func eventRef(ev Event) string {
	if ev.Image != nil {
		return ev.Image.Repository + ":" + ev.Image.Tag
	}
	return ev.Source.Ref
}

func eventSource(p *v1alpha1.Pipeline, ev Event) *v1alpha1.Source {
	if ev.Source.RepositoryURL == "" {
		return nil
	}
	source := *ev.Source.DeepCopy()
	source.Message = cut(source.Message, 4096)
	source.Author = cut(source.Author, 256)
	if len(source.Paths) > 1000 {
		source.Paths, source.PathsComplete = source.Paths[:1000], false
	}
	if source.Ref != "" || source.Commit != "" {
		return &source
	}
	branch := source.Branch
	if branch == "" && ev.Type == v1alpha1.EventImage && p.Spec.Triggers != nil {
		if i, ok, _ := matchImage(ev, p.Spec.Triggers.Image); ok {
			branch = p.Spec.Triggers.Image[i].Branch
		}
	}
	if branch = firstNonEmpty(branch, p.Spec.Branch); branch != "" {
		source.Branch = branch
		source.Ref = "refs/heads/" + branch
	}
	return &source
}

// cut shortens s to at most n characters, which is how the API server counts maxLength.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
