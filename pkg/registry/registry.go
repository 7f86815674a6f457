package registry

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// Sender is one kind of registry that sends notifications. Verify comes before Parse:
// nothing of a body is looked at before it is known to be authentic.
type Sender struct {
	// Type of the registry.
	Type v1alpha1.RegistryType
	// Events are the registry's names of the events that are understood: with "other", all
	// that Notification.Event may be.
	Events []string
	// MediaTypes that its bodies come in.
	MediaTypes []string
	// Verify reports nil when one of keys proves that the registry sent body. path is what
	// follows the registry's word in the address, "" when nothing does.
	Verify func(keys [][]byte, header http.Header, path string, body []byte) error
	// Parse says which pushes a verified notification reports. Its errors are those of a
	// body that is not what the registry documents.
	Parse func(header http.Header, body []byte) (Notification, error)
	// Patience is how long the registry waits for the answer.
	Patience time.Duration
	// ProvesID is true when the ids of pushes can be trusted as much as the body. Where they
	// come in a header beside a signature of the body alone, whoever captured a notification
	// may send it again under another id.
	ProvesID bool
	// Insists is true for a registry that sends a notification again for ever, and all
	// later ones after it, until it is answered with success.
	Insists bool
}

// Notification is one request of a registry, understood.
type Notification struct {
	// Event is the registry's name of the event, one of a closed set, or "other".
	Event string
	// Pushes that it reports.
	Pushes []Push
	// Nothing says why there are no Pushes.
	Nothing string
}

// Push is a tag that was pushed.
type Push struct {
	// Image with its registry's host, where that is told, and its digest, likewise.
	Image v1alpha1.ImageReference
	// ID of the push; a notification that is sent again has the same. "": the registry tells
	// nothing that would tell one push of a tag from the next.
	ID string
	// User who pushed, as the registry reports it.
	User string
}

// How long registries wait for an answer, with some time to spare.
const (
	patienceDistribution = 800 * time.Millisecond // https://distribution.github.io/distribution/about/notifications/: 1s by default
	patienceHarbor       = 2500 * time.Millisecond
	patienceOther        = 8 * time.Second
)

const mediaJSON = "application/json"

// senders lists the registries whose notifications are understood: a new one is a new row
// and a file.
func senders() []Sender {
	distribution := []string{mediaJSON, "application/vnd.docker.distribution.events.v1+json", "application/vnd.docker.distribution.events.v2+json"}
	return []Sender{
		{Type: v1alpha1.RegistryDistribution, Events: []string{actionPush}, MediaTypes: distribution, Verify: verifyHeader, Parse: parseDistribution, Patience: patienceDistribution, ProvesID: true, Insists: true},
		// GitLab's registry is the distribution with another database.
		{Type: v1alpha1.RegistryGitLab, Events: []string{actionPush}, MediaTypes: distribution, Verify: verifyHeader, Parse: parseDistribution, Patience: patienceDistribution, ProvesID: true, Insists: true},
		{Type: v1alpha1.RegistryHarbor, Events: []string{harborPush, harborCloudPush}, MediaTypes: []string{mediaJSON, "application/cloudevents+json"}, Verify: verifyHeader, Parse: parseHarbor, Patience: patienceHarbor, ProvesID: true},
		{Type: v1alpha1.RegistryDockerHub, Events: []string{actionPush}, MediaTypes: []string{mediaJSON}, Verify: verifyPath, Parse: parseDockerHub, Patience: patienceOther, ProvesID: true},
		{Type: v1alpha1.RegistryQuay, Events: []string{actionPush}, MediaTypes: []string{mediaJSON}, Verify: verifyPath, Parse: parseQuay, Patience: patienceOther, ProvesID: true},
		{Type: v1alpha1.RegistryAliyun, Events: []string{actionPush}, MediaTypes: []string{mediaJSON}, Verify: verifyEither, Parse: parseAliyun, Patience: patienceOther, ProvesID: true},
		{Type: v1alpha1.RegistryGHCR, Events: []string{ghcrPackage, ghcrRegistryPackage, ghcrPing}, MediaTypes: []string{mediaJSON}, Verify: verifyGHCR, Parse: parseGHCR, Patience: patienceOther},
	}
}

// SenderOf finds the row of a registry by its type as a word of an address: in lower case.
func SenderOf(word string) (Sender, bool) {
	for _, s := range senders() {
		if Word(s.Type) == word {
			return s, true
		}
	}
	return Sender{}, false
}

// Word is how a registry's type is written in an address.
func Word(t v1alpha1.RegistryType) string { return strings.ToLower(string(t)) }

// EventNames are the events that any registry's sender understands.
func EventNames() []string {
	var names []string
	for _, s := range senders() {
		names = append(names, s.Events...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// verifyHeader takes a token in the header Authorization, by itself or after "Bearer":
// what the registry was told to send.
func verifyHeader(keys [][]byte, header http.Header, path string, _ []byte) error {
	value := delivery.Header(header, "Authorization")
	bearer := ""
	if scheme, rest, ok := strings.Cut(value, " "); ok && strings.EqualFold(scheme, "Bearer") {
		bearer = strings.TrimSpace(rest)
	}
	whole, part := delivery.VerifyToken(keys, value), delivery.VerifyToken(keys, bearer)
	if path != "" {
		return delivery.ErrSignature // an address that nobody was told to enter
	}
	if part == nil {
		return nil
	}
	return whole
}

// verifyPath takes a token as the last part of the address: these registries sign nothing
// and send no header of one's own.
func verifyPath(keys [][]byte, _ http.Header, path string, _ []byte) error {
	return delivery.VerifyToken(keys, path)
}

// verifyEither is for a registry of which only some editions can send a header.
func verifyEither(keys [][]byte, header http.Header, path string, body []byte) error {
	if path != "" {
		return verifyPath(keys, header, path, body)
	}
	return verifyHeader(keys, header, path, body)
}

// other is a notification that nothing is made of.
func other(why string) Notification { return Notification{Event: "other", Nothing: why} }

const nothingElse = "only a pushed manifest with a tag starts runs"
