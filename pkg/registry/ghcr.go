package registry

import (
	"errors"
	"net/http"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// GitHub's registry has webhooks of a repository or organisation (package) and of an app
// (registry_package): https://docs.github.com/webhooks/webhook-events-and-payloads#package
const (
	ghcrPackage         = "package"
	ghcrRegistryPackage = "registry_package"
	ghcrPing            = "ping"
)

func verifyGHCR(keys [][]byte, header http.Header, path string, body []byte) error {
	err := delivery.VerifyHeader(keys, header, "X-Hub-Signature-256", body)
	if path != "" {
		return delivery.ErrSignature
	}
	return err
}

// ghcrPackagePayload is a package of any kind: an image has container metadata.
type ghcrPackagePayload struct {
	Name, Namespace string
	PackageVersion  *struct {
		Version    string
		PackageURL string `json:"package_url"`
		Container  *struct {
			Tag struct{ Name, Digest string }
		} `json:"container_metadata"`
	} `json:"package_version"`
}

// parseGHCR takes the id of GitHub's delivery: it is the same when the delivery is sent
// again.
func parseGHCR(header http.Header, body []byte) (Notification, error) {
	event := delivery.Header(header, "X-GitHub-Event")
	if event == "" {
		return Notification{}, errors.New("the header X-GitHub-Event is missing")
	}
	if event == ghcrPing {
		return Notification{Event: ghcrPing, Nothing: "a ping: the webhook works"}, nil
	}
	if event != ghcrPackage && event != ghcrRegistryPackage {
		return other("events of this kind start nothing; understood are package and registry_package"), nil
	}
	b, err := delivery.Decode[struct {
		Action          string
		Package         *ghcrPackagePayload
		RegistryPackage *ghcrPackagePayload `json:"registry_package"`
		Sender          struct{ Login string }
	}]("GitHub", body)
	if err != nil {
		return Notification{}, err
	}
	p := b.Package
	if event == ghcrRegistryPackage {
		p = b.RegistryPackage
	}
	n := Notification{Event: event, Nothing: nothingElse}
	if p == nil || p.PackageVersion == nil || p.PackageVersion.Container == nil || b.Action != "published" && b.Action != "updated" {
		return n, nil
	}
	// The address ends in the tag, or in a colon without one.
	tag := p.PackageVersion.Container.Tag
	host, repository := splitHost(strings.TrimSuffix(strings.TrimSuffix(p.PackageVersion.PackageURL, tag.Name), ":"))
	if host == "" {
		host, repository = "ghcr.io", p.Namespace+"/"+p.Name
	}
	digest := tag.Digest
	if digest == "" {
		digest = p.PackageVersion.Version
	}
	ref, ok := image(host, strings.ToLower(repository), tag.Name, digest)
	if !ok {
		return n, nil
	}
	n.Pushes, n.Nothing = []Push{{Image: ref, ID: delivery.ID(delivery.Header(header, "X-GitHub-Delivery"), body), User: userName(b.Sender.Login)}}, ""
	return n, nil
}
