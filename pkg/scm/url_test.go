package scm

import (
	"strings"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestSameRepositoryComparesHostAndPath(t *testing.T) {
	for name, c := range map[string]struct {
		a, b string
		want bool
	}{
		"https and its .git form":           {"https://github.com/acme/shop", "https://github.com/acme/shop.git", true},
		"https and ssh":                     {"https://github.com/acme/shop.git", "ssh://git@github.com/acme/shop", true},
		"https and scp form":                {"https://github.com/acme/shop", "git@github.com:acme/shop.git", true},
		"case":                              {"https://GitHub.com/Acme/Shop", "https://github.com/acme/shop", true},
		"a default port":                    {"https://git.org:443/a/b", "https://git.org/a/b", true},
		"a login":                           {"https://u:p@git.org/a/b", "https://git.org/a/b/", true},
		"ssh on another port":               {"ssh://git@git.org:2222/a/b.git", "https://git.org/a/b", true},
		"http on another port":              {"http://git.org:3000/a/b", "http://git.org/a/b", false},
		"another name":                      {"https://github.com/acme/shop", "https://github.com/acme/shop2", false},
		"another host":                      {"https://github.com/acme/shop", "https://github.com.evil.org/acme/shop", false},
		"a path that only ends the same":    {"https://github.com/acme/shop", "https://github.com/x/acme/shop", false},
		"no URL":                            {"https://github.com/acme/shop", "", false},
		"two that are no URLs":              {"", "", false},
		"a user that looks like the host":   {"https://github.com/acme/shop", "https://github.com@evil.org/acme/shop", false},
		"a fragment that looks like a path": {"https://github.com/acme/shop", "https://evil.org/#github.com/acme/shop", false},
	} {
		if got := SameRepository(c.a, c.b); got != c.want {
			t.Errorf("%s: SameRepository(%q, %q) = %v, want %v (%q, %q)", name, c.a, c.b, got, c.want, RepositoryKey(c.a), RepositoryKey(c.b))
		}
	}
}

func TestAPIAddressAndNameOfARepository(t *testing.T) {
	for name, c := range map[string]struct {
		repo      Repository
		api, slug string
	}{
		"github.com":                      {Repository{URL: "https://github.com/a/b.git", Type: v1alpha1.ProviderGitHub}, "https://api.github.com", "a/b"},
		"github.com over ssh":             {Repository{URL: "git@github.com:a/b.git", Type: v1alpha1.ProviderGitHub}, "https://api.github.com", "a/b"},
		"GitHub Enterprise":               {Repository{URL: "https://ghe.org/a/b", Type: v1alpha1.ProviderGitHub}, "https://ghe.org/api/v3", "a/b"},
		"an API URL with its version":     {Repository{URL: "https://git.org/a/b", APIURL: "https://git.org/api/v4/", Type: v1alpha1.ProviderGitLab}, "https://git.org", "a/b"},
		"subgroups":                       {Repository{URL: "https://gitlab.com/a/b/c/d", Type: v1alpha1.ProviderGitLab}, "https://gitlab.com", "a/b/c/d"},
		"a host under a path":             {Repository{URL: "https://x.org/gitea/a/b.git", ProviderURL: "https://x.org/gitea/", Type: v1alpha1.ProviderGitea}, "https://x.org/gitea", "a/b"},
		"a host under a path, over ssh":   {Repository{URL: "ssh://git@x.org/a/b.git", ProviderURL: "https://x.org/gitea", Type: v1alpha1.ProviderGitea}, "https://x.org/gitea", "a/b"},
		"bitbucket.org":                   {Repository{URL: "https://bitbucket.org/a/b", Type: v1alpha1.ProviderBitbucket}, "https://api.bitbucket.org", "a/b"},
		"Bitbucket Server's clone URL":    {Repository{URL: "https://bb.org/scm/PRJ/b.git", Type: v1alpha1.ProviderBitbucketServer}, "https://bb.org", "PRJ/b"},
		"Bitbucket Server's web URL":      {Repository{URL: "https://bb.org/projects/PRJ/repos/b", Type: v1alpha1.ProviderBitbucketServer}, "https://bb.org", "PRJ/b"},
		"Bitbucket Server's ssh URL":      {Repository{URL: "ssh://git@bb.org:7999/PRJ/b.git", Type: v1alpha1.ProviderBitbucketServer}, "https://bb.org", "PRJ/b"},
		"Bitbucket Server's user project": {Repository{URL: "https://bb.org/scm/~ann/b.git", Type: v1alpha1.ProviderBitbucketServer}, "https://bb.org", "~ann/b"},
	} {
		u, err := parseRepositoryURL(c.repo.URL)
		if err != nil {
			t.Fatal(err)
		}
		web, err := c.repo.webURL(u)
		if err != nil {
			t.Fatal(err)
		}
		api, err := c.repo.apiURL(web)
		if err != nil || api != c.api {
			t.Errorf("%s: API at %q, %v, want %q", name, api, err, c.api)
		}
		if slug, err := c.repo.slug(u, web); err != nil || slug != c.slug {
			t.Errorf("%s: name %q, %v, want %q", name, slug, err, c.slug)
		}
	}
	for _, bad := range []string{"https://github.com/a", "https://github.com/a/b/c", "https://github.com/a/../b", "https://github.com/a//b"} {
		repo := Repository{URL: bad, Type: v1alpha1.ProviderGitHub}
		if _, err := NewReader(Options{}).Resolve(t.Context(), repo, "main"); KindOf(err) != KindInvalid {
			t.Errorf("%s: %v, want Invalid", bad, err)
		}
	}
}

func TestReaderRefusesWhatNoHostShouldSee(t *testing.T) {
	r := NewReader(Options{})
	repo := Repository{URL: "https://127.0.0.1:1/a/b"}
	for _, ref := range []string{"", "a..b", "-x", "a b", "a\nb", "a@{1}", "refs/heads/.x", "x.lock", "a:b", "a//b", "a\\b"} {
		if _, err := r.Resolve(t.Context(), repo, ref); KindOf(err) != KindInvalid {
			t.Errorf("Resolve(%q): %v, want Invalid", ref, err)
		}
	}
	for _, p := range []string{"", "/etc/passwd", "../x", "a/../../x", "a/./b", "a\x00b"} {
		if _, _, err := r.File(t.Context(), repo, headCommit, []string{p}); KindOf(err) != KindInvalid {
			t.Errorf("File(%q): %v, want Invalid", p, err)
		}
	}
	for _, u := range []string{"ext::sh -c id", "/etc", "javascript:x", "https://", "https://u:s3cr3t@host/%zz", "ftp://a/b"} {
		_, err := r.Resolve(t.Context(), Repository{URL: u}, "main")
		if KindOf(err) != KindInvalid || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("URL %q: %v, want Invalid and no password", u, err)
		}
	}
}
