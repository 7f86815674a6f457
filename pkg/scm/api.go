package scm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	goscm "github.com/drone/go-scm/scm"
	"github.com/drone/go-scm/scm/driver/bitbucket"
	"github.com/drone/go-scm/scm/driver/gitea"
	"github.com/drone/go-scm/scm/driver/github"
	"github.com/drone/go-scm/scm/driver/gitlab"
	"github.com/drone/go-scm/scm/driver/stash"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// api is what differs between the hosts that have one. go-scm's drivers escape
// differently, and some report the id of an annotated tag where its commit is wanted.
type api struct {
	client func(base string) (*goscm.Client, error)
	// scheme of the Authorization header that carries a token.
	scheme string
	// escapesPaths: the driver escapes a file's path itself.
	escapesPaths bool
	// commitOf asks for the commit of a full ref name. A ref that is not there is an
	// answer with status 404 or goscm.ErrNotFound.
	commitOf func(ctx context.Context, c *goscm.Client, slug, ref string) (string, *goscm.Response, error)
}

// apis lists the hosts that have an API.
var apis = map[v1alpha1.ProviderType]api{
	v1alpha1.ProviderGitHub:          {client: github.New, scheme: "Bearer", commitOf: githubCommit},
	v1alpha1.ProviderGitLab:          {client: gitlab.New, scheme: "Bearer", escapesPaths: true, commitOf: refCommit},
	v1alpha1.ProviderGitea:           {client: gitea.New, scheme: "token", commitOf: giteaCommit},
	v1alpha1.ProviderBitbucket:       {client: bitbucket.New, scheme: "Bearer", commitOf: refCommit},
	v1alpha1.ProviderBitbucketServer: {client: stash.New, scheme: "Bearer", commitOf: stashCommit},
}

// githubCommit: GET /repos/{o}/{r}/commits/{heads|tags}/{name} peels annotated tags.
func githubCommit(ctx context.Context, c *goscm.Client, slug, ref string) (string, *goscm.Response, error) {
	commit, res, err := c.Git.FindCommit(ctx, slug, escapePath(strings.TrimPrefix(ref, "refs/")))
	if err == nil && commit != nil {
		return commit.Sha, res, nil
	}
	if res != nil && res.Status == http.StatusUnprocessableEntity { // "No commit found for SHA: heads/…"
		return "", res, goscm.ErrNotFound
	}
	return "", res, err
}

// refCommit: branches and tags of GitLab and Bitbucket carry their commit.
func refCommit(ctx context.Context, c *goscm.Client, slug, ref string) (string, *goscm.Response, error) {
	find, name := c.Git.FindBranch, strings.TrimPrefix(ref, "refs/heads/")
	if t, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		find, name = c.Git.FindTag, t
	}
	escape := escapePath
	if c.Driver == goscm.DriverGitlab { // wants the slash escaped
		escape = url.PathEscape
	}
	found, res, err := find(ctx, slug, escape(name))
	if err != nil || found == nil {
		return "", res, err
	}
	return found.Sha, res, nil
}

// giteaCommit: a branch carries its commit, a tag's object is the tag itself, so its
// commit is asked for by name.
func giteaCommit(ctx context.Context, c *goscm.Client, slug, ref string) (string, *goscm.Response, error) {
	if name, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		found, res, err := c.Git.FindBranch(ctx, slug, escapePath(name))
		if err != nil || found == nil {
			return "", res, err
		}
		return found.Sha, res, nil
	}
	commit, res, err := c.Git.FindCommit(ctx, slug, ref)
	if err != nil || commit == nil {
		return "", res, err
	}
	return commit.Sha, res, nil
}

// stashCommit: the newest commit up to a full ref name, which no filter guesses at.
func stashCommit(ctx context.Context, c *goscm.Client, slug, ref string) (string, *goscm.Response, error) {
	commits, res, err := c.Git.ListCommits(ctx, slug, goscm.CommitListOptions{Ref: url.QueryEscape(ref), Size: 1})
	if err != nil || len(commits) == 0 {
		return "", res, err
	}
	return commits[0].Sha, res, nil
}

// apiHost reads through a host's API.
type apiHost struct {
	api
	typ       v1alpha1.ProviderType
	slug      string
	client    *goscm.Client
	transport *boundedTransport
	maxFile   int64
}

// apiAnswers bounds what one call may receive from an API: the largest file in
// base64 and the few answers around it.
func apiAnswers(maxFile int64) int64 { return 4*maxFile + 2<<20 }

func newAPIHost(repo Repository, u *url.URL, opts Options) (host, func(), error) {
	a, ok := apis[repo.Type]
	if !ok {
		return nil, nil, errorf(KindInvalid, "open repository: provider type %q, wanted GitHub, GitLab, Gitea, Bitbucket, BitbucketServer or Git", repo.Type)
	}
	web, err := repo.webURL(u)
	if err != nil {
		return nil, nil, err
	}
	base, err := repo.apiURL(web)
	if err != nil {
		return nil, nil, err
	}
	slug, err := repo.slug(u, web)
	if err != nil {
		return nil, nil, err
	}
	client, err := a.client(base)
	if err != nil {
		return nil, nil, errorf(KindInvalid, "parse API URL: it is no URL")
	}
	var authorize func(*http.Request)
	switch c := repo.Credential; {
	case c.Token != "":
		authorize = func(r *http.Request) { r.Header.Set("Authorization", a.scheme+" "+c.Token) }
	case c.Password != "":
		authorize = func(r *http.Request) { r.SetBasicAuth(c.Username, c.Password) }
	}
	hc, transport, err := repo.httpClient(client.BaseURL, apiAnswers(opts.MaxFile), authorize)
	if err != nil {
		return nil, nil, err
	}
	client.Client = hc
	h := &apiHost{api: a, typ: repo.Type, slug: slug, client: client, transport: transport, maxFile: opts.MaxFile}
	return h, transport.base.CloseIdleConnections, nil
}

