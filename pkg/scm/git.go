package scm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// maxWants is how many branches are fetched from a host that does not serve a bare
// commit id.
const maxWants = 512

// wire is a connection that speaks git-upload-pack.
type wire interface {
	// refs asks what the host has; it comes before fetch.
	refs(ctx context.Context) (*packp.AdvRefs, error)
	// fetch asks for objects. The answer may be multiplexed, as req says.
	fetch(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error)
	// reusable: fetch may be called again.
	reusable() bool
	// readError is the first error of reading, which go-git's own errors may hide.
	readError() error
	close()
}

// gitHost reads over the Git protocol.
type gitHost struct {
	name    string // host and path, for messages
	dial    func(ctx context.Context) (wire, error)
	maxFile int64
	budget  int64
	memory  *memory

	wire  wire
	adv   *packp.AdvRefs
	packs []*pack
}

func newGitHost(repo Repository, u *url.URL, opts Options, m *memory) (host, func(), error) {
	if err := repo.checkHost(u); err != nil {
		return nil, nil, err
	}
	h := &gitHost{name: u.Hostname() + "/" + strings.Trim(u.Path, "/"), maxFile: opts.MaxFile, budget: opts.MaxFetch, memory: m}
	switch u.Scheme {
	case "http", "https":
		hc, t, err := repo.httpClient(u, opts.MaxFetch, nil)
		if err != nil {
			return nil, nil, err
		}
		h.dial = func(context.Context) (wire, error) { return newHTTPWire(repo, u, hc, t) }
	case "git":
		h.dial = func(ctx context.Context) (wire, error) { return dialGit(ctx, u, opts.MaxFetch) }
	case "ssh":
		h.dial = func(ctx context.Context) (wire, error) { return dialSSH(ctx, u, repo.Credential, opts.MaxFetch) }
	default:
		return nil, nil, errorf(KindInvalid, "open repository: scheme %q", u.Scheme)
	}
	return h, func() { h.close(); h.forget() }, nil
}

// forget drops what was fetched.
func (h *gitHost) forget() {
	for _, p := range h.packs {
		p.close()
	}
	h.packs = nil
}

func (h *gitHost) close() {
	if h.wire != nil {
		h.wire.close()
		h.wire, h.adv = nil, nil
	}
}

// connect makes sure that there is a connection that is ready for a fetch.
func (h *gitHost) connect(ctx context.Context) error {
	if h.wire != nil {
		return nil
	}
	w, err := h.dial(ctx)
	if err != nil {
		return err
	}
	h.wire = w
	h.adv, err = w.refs(ctx)
	return err
}

func (h *gitHost) resolve(ctx context.Context, ref string) (string, error) {
	what := fmt.Sprintf("resolve %s of %s", ref, h.name)
	if err := h.connect(ctx); errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return "", notFound(MissingRef, "%s: the repository is empty", what)
	} else if err != nil {
		return "", h.error(what, err)
	}
	if ref == "HEAD" && h.adv.Head != nil {
		return h.adv.Head.String(), nil
	}
	for _, full := range candidates(ref) {
		if peeled, ok := h.adv.Peeled[full]; ok {
			return peeled.String(), nil
		}
		if hash, ok := h.adv.References[full]; ok {
			return hash.String(), nil
		}
	}
	return "", notFound(MissingRef, "%s: no such branch or tag", what)
}

