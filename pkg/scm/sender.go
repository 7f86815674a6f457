package scm

import (
	"net/http"
	"slices"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Sender is one kind of host that delivers webhooks. Which one a delivery comes from
// is known from the address that it was sent to, never from its headers, which
// anything on the way may add.
//
// Verify comes before Parse: nothing of a body is looked at before it is known to be
// authentic.
type Sender struct {
	// Type of the host.
	Type v1alpha1.ProviderType
	// Events are the host's names of the events that are understood: with "other", all
	// that Delivery.Event may be.
	Events []string
	// Verify reports nil when one of keys proves that the host sent body. delivery.ErrNoKey: no key
	// is usable, so nothing can be accepted. It takes as long for a wrong signature as for
	// a right one. now matters to a host that signs the time.
	Verify func(keys [][]byte, header http.Header, body []byte, now time.Time) error
	// Parse says what a verified delivery reports: usually one event, at some hosts
	// several, none when the kind of event starts nothing. Its errors are those of a body
	// that is not what the host documents.
	Parse func(header http.Header, body []byte) (Delivery, error)
	// ProvesID is true when the delivery's id can be trusted as much as its body. Where it
	// comes in a header beside a signature of the body alone, whoever captured a delivery
	// may send it again under another id.
	ProvesID bool
}

// senders lists the hosts whose webhooks are understood: a new host is a new row and
// a file beside sender_github.go.
func senders() []Sender {
	github := Sender{Type: v1alpha1.ProviderGitHub, Events: githubEvents(), Verify: verifyGitHub, Parse: parseGitHub}
	// A host that is just Git has no webhook of its own. What people put in a hook of the
	// repository there (post-receive with curl) speaks GitHub's format, signed as GitHub does.
	git := github
	git.Type = v1alpha1.ProviderGit
	return []Sender{
		github,
		{Type: v1alpha1.ProviderGitLab, Events: gitlabEvents(), Verify: verifyGitLab, Parse: parseGitLab, ProvesID: true},
		{Type: v1alpha1.ProviderGitea, Events: giteaEvents(), Verify: verifyGitea, Parse: parseGitea},
		{Type: v1alpha1.ProviderBitbucket, Events: bitbucketEvents(), Verify: verifyBitbucket, Parse: parseBitbucket},
		{Type: v1alpha1.ProviderBitbucketServer, Events: bitbucketServerEvents(), Verify: verifyBitbucket, Parse: parseBitbucketServer},
		git,
	}
}

// EventNames are the events that any host's sender understands.
func EventNames() []string {
	var names []string
	for _, s := range senders() {
		names = append(names, s.Events...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// SenderOf finds the row of a host. "" is a host that is just Git.
func SenderOf(t v1alpha1.ProviderType) (Sender, bool) {
	if t == "" {
		t = v1alpha1.ProviderGit
	}
	for _, s := range senders() {
		if s.Type == t {
			return s, true
		}
	}
	return Sender{}, false
}

// Delivery is one webhook request, understood.
type Delivery struct {
	// ID of the delivery; a redelivery has the same.
	ID string
	// Event is the host's name of the event, one of a closed set, or "other".
	Event string
	// Events that it reports.
	Events []HookEvent
	// Nothing says why there are no Events.
	Nothing string
}

// HookKind is what happened.
type HookKind string

// The kinds of HookEvent.
const (
	HookPush   HookKind = "push"   // a branch has new commits, or is new
	HookTag    HookKind = "tag"    // a tag is new, or moved
	HookDelete HookKind = "delete" // a branch or tag is gone
	HookPing   HookKind = "ping"   // the host tries the webhook

	// HookPullRequest: a pull (merge) request is new, open again, or has new commits.
	HookPullRequest HookKind = "pull_request"
)

// HookEvent is one thing that a delivery reports, in the same shape whoever sent it.
type HookEvent struct {
	Kind HookKind
	// Ref is the full name (refs/heads/main); Branch or Tag its short one. Of a pull
	// request, Ref is where its own repository keeps the head, Branch the target.
	Ref, Branch, Tag string
	// Before and After are full commit ids; Before is "" for a new ref, After for one that
	// is gone. After is also "" when the host does not tell the commit: then it is what Ref
	// names. Of a pull request, After is the head.
	Before, After string
	// PullRequest says which one it is.
	PullRequest *v1alpha1.PullRequest
	// Key tells the event from others in place of the delivery's id, where the host reports
	// one thing in several deliveries.
	Key string
	// Addresses under which the host knows the repository: to compare, never to call.
	Addresses []string
	// Name of the repository at its host (project/name), where no addresses are sent.
	Name string
	// Paths are the changed files. PathsComplete is true when they are known to be all of
	// them; when not, a filter on paths must let the event pass.
	Paths         []string
	PathsComplete bool
	// Message and Author of the newest commit; Sender is who pushed; HTMLURL shows the
	// change. All are made fit to be shown.
	Message, Author, Sender, HTMLURL string
	// Nothing, when set, says why the event starts no run whatever the pipelines want:
	// something is gone, nothing changed, the commit asks not to.
	Nothing string
}
