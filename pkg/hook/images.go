package hook

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/registry"
)

// ImagesPrefix is where registries send their notifications: below it follow the project
// and the registry's type in lower case, and for a registry that can prove itself by
// nothing else, the token. So one address serves all pipelines of a project, and nothing
// in it is secret but what is said to be.
const ImagesPrefix = PathPrefix + "images/"

// serveImages takes one notification of a registry. Who cannot be proved gets one answer,
// whether there is such a project or not.
func (h *Handler) serveImages(w http.ResponseWriter, r *http.Request, d *received) answer {
	project, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, ImagesPrefix), "/")
	word, token, _ := strings.Cut(rest, "/")
	sender, ok := registry.SenderOf(word)
	if !ok || project == "" {
		return answer{status: http.StatusNotFound, result: resultUnknownPath, Error: "not found"}
	}
	d.provider = "registry/" + word
	if a, ok := checkRequest(r, MaxImageBody, sender.MediaTypes...); !ok {
		return a
	}
	a, leave, ok := h.enter()
	if !ok {
		return a
	}
	defer leave()
	memory := lease{of: h.budget}
	defer memory.end()
	body, a, ok := h.read(w, r, &memory, MaxImageBody)
	if !ok {
		return a
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), min(h.createTimeout, sender.Patience))
	defer cancel()
	pipelines, err := h.store.waitingFor(project, sender.Type)
	if err != nil {
		h.log.Error("pipelines of a registry could not be listed", "namespace", project, "error", err)
		return unavailable("the pipelines cannot be listed now")
	}
	proved, a, ok := h.verifyImages(ctx, project, sender, pipelines, func(keys [][]byte) error {
		return sender.Verify(keys, r.Header, token, body)
	})
	if !ok {
		return a
	}
	d.project, d.insists = project, sender.Insists
	if a, ok := h.allowed(project + "/" + d.provider); !ok {
		return a
	}
	return insist(sender, h.startImages(ctx, d, sender, pipelines, proved, r.Header, body))
}

// insist: a registry that sends again for ever, and nothing else meanwhile, is told of
// those failures only that will pass.
func insist(sender registry.Sender, a answer) answer {
	if sender.Insists && a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests {
		a.status = http.StatusAccepted
	}
	return a
}

// verifyImages finds which of the tokens that the pipelines name prove the notification.
// Every token is tried, so that time does not tell which one was right.
func (h *Handler) verifyImages(ctx context.Context, project string, sender registry.Sender, pipelines []*v1alpha1.Pipeline, verify func([][]byte) error) ([]v1alpha1.SecretKeyReference, answer, bool) {
	var proved []v1alpha1.SecretKeyReference
	for _, ref := range tokensOf(sender.Type, pipelines) {
		err := h.secrets.prove(ctx, project, ref.Name, ref.Key, verify)
		switch {
		case err == nil:
			proved = append(proved, ref)
		case errors.Is(err, delivery.ErrNoKey), errors.Is(err, errNoSecret):
			if h.refusals.Allow() {
				h.log.Warn("an image trigger's secret has no usable token", "namespace", project, "secret", ref.Name, "key", ref.Key)
			}
		case !errors.Is(err, delivery.ErrSignature):
			if h.refusals.Allow() {
				h.log.Error("an image trigger's secret could not be read", "namespace", project, "secret", ref.Name, "error", err)
			}
			return nil, unavailable("a secret cannot be read now"), false
		}
	}
	if len(proved) == 0 {
		return nil, answer{status: http.StatusUnauthorized, result: resultUnauthorized, Error: "the token or signature is missing or wrong, or no pipeline waits for images of this registry"}, false
	}
	return proved, answer{}, true
}

// tokensOf are the tokens that pipelines trust for a kind of registry.
func tokensOf(typ v1alpha1.RegistryType, pipelines []*v1alpha1.Pipeline) []v1alpha1.SecretKeyReference {
	var refs []v1alpha1.SecretKeyReference
	for _, p := range pipelines {
		for _, t := range p.Spec.Triggers.Image {
			if ref := pipeline.TokenOf(t); t.Registry == typ && ref.Name != "" && !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// startImages matches the pushed tags of a verified notification against the pipelines and
// stores the runs. What is authentic is never the sender's fault: 422 would make registries
// send it again, or switch the webhook off.
func (h *Handler) startImages(ctx context.Context, d *received, sender registry.Sender, pipelines []*v1alpha1.Pipeline, proved []v1alpha1.SecretKeyReference, header http.Header, body []byte) answer {
	n, err := sender.Parse(header, body)
	d.id, d.event = delivery.ID("", body), n.Event
	if err != nil {
		return answer{status: http.StatusOK, result: resultUndecodable, DeliveryID: d.id, Reason: err.Error()}
	}
	a := answer{Reason: n.Nothing}
	var runs []*v1alpha1.PipelineExecution
	for i, push := range n.Pushes {
		id := push.ID
		switch {
		case id == "":
			id = "received-" + rand.Text()
		case !sender.ProvesID:
			id = h.deliveryID(d.project, id, body)
		}
		if i == 0 {
			d.id = id
		}
		ev := pipeline.Event{
			Type: v1alpha1.EventImage, User: push.User, DeliveryID: id,
			Image: &push.Image, Registry: sender.Type, ProvedBy: proved,
		}
		for j, decision := range pipeline.Match(ev, pipelines) {
			p := pipelines[j]
			run, why := decision.Run, decision.Reason
			ofRun := ev
			if run {
				run, why = h.sourceOf(p, &ofRun)
			}
			if !run {
				a.Skipped = append(a.Skipped, skipped{Pipeline: decision.Pipeline, Reason: why})
				continue
			}
			runs = append(runs, pipeline.NewExecution(p, ofRun))
		}
	}
	a.DeliveryID = d.id
	return h.create(ctx, runs, a)
}

// sourceOf fills in which repository a pipeline builds when an image starts it, or says
// why there is none. Its branch, and the branch's commit, are found out later.
func (h *Handler) sourceOf(p *v1alpha1.Pipeline, ev *pipeline.Event) (ok bool, why string) {
	if p.Spec.RepositoryRef == nil {
		return true, ""
	}
	repo, err := h.store.repository(p.Namespace, p.Spec.RepositoryRef.Name)
	if err != nil || repo == nil {
		return false, "SourceCodeRepository " + p.Spec.RepositoryRef.Name + " does not exist"
	}
	ev.Source.RepositoryURL = repo.Spec.URL
	return true, ""
}
