package scm

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// scpLike is git's short form of an ssh address: user@host:path (gitglossary; the
// first colon comes before any slash).
var scpLike = regexp.MustCompile(`^([^\s@/:]+)@([^\s:/]+):([^\s]+)$`)

// parseRepositoryURL parses the address of a repository; user@host:path becomes
// ssh://user@host/path.
func parseRepositoryURL(raw string) (*url.URL, error) {
	if m := scpLike.FindStringSubmatch(raw); m != nil {
		return &url.URL{Scheme: "ssh", User: url.User(m[1]), Host: m[2], Path: m[3]}, nil // without a leading slash it starts at the home directory
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return nil, errorf(KindInvalid, "parse repository URL: it is no URL") // the parser's text would show a password
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch u.Scheme {
	case "http", "https", "ssh", "git":
		if u.Hostname() == "" {
			return nil, errorf(KindInvalid, "parse repository URL: it names no host")
		}
	case "file":
	default:
		return nil, errorf(KindInvalid, "parse repository URL: scheme %q, wanted http, https, ssh, git or file", u.Scheme)
	}
	if strings.Trim(u.Path, "/") == "" {
		return nil, errorf(KindInvalid, "parse repository URL: it names no repository")
	}
	u.RawQuery, u.Fragment = "", ""
	return u, nil
}

// RepositoryKey is what two addresses of one repository have in common: host and
// path, in lower case, without scheme, login, default port and ".git". "" when raw is no
// repository address.
//
// A port that is not its scheme's default is kept for http and https, where it is
// another server, and dropped for ssh and git, where it is another door of the same
// one.
func RepositoryKey(raw string) string {
	u, err := parseRepositoryURL(raw)
	if err != nil {
		return ""
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if p := u.Port(); p != "" && (u.Scheme == "http" && p != "80" || u.Scheme == "https" && p != "443") {
		host += ":" + p
	}
	p := strings.ToLower(strings.Trim(u.Path, "/"))
	p = strings.TrimSuffix(strings.TrimSuffix(p, ".git"), "/")
	if u.Scheme == "file" {
		host = "file"
	}
	return host + "/" + p
}

// AtHost reports whether the repository at raw is at the host of a provider's url, by
// whatever door: scheme and port do not count.
func AtHost(raw, provider string) bool {
	repository, err := parseRepositoryURL(raw)
	if err != nil {
		return false
	}
	host, err := url.Parse(provider)
	if err != nil {
		return false
	}
	name := func(u *url.URL) string { return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".") }
	return name(host) != "" && name(host) == name(repository)
}

// SameRepository reports whether one of addresses is the repository at want.
func SameRepository(want string, addresses ...string) bool {
	w := RepositoryKey(want)
	if w == "" {
		return false
	}
	for _, a := range addresses {
		if RepositoryKey(a) == w {
			return true
		}
	}
	return false
}

// checkHost keeps a login for one host from being sent to another: over http the
// repository's address decides where it goes, and whoever may write that need not be the
// one who may read the login. (Over ssh the host keys decide.)
func (r Repository) checkHost(u *url.URL) error {
	if r.ProviderURL == "" || r.Credential == (Credential{}) || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	p, err := url.Parse(r.ProviderURL)
	if err != nil || !strings.EqualFold(p.Hostname(), u.Hostname()) {
		return errorf(KindInvalid, "open repository: it is at %s, its provider is not: the login is for the provider only", u.Hostname())
	}
	return nil
}

// webURL is the address of the host's web pages.
func (r Repository) webURL(u *url.URL) (*url.URL, error) {
	if r.ProviderURL != "" {
		p, err := url.Parse(r.ProviderURL)
		if err != nil || p.Host == "" {
			return nil, errorf(KindInvalid, "parse provider URL: it is no URL with a host")
		}
		if p.Scheme == "http" || p.Scheme == "https" {
			return &url.URL{Scheme: p.Scheme, Host: p.Host, Path: strings.TrimSuffix(p.Path, "/")}, nil
		}
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
	}
	return &url.URL{Scheme: "https", Host: u.Hostname()}, nil
}

// apiURL is the base that go-scm wants for the type of host: without the version
// path, which its drivers add, except for GitHub.
func (r Repository) apiURL(web *url.URL) (string, error) {
	if r.APIURL == "" {
		switch {
		case r.Type == v1alpha1.ProviderGitHub && strings.EqualFold(web.Hostname(), "github.com"):
			return "https://api.github.com", nil
		case r.Type == v1alpha1.ProviderGitHub: // GitHub Enterprise Server
			return web.String() + "/api/v3", nil
		case r.Type == v1alpha1.ProviderBitbucket && strings.EqualFold(web.Hostname(), "bitbucket.org"):
			return "https://api.bitbucket.org", nil
		}
		return web.String(), nil
	}
	a, err := url.Parse(r.APIURL)
	if err != nil || a.Host == "" || a.Scheme != "http" && a.Scheme != "https" {
		return "", errorf(KindInvalid, "parse API URL: it is no http or https URL")
	}
	base := strings.TrimSuffix((&url.URL{Scheme: a.Scheme, Host: a.Host, Path: a.Path}).String(), "/")
	for t, suffix := range map[v1alpha1.ProviderType]string{
		v1alpha1.ProviderGitLab: "/api/v4", v1alpha1.ProviderGitea: "/api/v1",
		v1alpha1.ProviderBitbucket: "/2.0", v1alpha1.ProviderBitbucketServer: "/rest/api/1.0",
	} {
		if r.Type == t {
			base = strings.TrimSuffix(base, suffix)
		}
	}
	return base, nil
}

// slug is the repository's name at its host: owner/name, or with groups at GitLab.
func (r Repository) slug(u, web *url.URL) (string, error) {
	p := strings.Trim(u.Path, "/")
	if prefix := strings.Trim(web.Path, "/"); prefix != "" && (u.Scheme == "http" || u.Scheme == "https") {
		p = strings.TrimPrefix(strings.TrimPrefix(p, prefix), "/")
	}
	p = strings.TrimSuffix(strings.TrimSuffix(p, ".git"), "/")
	parts := strings.Split(p, "/")
	if r.Type == v1alpha1.ProviderBitbucketServer {
		// https://host/scm/PROJECT/name.git, https://host/projects/PROJECT/repos/name
		switch {
		case len(parts) == 3 && parts[0] == "scm":
			parts = parts[1:]
		case len(parts) >= 4 && parts[0] == "projects" && parts[2] == "repos":
			parts = []string{parts[1], parts[3]}
		case len(parts) >= 4 && parts[0] == "users" && parts[2] == "repos":
			parts = []string{"~" + parts[1], parts[3]}
		}
	}
	if len(parts) < 2 || len(parts) > 2 && r.Type != v1alpha1.ProviderGitLab {
		return "", errorf(KindInvalid, "find the repository's name in path %q: wanted owner/name", u.Path)
	}
	for i, part := range parts {
		if part == "" || part == "." || part == ".." {
			return "", errorf(KindInvalid, "find the repository's name in path %q: wanted owner/name", u.Path)
		}
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/"), nil
}
