package scm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"k8s.io/utils/lru"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Repository is where to read from and as whom.
type Repository struct {
	// URL to clone from: http, https, ssh, git, file, or user@host:path. A user and
	// password in it are used when Credential has none, and are never shown.
	URL string
	// Type of the host; "" is a host without an API.
	Type v1alpha1.ProviderType
	// ProviderURL is the web address of the host. Default: scheme and host of URL. It is
	// needed when the host lives under a path, or when URL is an ssh one with another name.
	ProviderURL string
	// APIURL is the address of the host's API. Default: derived from ProviderURL.
	APIURL string
	// CABundle holds PEM certificates trusted in addition to the system's.
	CABundle string
	// InsecureSkipTLSVerify accepts any certificate.
	InsecureSkipTLSVerify bool
	// Credential to log in with; the zero value is anonymous.
	Credential Credential
}

// Credential is a login: a token; or a user name and password; or an SSH key with
// the host keys to expect.
type Credential struct {
	Token, Username, Password string
	// SSHPrivateKey in PEM; KnownHosts in the format of sshd(8). A host that is not in
	// KnownHosts is refused.
	SSHPrivateKey, KnownHosts string
}

// Options of a Reader; zero values are defaults.
type Options struct {
	// Timeout of one call. Default: 30s.
	Timeout time.Duration
	// Concurrency is how many calls of one host run at once; more wait for a moment, and
	// fail then, to be tried again. Default: 4. MaxCalls is the same of all hosts together,
	// where more wait. Default: 32.
	Concurrency, MaxCalls int
	// MaxFile is the largest file, in bytes. Default: 256 KiB.
	MaxFile int64
	// MaxFetch is the most bytes that one call may receive over the Git protocol. It holds
	// them; all calls together hold at most half as much again. Default: 64 MiB.
	MaxFetch int64
	// AllowLocal permits file URLs. They read hookd's own disk, so they are for tests and
	// demos only. Default: false.
	AllowLocal bool
}

// Defaults of Options.
const (
	defaultTimeout     = 30 * time.Second
	defaultConcurrency = 4
	defaultMaxCalls    = 32
	hostPatience       = 2 * time.Second
	defaultMaxFile     = 256 << 10
	defaultMaxFetch    = 64 << 20

	// cachedFiles and maxCachedFile bound the cache at 4 MiB.
	cachedFiles   = 64
	maxCachedFile = 64 << 10
)

// Reader reads from Git hosts. It is safe for concurrent use and keeps nothing open
// between calls.
type Reader struct {
	opts  Options
	slots *slots
	// memory is shared by calls over the Git protocol.
	memory memory
	files  *lru.Cache // cacheKey → cachedFile: a file at a commit never changes
}

type cachedFile struct{ path, content string }

// NewReader makes a Reader.
func NewReader(opts Options) *Reader {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Concurrency <= 0 {
		opts.Concurrency = defaultConcurrency
	}
	if opts.MaxCalls <= 0 {
		opts.MaxCalls = defaultMaxCalls
	}
	if opts.MaxFile <= 0 {
		opts.MaxFile = defaultMaxFile
	}
	if opts.MaxFetch <= 0 {
		opts.MaxFetch = defaultMaxFetch
	}
	r := &Reader{opts: opts, slots: newSlots(opts.Concurrency, opts.MaxCalls, hostPatience), files: lru.New(cachedFiles)}
	r.memory.left.Store(opts.MaxFetch + max(opts.MaxFetch/2, 4*packChunk))
	return r
}

// host is one way to reach a repository: an API, the Git protocol, the disk.
type host interface {
	resolve(ctx context.Context, ref string) (string, error)
	// file returns the first of paths that exists at commit.
	file(ctx context.Context, commit string, paths []string) (path, content string, err error)
}

// Resolve gives the full id of the commit that ref names now. ref is a full name
// (refs/heads/main), or a short one, which is a branch before it is a tag. A full
// commit id is returned as it is, without asking the host. Errors are *Error.
func (r *Reader) Resolve(ctx context.Context, repo Repository, ref string) (string, error) {
	if isCommit(ref) {
		return strings.ToLower(ref), nil
	}
	if err := checkRef(ref); err != nil {
		return "", err
	}
	var commit string
	err := r.do(ctx, repo, func(ctx context.Context, h host) (err error) {
		commit, err = h.resolve(ctx, ref)
		return err
	})
	if err != nil {
		return "", err
	}
	if !isCommit(commit) {
		return "", repo.Credential.clean(errorf(KindUnreachable, "resolve %q: the host answered %q, wanted a full commit id", ref, commit))
	}
	return strings.ToLower(commit), nil
}

// File gives the first of paths that exists at commit (a full id), and its content,
// at most Options.MaxFile bytes. Errors are *Error; of the kind NotFound, Missing
// tells a file that is not at the commit from a commit that is not in the repository.
func (r *Reader) File(ctx context.Context, repo Repository, commit string, paths []string) (foundPath, content string, err error) {
	if !isCommit(commit) {
		return "", "", errorf(KindInvalid, "read file at %q: wanted a full commit id", commit)
	}
	if len(paths) == 0 {
		return "", "", errorf(KindInvalid, "read file at %s: no path given", commit)
	}
	for _, p := range paths {
		if p == "" || path.IsAbs(p) || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") || strings.ContainsRune(p, 0) {
			return "", "", errorf(KindInvalid, "read file %q: wanted a plain path relative to the repository", p)
		}
	}
	commit = strings.ToLower(commit)
	key := cacheKey(repo, commit, paths)
	if f, ok := r.files.Get(key); ok {
		f := f.(cachedFile)
		return f.path, f.content, nil
	}
	err = r.do(ctx, repo, func(ctx context.Context, h host) (err error) {
		foundPath, content, err = h.file(ctx, commit, paths)
		return err
	})
	if err != nil {
		return "", "", err
	}
	if len(content) <= maxCachedFile {
		r.files.Add(key, cachedFile{foundPath, content})
	}
	return foundPath, content, nil
}

