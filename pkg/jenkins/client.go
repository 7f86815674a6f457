package jenkins

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bndr/gojenkins"
)

// Limits of one request. They bound what a Jenkins that misbehaves can cost us.
const (
	DefaultTimeout = 30 * time.Second // one request and its whole answer; for logs: the longest silence
	maxPage        = 1 << 20          // answers of which only status and headers matter
	maxJSON        = 8 << 20          // one job or build
	maxListing     = 64 << 20         // all jobs of a folder
	maxIdleConns   = 16               // kept open to one Jenkins
)

// Config says which Jenkins to talk to. It has no defaults that reach out: only BaseURL is needed.
type Config struct {
	BaseURL   string            // http or https, with the context path if Jenkins has one, e.g. http://jenkins.ci:8080/jenkins
	User      string            // empty: anonymous
	Token     string            // API token (no crumb is needed) or password
	Transport http.RoundTripper // nil: a transport of the client's own, closed by Close
	Timeout   time.Duration     // 0: DefaultTimeout
	UserAgent string            // empty: "kubectl-pipeline"
}

// Client talks to one Jenkins. It is safe for concurrent use. Close it when done.
type Client struct {
	base      *url.URL
	user      string
	token     string
	userAgent string
	timeout   time.Duration
	http      *http.Client
	own       *http.Transport // non-nil when the transport is ours to close

	jenkins *gojenkins.Jenkins // typed calls over our requester
	crumbs  crumbCache

	mu      sync.Mutex
	session string   // X-Jenkins-Session of the latest answer
	version string   // X-Jenkins of the latest answer
	stages  stageAPI // which stage endpoint answers in this session
}

// New makes a client. It does not connect; see [Client.Ping].
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(cfg.BaseURL, "/"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("parse Jenkins url: %w", err)
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, fmt.Errorf("parse Jenkins url %q: want http(s)://host[:port][/path]: %w", base.Redacted(), ErrInvalid)
	case base.User != nil, base.RawQuery != "", base.Fragment != "":
		return nil, fmt.Errorf("parse Jenkins url %q: user, query and fragment do not belong into it: %w", base.Redacted(), ErrInvalid)
	}
	c := &Client{base: base, user: cfg.User, token: cfg.Token, userAgent: cfg.UserAgent, timeout: cfg.Timeout, crumbs: newCrumbCache()}
	if c.userAgent == "" {
		c.userAgent = "kubectl-pipeline"
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	transport := cfg.Transport
	if transport == nil {
		c.own = http.DefaultTransport.(*http.Transport).Clone()
		c.own.MaxIdleConnsPerHost = maxIdleConns
		transport = c.own
	}
	c.http = &http.Client{
		Transport: transport,
		// A redirect is an answer: 302 after an action is success, 303 after a trigger carries the queue item. Following it would
		// turn both into a page of HTML.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// Init is not called: it reads the whole instance and rewrites package globals of gojenkins.
	c.jenkins = &gojenkins.Jenkins{Server: base.String(), Requester: requester{c}, Raw: new(gojenkins.ExecutorResponse)}
	return c, nil
}

// Close gives idle connections back. Requests under way are not interrupted; cancel their context for that.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// Session is the X-Jenkins-Session of the latest answer, "" before the first. It changes whenever Jenkins starts: queue items and
// crumbs of another session mean nothing.
func (c *Client) Session() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Info is what Jenkins says about itself.
type Info struct {
	Version      string // X-Jenkins, e.g. 2.516.3
	Session      string // see [Client.Session]
	QuietingDown bool   // Jenkins accepts triggers but starts nothing, and running builds freeze at their next step
	UseCrumbs    bool
}

// Ping asks Jenkins about itself: GET /api/json. It is the readiness probe: while Jenkins starts, it fails with a temporary error.
func (c *Client) Ping(ctx context.Context) (Info, error) {
	var out struct {
		QuietingDown bool `json:"quietingDown"`
		UseCrumbs    bool `json:"useCrumbs"`
	}
	ans, err := c.getJSON(ctx, "/api/json", "quietingDown,useCrumbs", maxJSON, &out)
	if err != nil {
		return Info{}, fmt.Errorf("ping Jenkins: %w", err)
	}
	if ans.header.Get("X-Jenkins") == "" {
		err := &Error{Method: http.MethodGet, Path: "/api/json", Status: ans.status, Sent: true, Err: errNotJenkins}
		return Info{}, fmt.Errorf("ping Jenkins: %w", err)
	}
	return Info{
		Version: ans.header.Get("X-Jenkins"), Session: ans.header.Get("X-Jenkins-Session"),
		QuietingDown: out.QuietingDown, UseCrumbs: out.UseCrumbs,
	}, nil
}

// JobRef names a job. Folder may be empty (the root) or several levels joined by '/'. Jenkins compares names without case.
type JobRef struct{ Folder, Name string }

// String is the full name as Jenkins writes it: "folder/name".
func (r JobRef) String() string {
	if r.Folder == "" {
		return r.Name
	}
	return r.Folder + "/" + r.Name
}

func (r JobRef) path() string { return folderPath(r.Folder) + "/job/" + url.PathEscape(r.Name) }

func (r JobRef) buildPath(number int) string { return fmt.Sprintf("%s/%d", r.path(), number) }

func folderPath(folder string) string {
	if folder == "" {
		return ""
	}
	var b strings.Builder
	for part := range strings.SplitSeq(folder, "/") {
		b.WriteString("/job/" + url.PathEscape(part))
	}
	return b.String()
}
