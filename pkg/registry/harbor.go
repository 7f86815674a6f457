package registry

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// Harbor's names of a pushed artifact in its two formats:
// https://goharbor.io/docs/latest/working-with-projects/project-configuration/configure-webhooks/
const (
	harborPush      = "PUSH_ARTIFACT"
	harborCloudPush = "harbor.artifact.pushed"
)

// harborData is the same in both formats: one repository, and what was pushed to it.
type harborData struct {
	Resources []struct {
		Digest, Tag string
		ResourceURL string `json:"resource_url"`
	}
	Repository struct {
		FullName string `json:"repo_full_name"`
	}
}

// parseHarbor understands the default format and CloudEvents. What its test button sends
// starts nothing. The default format has no id: when it happened is what tells two pushes
// of a tag apart.
func parseHarbor(_ http.Header, body []byte) (Notification, error) {
	b, err := delivery.Decode[struct {
		Type        string
		ID          string
		SpecVersion string
		OccurAt     any `json:"occur_at"`
		Operator    string
		EventData   harborData `json:"event_data"`
		Data        harborData
	}]("Harbor", body)
	if err != nil {
		return Notification{}, err
	}
	data, event := b.EventData, b.Type
	switch event {
	case harborPush:
	case harborCloudPush:
		data = b.Data
	default:
		return other(nothingElse), nil
	}
	n := Notification{Event: event, Nothing: nothingElse}
	for _, r := range data.Resources {
		host := ""
		if address, ok := strings.CutSuffix(r.ResourceURL, ":"+r.Tag); ok {
			host, _ = splitHost(address)
		}
		ref, ok := image(host, data.Repository.FullName, r.Tag, r.Digest)
		if !ok || len(n.Pushes) == maxPushes { // of an artifact without a tag, tag is its digest
			continue
		}
		id := ""
		switch {
		case event == harborCloudPush && b.ID != "":
			id = delivery.ID(b.ID, []byte(b.ID))
		case b.OccurAt != nil:
			id = idOf(fmt.Sprint(b.OccurAt), ref.Repository, ref.Tag, ref.Digest)
		}
		n.Pushes, n.Nothing = append(n.Pushes, Push{Image: ref, ID: id, User: userName(b.Operator)}), ""
	}
	return n, nil
}