// do runs f within the bounds of the options and gives its error a kind.
func (r *Reader) do(ctx context.Context, repo Repository, f func(context.Context, host) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	fail := func(err error) error {
		var e *Error
		if !errors.As(err, &e) {
			e = errorf(KindUnreachable, "%v", err)
		}
		if c := ended(ctx); c != nil && e.Kind == KindUnreachable {
			e = &Error{Kind: KindUnreachable, Message: e.Message, cause: c}
			if errors.Is(c, context.DeadlineExceeded) && !strings.Contains(e.Message, c.Error()) {
				e.Message += ": no answer in time"
			}
		}
		return repo.Credential.clean(e)
	}
	repo, err = repo.normalise()
	if err != nil {
		return fail(err)
	}
	release, err := r.slots.take(ctx, repo.hostName())
	if err != nil {
		return fail(errorf(KindUnreachable, "wait for other reads of Git hosts: %v", err))
	}
	defer release()
	// The decoders below us read foreign bytes; one that panics must not take hookd along.
	defer func() {
		if p := recover(); p != nil {
			err = fail(errorf(KindUnreachable, "the host's answer could not be read: %v", p))
		}
	}()
	h, closeHost, err := r.open(repo)
	if err != nil {
		return fail(err)
	}
	defer closeHost()
	if err := f(ctx, h); err != nil {
		return fail(err)
	}
	return nil
}

// open picks the way to reach repo.
func (r *Reader) open(repo Repository) (host, func(), error) {
	u, err := parseRepositoryURL(repo.URL)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case u.Scheme == "file":
		if !r.opts.AllowLocal {
			return nil, nil, errorf(KindInvalid, "read %s: file URLs are for tests and are switched off", repo.URL)
		}
		return &localHost{dir: u.Path, maxFile: r.opts.MaxFile}, func() {}, nil
	case repo.usesAPI():
		return newAPIHost(repo, u, r.opts)
	default:
		return newGitHost(repo, u, r.opts, &r.memory)
	}
}

// hostName is what reads wait for each other by.
func (r Repository) hostName() string {
	u, err := parseRepositoryURL(r.URL)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// usesAPI: a host with an API is asked through it, unless all we have is an SSH key,
// which no API takes.
func (r Repository) usesAPI() bool {
	if r.Type == "" || r.Type == v1alpha1.ProviderGit {
		return false
	}
	c := r.Credential
	return c.SSHPrivateKey == "" || c.Token != "" || c.Password != ""
}

// normalise moves a login from the URL to the credential, where it is kept out of
// errors.
func (r Repository) normalise() (Repository, error) {
	u, err := parseRepositoryURL(r.URL)
	if err != nil {
		return r, err
	}
	if u.User == nil || u.Scheme == "ssh" {
		return r, nil
	}
	if c := r.Credential; c.Token == "" && c.Password == "" && c.SSHPrivateKey == "" {
		r.Credential.Username = u.User.Username()
		r.Credential.Password, _ = u.User.Password()
	}
	u.User = nil
	r.URL = u.String()
	return r, nil
}

// cacheKey includes the login: what one may read, another may not.
func cacheKey(repo Repository, commit string, paths []string) string {
	h := sha256.New()
	for _, s := range append([]string{
		repo.URL, string(repo.Type), repo.ProviderURL, repo.APIURL, repo.CABundle, fmt.Sprint(repo.InsecureSkipTLSVerify),
		repo.Credential.Token, repo.Credential.Username, repo.Credential.Password,
		repo.Credential.SSHPrivateKey, repo.Credential.KnownHosts, commit,
	}, paths...) {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return string(h.Sum(nil))
}

var commitPattern = regexp.MustCompile(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

func isCommit(s string) bool { return commitPattern.MatchString(s) }

// checkRef refuses what git-check-ref-format(1) refuses, so that no such text
// reaches a host's URL.
func checkRef(ref string) error {
	bad := ref == "" || len(ref) > 512 || strings.HasPrefix(ref, "-") || strings.HasPrefix(ref, "/") ||
		strings.HasSuffix(ref, "/") || strings.HasSuffix(ref, ".") || strings.Contains(ref, "..") ||
		strings.Contains(ref, "@{") || strings.Contains(ref, "//") || ref == "@" ||
		strings.ContainsAny(ref, " ~^:?*[\\\x7f")
	for part := range strings.SplitSeq(ref, "/") {
		bad = bad || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	for _, c := range []byte(ref) {
		bad = bad || c < ' '
	}
	if bad {
		return errorf(KindInvalid, "resolve %q: wanted the name of a branch or tag, or a full commit id", ref)
	}
	return nil
}

// candidates are the full names that ref may mean, the most likely first.
func candidates(ref string) []string {
	if strings.HasPrefix(ref, "refs/") {
		return []string{ref}
	}
	return []string{"refs/heads/" + ref, "refs/tags/" + ref}
}

// ended is the context's error; also when its deadline has passed and its own timer has
// not run yet, as a connection's with the same deadline may have.
func ended(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}
