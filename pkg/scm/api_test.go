package scm

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

const (
	headCommit = "1111111111111111111111111111111111111111"
	tagCommit  = "2222222222222222222222222222222222222222"
	tagObject  = "3333333333333333333333333333333333333333" // of the annotated tag, not a commit
	noCommit   = "9999999999999999999999999999999999999999"
)

// fakeAPI answers as a host's API does, for one repository acme/shop (acme/team/shop
// at GitLab) with branch feature/a#1, annotated tag v1.0 and a file. It knows requests by
// their escaped path and query.
type fakeAPI struct {
	mu      sync.Mutex
	answers map[string]any // string: raw; else JSON
	auth    string         // wanted Authorization
	asked   []string
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.RequestURI())
	f.mu.Unlock()
	if f.auth != "" && r.Header.Get("Authorization") != f.auth {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"message":"Bad credentials"}`)
		return
	}
	answer, ok := f.answers[r.URL.RequestURI()]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"Not Found"}`)
		return
	}
	if raw, ok := answer.(string); ok {
		_, _ = io.WriteString(w, raw)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

type object = map[string]any

func base64File(s string) object {
	return object{"content": base64.StdEncoding.EncodeToString([]byte(s)), "encoding": "base64", "sha": "feed", "blob_id": "feed"}
}

// apiHosts: for each host what a repository answers, by the documents of its API.
var apiHosts = map[v1alpha1.ProviderType]struct {
	url, apiURL string // appended to the server's address
	auth        string
	answers     map[string]any
}{
	v1alpha1.ProviderGitHub: {url: "/acme/shop.git", auth: "Bearer tok-en", answers: map[string]any{
		"/api/v3/repos/acme/shop":                                                  object{"id": 1, "name": "shop", "owner": object{"login": "acme"}},
		"/api/v3/repos/acme/shop/commits/heads/feature/a%231":                      object{"sha": headCommit},
		"/api/v3/repos/acme/shop/commits/tags/v1.0":                                object{"sha": tagCommit},
		"/api/v3/repos/acme/shop/commits/" + headCommit:                            object{"sha": headCommit},
		"/api/v3/repos/acme/shop/contents/ci/.pipe%20line.yml?ref=" + headCommit:   base64File("stages: []\n"),
		"/api/v3/repos/acme/shop/contents/empty?ref=" + headCommit:                 object{"content": "", "sha": emptyBlob},
		"/api/v3/repos/acme/shop/contents/huge?ref=" + headCommit:                  object{"content": "", "encoding": "none", "sha": "feed"},
		"/api/v3/repos/acme/shop/contents/large?ref=" + headCommit:                 base64File(strings.Repeat("x", 300<<10)),
		"/api/v3/repos/acme/shop/contents/huge.json?ref=" + headCommit:             strings.Repeat(" ", 8<<20),
		"/api/v3/repos/acme/shop/git/this-is-not-asked-for-but-shows-the-base-url": object{},
	}},
	v1alpha1.ProviderGitLab: {url: "/acme/team/shop.git", apiURL: "/api/v4", auth: "Bearer tok-en", answers: map[string]any{
		"/api/v4/projects/acme%2Fteam%2Fshop":                                                              object{"id": 1},
		"/api/v4/projects/acme%2Fteam%2Fshop/repository/branches/feature%2Fa%231":                          object{"name": "feature/a#1", "commit": object{"id": headCommit}},
		"/api/v4/projects/acme%2Fteam%2Fshop/repository/tags/v1.0":                                         object{"name": "v1.0", "target": tagObject, "commit": object{"id": tagCommit}},
		"/api/v4/projects/acme%2Fteam%2Fshop/repository/commits/" + headCommit:                             object{"id": headCommit},
		"/api/v4/projects/acme%2Fteam%2Fshop/repository/files/ci%2F%2Epipe%20line%2Eyml?ref=" + headCommit: base64File("stages: []\n"),
		"/api/v4/projects/acme%2Fteam%2Fshop/repository/files/empty?ref=" + headCommit:                     base64File(""),
		"/api/v4/projects/acme%2Fteam%2Fshop/repository/files/large?ref=" + headCommit:                     base64File(strings.Repeat("x", 300<<10)),
		"/api/v4/projects/acme%2Fteam%2Fshop/repository/files/huge%2Ejson?ref=" + headCommit:               strings.Repeat(" ", 8<<20),
	}},
	v1alpha1.ProviderGitea: {url: "/acme/shop.git", auth: "token tok-en", answers: map[string]any{
		"/api/v1/repos/acme/shop":                                            object{"id": 1},
		"/api/v1/repos/acme/shop/branches/feature/a%231":                     object{"name": "feature/a#1", "commit": object{"id": headCommit}},
		"/api/v1/repos/acme/shop/git/refs/tags/v1.0":                         []object{{"ref": "refs/tags/v1.0", "object": object{"sha": tagObject}}},
		"/api/v1/repos/acme/shop/git/commits/v1.0":                           object{"sha": tagCommit},
		"/api/v1/repos/acme/shop/git/commits/" + headCommit:                  object{"sha": headCommit},
		"/api/v1/repos/acme/shop/raw/" + headCommit + "/ci/.pipe%20line.yml": "stages: []\n",
		"/api/v1/repos/acme/shop/raw/" + headCommit + "/empty":               "",
		"/api/v1/repos/acme/shop/raw/" + headCommit + "/large":               strings.Repeat("x", 300<<10),
		"/api/v1/repos/acme/shop/raw/" + headCommit + "/huge.json":           strings.Repeat(" ", 8<<20),
	}},
	v1alpha1.ProviderBitbucket: {url: "/acme/shop.git", apiURL: "/2.0", auth: "Bearer tok-en", answers: map[string]any{
		"/2.0/repositories/acme/shop":                                                        object{"uuid": "{1}", "full_name": "acme/shop"},
		"/2.0/repositories/acme/shop/refs/branches/feature/a%231":                            object{"name": "feature/a#1", "target": object{"hash": headCommit}},
		"/2.0/repositories/acme/shop/refs/tags/v1.0":                                         object{"name": "v1.0", "target": object{"hash": tagCommit}},
		"/2.0/repositories/acme/shop/commit/" + headCommit:                                   object{"hash": headCommit},
		"/2.0/repositories/acme/shop/src/" + headCommit + "/ci/.pipe%20line.yml":             "stages: []\n",
		"/2.0/repositories/acme/shop/src/" + headCommit + "/ci/.pipe%20line.yml?format=meta": object{"commit": object{"hash": headCommit}},
		"/2.0/repositories/acme/shop/src/" + headCommit + "/empty":                           "",
		"/2.0/repositories/acme/shop/src/" + headCommit + "/large":                           strings.Repeat("x", 300<<10),
		"/2.0/repositories/acme/shop/src/" + headCommit + "/huge.json":                       strings.Repeat(" ", 8<<20),
	}},
	v1alpha1.ProviderBitbucketServer: {url: "/scm/acme/shop.git", auth: "Bearer tok-en", answers: map[string]any{
		"/rest/api/1.0/projects/acme/repos/shop":                                              object{"id": 1, "slug": "shop", "project": object{"key": "acme"}},
		"/rest/api/1.0/projects/acme/repos/shop/permissions/users?filter=":                    object{},
		"/rest/api/1.0/projects/acme/repos/shop/commits?until=refs%2Fheads%2Ffeature%2Fa%231": object{"values": []object{{"id": headCommit}, {"id": noCommit}}},
		"/rest/api/1.0/projects/acme/repos/shop/commits?until=refs%2Ftags%2Fv1.0":             object{"values": []object{{"id": tagCommit}}},
		"/rest/api/1.0/projects/acme/repos/shop/commits/" + headCommit:                        object{"id": headCommit},
		"/rest/api/1.0/projects/acme/repos/shop/raw/ci/.pipe%20line.yml?at=" + headCommit:     "stages: []\n",
		"/rest/api/1.0/projects/acme/repos/shop/raw/empty?at=" + headCommit:                   "",
		"/rest/api/1.0/projects/acme/repos/shop/raw/large?at=" + headCommit:                   strings.Repeat("x", 300<<10),
		"/rest/api/1.0/projects/acme/repos/shop/raw/huge.json?at=" + headCommit:               strings.Repeat(" ", 8<<20),
	}},
}

func TestAPIReads(t *testing.T) {
	for typ, host := range apiHosts {
		t.Run(string(typ), func(t *testing.T) {
			api := &fakeAPI{answers: host.answers, auth: host.auth}
			srv := httptest.NewServer(api)
			t.Cleanup(srv.Close)
			repo := Repository{URL: srv.URL + host.url, Type: typ, Credential: Credential{Token: "tok-en"}}
			if host.apiURL != "" {
				repo.APIURL = srv.URL + host.apiURL
			}
			r := NewReader(Options{})
			ctx := t.Context()
			for ref, want := range map[string]string{
				"refs/heads/feature/a#1": headCommit, "feature/a#1": headCommit, "refs/tags/v1.0": tagCommit, "v1.0": tagCommit,
			} {
				if got, err := r.Resolve(ctx, repo, ref); err != nil || got != want {
					t.Errorf("Resolve(%q) = %q, %v, want %q", ref, got, err, want)
				}
			}
			if _, err := r.Resolve(ctx, repo, "nope"); !IsNotFound(err, MissingRef) {
				t.Errorf("Resolve of a missing ref: %v", err)
			}
			for path, want := range map[string]string{"ci/.pipe line.yml": "stages: []\n", "empty": ""} {
				p, got, err := r.File(ctx, repo, headCommit, []string{"nope.yml", path})
				if err != nil || got != want || p != path {
					t.Errorf("File(%q) = %q, %q, %v, want %q", path, p, got, err, want)
				}
			}
			if _, _, err := r.File(ctx, repo, headCommit, []string{"nope.yml"}); !IsNotFound(err, MissingFile) {
				t.Errorf("a missing file: %v", err)
			}
			if _, _, err := r.File(ctx, repo, noCommit, []string{"nope.yml"}); !IsNotFound(err, MissingCommit) {
				t.Errorf("a missing commit: %v", err)
			}
			large := []string{"large", "huge.json"}
			if typ == v1alpha1.ProviderGitHub {
				large = append(large, "huge")
			}
			for _, p := range large {
				if _, _, err := r.File(ctx, repo, headCommit, []string{p}); KindOf(err) != KindTooLarge {
					t.Errorf("File(%q): %v, want TooLarge", p, err)
				}
			}
			other := repo
			other.URL = strings.Replace(repo.URL, "shop.git", "other.git", 1)
			if _, _, err := r.File(ctx, other, headCommit, []string{"x"}); !IsNotFound(err, MissingRepository) {
				t.Errorf("a missing repository: %v", err)
			}
			wrong := repo
			wrong.Credential.Token = "wr0ng-token"
			if _, _, err := r.File(ctx, wrong, headCommit, []string{"x"}); KindOf(err) != KindUnauthorized {
				t.Errorf("a wrong token: %v, want Unauthorized", err)
			}
			if t.Failed() {
				t.Logf("asked:\n%s", strings.Join(api.asked, "\n"))
			}
		})
	}
}

func TestAPIErrorsHaveAKind(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		want   Kind
		text   string
	}{
		"a server error": {func(w http.ResponseWriter) { w.WriteHeader(502) }, KindUnreachable, "HTTP 502"},
		"forbidden":      {func(w http.ResponseWriter) { w.WriteHeader(403) }, KindUnauthorized, "HTTP 403"},
		"a rate limit": {func(w http.ResponseWriter) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", "1700000000")
			w.WriteHeader(403)
		}, KindUnreachable, "until 2023-11-14T22:13:20Z"},
		"too many requests": {func(w http.ResponseWriter) { w.Header().Set("Retry-After", "7"); w.WriteHeader(429) }, KindUnreachable, "retry after 7 s"},
		"an HTML page":      {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") }, KindUnreachable, "not what"},
		"no id in it":       {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"sha":"short"}`) }, KindUnreachable, "full commit id"},
		"an echo of a token": {func(w http.ResponseWriter) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, `{"message":"no tok-en-123\nhere"}`)
		}, KindUnreachable, "no *** here"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }))
			t.Cleanup(srv.Close)
			_, err := NewReader(Options{}).Resolve(t.Context(), Repository{URL: srv.URL + "/a/b", Type: v1alpha1.ProviderGitHub, Credential: Credential{Token: "tok-en-123"}}, "main")
			if KindOf(err) != c.want || !strings.Contains(fmt.Sprint(err), c.text) || strings.Contains(fmt.Sprint(err), "tok-en-123") {
				t.Errorf("err = %v (%s), want %s with %q and no token", err, KindOf(err), c.want, c.text)
			}
		})
	}
}

// A driver of go-scm ignores the error of reading a file, and would give half of it.
func TestAPIRefusesHalfAFile(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "stages: []\n")
	}))
	t.Cleanup(srv.Close)
	for _, typ := range []v1alpha1.ProviderType{v1alpha1.ProviderGitea, v1alpha1.ProviderBitbucket, v1alpha1.ProviderBitbucketServer} {
		_, content, err := NewReader(Options{}).File(t.Context(), Repository{URL: srv.URL + "/a/b", Type: typ}, headCommit, []string{"x"})
		if KindOf(err) != KindUnreachable {
			t.Errorf("%s: %q, %v, want Unreachable", typ, content, err)
		}
	}
}

func TestAPISendsNoTokenToAnotherHost(t *testing.T) {
	var got string
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") + "reached" }))
	t.Cleanup(evil.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, evil.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(front.Close)
	_, err := NewReader(Options{}).Resolve(t.Context(), Repository{URL: front.URL + "/a/b", Type: v1alpha1.ProviderGitea, Credential: Credential{Token: "t0ken"}}, "main")
	if err == nil || got != "" {
		t.Errorf("err = %v, the other host saw %q", err, got)
	}
}
