package registry

import (
	"regexp"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
)

// The grammar of image references (https://github.com/distribution/reference). What does
// not follow it is not taken over: it becomes variables of steps.
var (
	repositoryPattern = regexp.MustCompile(`^[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*$`)
	tagPattern        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	digestPattern     = regexp.MustCompile(`^[a-z0-9]+([.+_-][a-z0-9]+)*:[0-9a-f]{32,128}$`)
	hostPattern       = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
)

const (
	maxRepository = 255
	maxHost       = 253
	maxUser       = 256
	// maxPushes is how many pushes one notification may report. Registries send one; Quay
	// lists the tags of a push.
	maxPushes = 1000
)

// image is a pushed image; ok is false when it has no tag, or is no image. A host that
// image references could not tell from a part of the name is left out.
func image(host, repository, tag, digest string) (ref v1alpha1.ImageReference, ok bool) {
	if len(repository) > maxRepository || !repositoryPattern.MatchString(repository) || !tagPattern.MatchString(tag) {
		return ref, false
	}
	if digest != "" && !digestPattern.MatchString(digest) {
		digest = ""
	}
	if len(host) <= maxHost && hostPattern.MatchString(host) && (strings.ContainsAny(host, ".:") || host == "localhost") {
		repository = host + "/" + repository
	}
	return v1alpha1.ImageReference{Repository: repository, Tag: tag, Digest: digest}, true
}

// splitHost cuts the host off an image's address.
func splitHost(address string) (host, repository string) {
	if first, rest, ok := strings.Cut(address, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first, rest
	}
	return "", address
}

// idOf makes an id of what tells one push from another, "" when a part is missing that
// only differs between two pushes of one tag.
func idOf(when string, parts ...string) string {
	if when == "" {
		return ""
	}
	return "push-" + v1alpha1.ShortHash(append(parts, when)...)
}

func userName(s string) string { return delivery.Text(s, maxUser, false) }