// file tries, in turn and only as far as the host goes along:
//
//  1. the commit and its trees without any file, then the one file
//     (partial clone; GitHub, GitLab, Gitea and git itself when it is switched on)
//  2. the commit with all its files, without its history
//  3. the branches with a little history, then with all of it
//     (a host that serves no bare commit id, and the commit is no branch's tip)
func (h *gitHost) file(ctx context.Context, commit string, paths []string) (string, string, error) {
	what := fmt.Sprintf("read %s of %s at %s", strings.Join(paths, ", "), h.name, commit)
	if len(commit) != 40 {
		return "", "", errorf(KindInvalid, "%s: repositories with SHA-256 ids can be read through their host's API only", what)
	}
	want := plumbing.NewHash(commit)
	if err := h.connect(ctx); errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return "", "", notFound(MissingCommit, "%s: the repository is empty", what)
	} else if err != nil {
		return "", "", h.error(what, err)
	}
	tip, bare, filters := h.serves(want)
	var last error
	try := func(f func() (string, string, error)) (path, content string, done bool, err error) {
		path, content, err = f()
		var e *Error
		switch {
		case err == nil:
			return path, content, true, nil
		case ctx.Err() != nil:
			return "", "", true, h.error(what, ctx.Err())
		case errors.As(err, &e):
			return "", "", true, err
		}
		if kind := KindOf(h.error(what, err)); kind == KindUnauthorized || kind == KindTooLarge || errors.Is(err, errBusy) {
			return "", "", true, h.error(what, err)
		}
		last = err
		h.forget()
		h.close() // an answer that broke off leaves nothing to talk over
		return "", "", false, nil
	}
	var steps []func() (string, string, error)
	if tip || bare {
		if filters {
			steps = append(steps, func() (string, string, error) { return h.filePartial(ctx, what, want, paths) })
		}
		steps = append(steps, func() (string, string, error) {
			return h.fileFrom(ctx, what, want, paths, []plumbing.Hash{want}, 1)
		})
	} else {
		tips := h.tips()
		for _, depth := range []int{50, 0} {
			steps = append(steps, func() (string, string, error) {
				return h.fileFrom(ctx, what, want, paths, tips, depth)
			})
		}
	}
	for _, step := range steps {
		if path, content, done, err := try(step); done {
			return path, content, err
		}
	}
	var missing *errNotInPack
	switch {
	case errors.As(last, &missing) && missing.hash == want, strings.Contains(last.Error(), "not our ref"):
		return "", "", notFound(MissingCommit, "%s: no such commit", what)
	}
	return "", "", h.error(what, last)
}

// serves tells whether commit is the tip of a ref, whether the host serves other
// commits by their id, and whether it filters. Each is what the host says of itself
// (gitprotocol-capabilities).
func (h *gitHost) serves(commit plumbing.Hash) (tip, bare, filters bool) {
	for _, m := range []map[string]plumbing.Hash{h.adv.References, h.adv.Peeled} {
		for _, hash := range m {
			tip = tip || hash == commit
		}
	}
	c := h.adv.Capabilities
	return tip, c.Supports(capability.AllowReachableSHA1InWant), c.Supports(capability.Filter)
}

// tips are the heads of branches and tags.
func (h *gitHost) tips() []plumbing.Hash {
	names := make([]string, 0, len(h.adv.References))
	for name := range h.adv.References {
		if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
			names = append(names, name)
		}
	}
	sort.Strings(names) // branches first
	seen := map[plumbing.Hash]bool{}
	var out []plumbing.Hash
	for _, name := range names {
		if hash := h.adv.References[name]; !seen[hash] && len(out) < maxWants {
			seen[hash] = true
			out = append(out, hash)
		}
	}
	return out
}

// filePartial fetches the trees and then the file.
func (h *gitHost) filePartial(ctx context.Context, what string, commit plumbing.Hash, paths []string) (string, string, error) {
	filter := packp.FilterTreeDepth(1) // the root directory is enough
	for _, p := range paths {
		if strings.Contains(p, "/") {
			filter = packp.FilterBlobNone()
		}
	}
	trees, err := h.fetch(ctx, []plumbing.Hash{commit}, 1, filter)
	if err != nil {
		return "", "", err
	}
	for _, p := range paths {
		blob, err := findBlob(trees, commit, p)
		if errors.Is(err, errNoFile) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		blobs, err := h.fetch(ctx, []plumbing.Hash{blob}, 0, "")
		if err != nil {
			return "", "", err
		}
		content, err := h.content(blobs, what, blob)
		return p, content, err
	}
	return "", "", notFound(MissingFile, "%s: no such file at that commit", what)
}

