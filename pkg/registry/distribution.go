package registry

import (
	"net/http"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// actionPush is the distribution's word for it, and ours where a registry has none.
const actionPush = "push"

// manifests are the media types of what a tag names; everything else that is pushed is a
// part of it.
var manifests = map[string]bool{
	"application/vnd.docker.distribution.manifest.v1+json":      true,
	"application/vnd.docker.distribution.manifest.v1+prettyjws": true,
	"application/vnd.docker.distribution.manifest.v2+json":      true,
	"application/vnd.docker.distribution.manifest.list.v2+json": true,
	"application/vnd.oci.image.manifest.v1+json":                true,
	"application/vnd.oci.image.index.v1+json":                   true,
}

// parseDistribution reads the envelope of a distribution registry, which is the same in
// both versions: https://distribution.github.io/distribution/about/notifications/
//
// The address of the registry is the one that the pusher used: request.host. Pushing the
// same again is another event, with another id.
func parseDistribution(_ http.Header, body []byte) (Notification, error) {
	envelope, err := delivery.Decode[struct {
		Events []struct {
			ID, Timestamp, Action string
			Target                struct{ MediaType, Digest, Repository, Tag string }
			Request               struct{ Host string }
			Actor                 struct{ Name string }
		}
	}]("the registry", body)
	if err != nil {
		return Notification{}, err
	}
	n := Notification{Event: "other", Nothing: nothingElse}
	for _, e := range envelope.Events {
		if e.Action != actionPush || !manifests[e.Target.MediaType] {
			continue
		}
		ref, ok := image(e.Request.Host, e.Target.Repository, e.Target.Tag, e.Target.Digest)
		if !ok {
			continue
		}
		id := delivery.ID(e.ID, []byte(e.ID))
		if e.ID == "" {
			id = idOf(e.Timestamp, ref.Repository, ref.Tag, ref.Digest)
		}
		if len(n.Pushes) == maxPushes {
			break
		}
		n.Pushes = append(n.Pushes, Push{Image: ref, ID: id, User: userName(e.Actor.Name)})
	}
	if len(n.Pushes) > 0 {
		n.Event, n.Nothing = actionPush, ""
	}
	return n, nil
}
