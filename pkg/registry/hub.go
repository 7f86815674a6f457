package registry

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// hubPayload is what Docker Hub sends, and Aliyun after its example:
// https://docs.docker.com/docker-hub/repos/manage/webhooks/. Docker Hub's callback_url is
// never called. (webhooks/v6 rounds pushed_at, takes {} for a push, and knows no digest.)
type hubPayload struct {
	PushData struct {
		Tag, Pusher, Digest string
		PushedAt            json.RawMessage `json:"pushed_at"` // a number or a text
	} `json:"push_data"`
	Repository struct {
		RepoName string `json:"repo_name"`      // Docker Hub
		FullName string `json:"repo_full_name"` // Aliyun
		Region   string
	}
}

func parseDockerHub(_ http.Header, body []byte) (Notification, error) {
	p, err := delivery.Decode[hubPayload]("Docker Hub", body)
	if err != nil {
		return Notification{}, err
	}
	return p.notification("docker.io", p.Repository.RepoName), nil
}

// parseAliyun: https://help.aliyun.com/zh/acr/user-guide/manage-webhooks. The public
// address of a region's registry is made of its name; an instance of one's own has
// another, which is not told.
func parseAliyun(_ http.Header, body []byte) (Notification, error) {
	p, err := delivery.Decode[hubPayload]("Aliyun", body)
	if err != nil {
		return Notification{}, err
	}
	host := ""
	if r := p.Repository.Region; r != "" && hostPattern.MatchString(r) {
		host = "registry." + r + ".aliyuncs.com"
	}
	return p.notification(host, p.Repository.FullName), nil
}

func (p *hubPayload) notification(host, repository string) Notification {
	ref, ok := image(host, repository, p.PushData.Tag, p.PushData.Digest)
	if !ok {
		return other(nothingElse)
	}
	when := string(p.PushData.PushedAt)
	if when == "null" {
		when = ""
	}
	return Notification{Event: actionPush, Pushes: []Push{{
		Image: ref, ID: idOf(when, ref.Repository, ref.Tag, ref.Digest), User: userName(p.PushData.Pusher),
	}}}
}

// parseQuay: https://docs.quay.io/guides/notifications.html. It tells neither a digest nor
// a time nor an id: a notification that comes again cannot be told from another push.
func parseQuay(_ http.Header, body []byte) (Notification, error) {
	p, err := delivery.Decode[struct {
		Repository  string
		DockerURL   string          `json:"docker_url"`
		UpdatedTags json.RawMessage `json:"updated_tags"`
	}]("Quay", body)
	if err != nil {
		return Notification{}, err
	}
	var tags []string
	if len(p.UpdatedTags) > 0 && json.Unmarshal(p.UpdatedTags, &tags) != nil {
		byTag := map[string]any{} // of older versions: the image of each
		if json.Unmarshal(p.UpdatedTags, &byTag) != nil {
			return Notification{}, errors.New("the body is not what Quay documents: updated_tags")
		}
		tags = slices.Sorted(maps.Keys(byTag))
	}
	host, repository := splitHost(p.DockerURL)
	if repository == "" {
		host, repository = "", p.Repository
	}
	n := Notification{Event: actionPush}
	for _, tag := range tags {
		if ref, ok := image(host, repository, tag, ""); ok && len(n.Pushes) < maxPushes {
			n.Pushes = append(n.Pushes, Push{Image: ref})
		}
	}
	if len(n.Pushes) == 0 {
		return other(nothingElse), nil
	}
	return n, nil
}