func (h *apiHost) resolve(ctx context.Context, ref string) (string, error) {
	what := fmt.Sprintf("resolve %s of %s", ref, h.slug)
	for _, full := range candidates(ref) {
		commit, res, err := h.commitOf(ctx, h.client, h.slug, full)
		if err := h.check(what, res, err); err != nil {
			if IsNotFound(err) {
				continue
			}
			return "", err
		}
		if commit != "" {
			return commit, nil
		}
	}
	if err := h.repositoryExists(ctx, what); err != nil {
		return "", err
	}
	return "", notFound(MissingRef, "%s: %s has no such branch or tag", what, h.typ)
}

func (h *apiHost) file(ctx context.Context, commit string, paths []string) (string, string, error) {
	for _, p := range paths {
		what := fmt.Sprintf("read %s of %s at %s", p, h.slug, commit)
		ask := p
		if !h.escapesPaths {
			ask = escapePath(p)
		}
		found, res, err := h.client.Contents.Find(ctx, h.slug, ask, commit)
		if err := h.check(what, res, err); err != nil {
			if IsNotFound(err) {
				continue
			}
			return "", "", err
		}
		// GitHub leaves out the content of files over 1 MB, and says so in a field that
		// go-scm drops.
		leftOut := len(found.Data) == 0 && h.typ == v1alpha1.ProviderGitHub && found.BlobID != emptyBlob
		if leftOut || int64(len(found.Data)) > h.maxFile {
			return "", "", errorf(KindTooLarge, "%s: the file is larger than %d bytes", what, h.maxFile)
		}
		return p, string(found.Data), nil
	}
	// Hosts say 404 for a missing file, commit and repository alike: find out which.
	what := fmt.Sprintf("read %s of %s at %s", strings.Join(paths, ", "), h.slug, commit)
	_, res, err := h.client.Git.FindCommit(ctx, h.slug, commit)
	if err := h.check(what, res, err); err != nil {
		if !IsNotFound(err) {
			return "", "", err
		}
		if err := h.repositoryExists(ctx, what); err != nil {
			return "", "", err
		}
		return "", "", notFound(MissingCommit, "%s: %s has no such commit", what, h.typ)
	}
	return "", "", notFound(MissingFile, "%s: no such file at that commit", what)
}

// emptyBlob is the id that Git gives to an empty file.
const emptyBlob = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"

func (h *apiHost) repositoryExists(ctx context.Context, what string) error {
	_, res, err := h.client.Repositories.Find(ctx, h.slug)
	if res != nil && res.Status == http.StatusOK {
		err = nil // Bitbucket Server's driver goes on to ask for more, which an empty repository lacks
	}
	if err := h.check(what, res, err); err != nil {
		if IsNotFound(err) {
			return notFound(MissingRepository, "%s: %s has no such repository, or does not show it to this credential", what, h.typ)
		}
		return err
	}
	return nil
}

// check gives what a host answered a kind. nil means a good answer that was read to
// its end.
func (h *apiHost) check(what string, res *goscm.Response, err error) error {
	if readErr := h.transport.readError(); readErr != nil {
		return unreachable(what, readErr)
	}
	if res == nil {
		if errors.Is(err, goscm.ErrNotFound) {
			return notFound(MissingRef, "%s: not found", what)
		}
		if err == nil {
			err = errors.New("no answer")
		}
		return unreachable(what, err)
	}
	said := ""
	if err != nil && err.Error() != "" {
		said = ": " + err.Error()
	}
	switch s := res.Status; {
	case errors.Is(err, goscm.ErrNotFound), s == http.StatusNotFound, s == http.StatusGone:
		return notFound(MissingRef, "%s: not found", what)
	case s == http.StatusTooManyRequests, s == http.StatusForbidden && rateLimited(res):
		return errorf(KindUnreachable, "%s: %s limits the rate of requests%s%s", what, h.typ, untilReset(res), said)
	case s == http.StatusUnauthorized, s == http.StatusForbidden, errors.Is(err, goscm.ErrNotAuthorized):
		return errorf(KindUnauthorized, "%s: %s refused the credential (HTTP %d)%s", what, h.typ, s, said)
	case s == http.StatusUnprocessableEntity || s == http.StatusBadRequest:
		// what a host says of an id or a name that it cannot make sense of
		return notFound(MissingRef, "%s: HTTP %d%s", what, s, said)
	case s < 200 || s > 299:
		return errorf(KindUnreachable, "%s: HTTP %d%s", what, s, said)
	case err != nil:
		return errorf(KindUnreachable, "%s: the answer is not what %s's API would send%s", what, h.typ, said)
	}
	return nil
}

func rateLimited(res *goscm.Response) bool {
	return res.Header.Get("Retry-After") != "" || res.Header.Get("X-RateLimit-Remaining") == "0" || res.Header.Get("RateLimit-Remaining") == "0"
}

func untilReset(res *goscm.Response) string {
	if s := res.Header.Get("Retry-After"); s != "" {
		return " (retry after " + s + " s)"
	}
	for _, k := range []string{"X-RateLimit-Reset", "RateLimit-Reset"} {
		if sec, err := strconv.ParseInt(res.Header.Get(k), 10, 64); err == nil && sec > 0 {
			return " until " + time.Unix(sec, 0).UTC().Format(time.RFC3339)
		}
	}
	return ""
}

// escapePath escapes each segment of a path.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