// fileFrom fetches everything that wants name, to the given depth (0: all of it),
// and looks in there.
func (h *gitHost) fileFrom(ctx context.Context, what string, commit plumbing.Hash, paths []string, wants []plumbing.Hash, depth int) (string, string, error) {
	if err := h.connect(ctx); err != nil {
		return "", "", err
	}
	var filter packp.Filter
	if h.adv.Capabilities.Supports(capability.Filter) {
		filter = packp.FilterBlobLimit(uint64(h.maxFile)+1, packp.BlobLimitPrefixNone) //nolint:gosec // positive
	}
	got, err := h.fetch(ctx, wants, depth, filter)
	if err != nil {
		return "", "", err
	}
	for _, p := range paths {
		blob, err := findBlob(got, commit, p)
		if errors.Is(err, errNoFile) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		content, err := h.content(got, what, blob)
		var missing *errNotInPack
		if filter != "" && errors.As(err, &missing) {
			err = errTooLarge
		}
		if errors.Is(err, errTooLarge) {
			return "", "", errorf(KindTooLarge, "%s: the file is larger than %d bytes", what, h.maxFile)
		}
		return p, content, err
	}
	return "", "", notFound(MissingFile, "%s: no such file at that commit", what)
}

func (h *gitHost) content(o objects, what string, blob plumbing.Hash) (string, error) {
	typ, data, err := o.object(blob)
	switch {
	case errors.Is(err, errTooLarge) || int64(len(data)) > h.maxFile:
		return "", errorf(KindTooLarge, "%s: the file is larger than %d bytes", what, h.maxFile)
	case err != nil:
		return "", err
	case typ == 0:
		return "", &errNotInPack{blob}
	case typ != plumbing.BlobObject:
		return "", fmt.Errorf("%s is a %s, wanted a file", blob, typ)
	}
	return string(data), nil
}

func (h *gitHost) fetch(ctx context.Context, wants []plumbing.Hash, depth int, filter packp.Filter) (*pack, error) {
	if err := h.connect(ctx); err != nil {
		return nil, err
	}
	if len(wants) == 0 {
		return nil, errors.New("the host shows no branch")
	}
	req := packp.NewUploadPackRequest()
	req.Wants = wants
	set := []capability.Capability{capability.OFSDelta, capability.NoProgress}
	if depth > 0 && h.adv.Capabilities.Supports(capability.Shallow) {
		req.Depth = packp.DepthCommits(depth)
		set = append(set, capability.Shallow)
	}
	if filter != "" {
		req.Filter = filter
		set = append(set, capability.Filter)
	}
	multiplexed := h.adv.Capabilities.Supports(capability.Sideband64k)
	if multiplexed {
		set = append(set, capability.Sideband64k)
	}
	for _, c := range set {
		if h.adv.Capabilities.Supports(c) {
			if err := req.Capabilities.Set(c); err != nil {
				return nil, err
			}
		}
	}
	if h.adv.Capabilities.Supports(capability.Agent) {
		if err := req.Capabilities.Set(capability.Agent, capability.DefaultAgent()); err != nil {
			return nil, err
		}
	}
	res, err := h.wire.fetch(ctx, req)
	if err == nil {
		defer func() { _ = res.Close() }()
		var r io.Reader = res
		if multiplexed {
			r = sideband.NewDemuxer(sideband.Sideband64k, res)
		}
		var p *pack
		if p, err = readPack(r, h.budget, h.memory); err == nil {
			h.packs = append(h.packs, p)
			if !h.wire.reusable() {
				h.close()
			}
			return p, nil
		}
	}
	if readErr := h.wire.readError(); readErr != nil {
		err = readErr
	}
	return nil, err
}

// error gives what the Git protocol said a kind.
func (h *gitHost) error(what string, err error) *Error {
	if h.wire != nil {
		if readErr := h.wire.readError(); readErr != nil {
			err = readErr
		}
	}
	var known *Error
	var status *githttp.Err
	var unexpected *plumbing.UnexpectedError
	if errors.As(err, &unexpected) && !errors.As(err, &status) {
		errors.As(unexpected.Err, &status)
	}
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return errorf(KindUnauthorized, "%s: the host refused the credential, or wants one: %v", what, err)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return notFound(MissingRepository, "%s: no such repository", what)
	case errors.Is(err, errTooLarge):
		return errorf(KindTooLarge, "%s: it would take more than %d bytes (switch on uploadpack.allowFilter and allowAnySHA1InWant at the host, or name the host's API in a provider)", what, h.budget)
	case status != nil:
		if s := status.Response.StatusCode; s == http.StatusNotFound || s == http.StatusGone {
			return notFound(MissingRepository, "%s: no such repository", what)
		}
		return errorf(KindUnreachable, "%s: HTTP %d", what, status.Response.StatusCode)
	case unexpected != nil:
		err = unexpected.Err
	}
	return unreachable(what, err)
}
