package jenkins

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
)

// call is one request, before it has a base, credentials and a deadline.
type call struct {
	method   string
	path     string // escaped, below the base, starting with '/'
	query    url.Values
	body     string
	ctype    string // Content-Type of the body
	accept   string // default application/json
	limit    int64  // of the answer's body; 0: maxPage
	redirect bool   // 302 and 303 are success
}

// answer is a whole answer; its body has been read and closed.
type answer struct {
	status int
	header http.Header
	body   []byte
}

var (
	errNotJSON    = errors.New("the answer is not JSON")
	errNotJenkins = errors.New("the answer does not come from Jenkins")
	errTooLong    = errors.New("the answer is longer than its limit")
)

// do sends a call and judges the status: an answer is success, everything else is an *Error.
//
//	send ─▶ 2xx, or 3xx where wanted ─▶ answer
//	  │
//	  ├──▶ 403 about a crumb, first time ─▶ drop the crumb, fetch one, send again (Jenkins has done nothing: its filter refused)
//	  └──▶ anything else, or no answer ─▶ *Error
func (c *Client) do(ctx context.Context, k call) (*answer, error) {
	crumb := c.crumbs.current(k.method)
	ans, err := c.send(ctx, k, crumb)
	if err != nil {
		return nil, err
	}
	if k.method == http.MethodPost && ans.status == http.StatusForbidden && isCrumbComplaint(string(ans.body)) {
		fresh, err := c.freshCrumb(ctx, crumb)
		if err != nil {
			return nil, fmt.Errorf("get a crumb: %w", err)
		}
		if ans, err = c.send(ctx, k, fresh); err != nil {
			return nil, err
		}
	}
	ok := ans.status >= 200 && ans.status < 300 ||
		k.redirect && (ans.status == http.StatusFound || ans.status == http.StatusSeeOther) && !isLogin(ans.header.Get("Location"))
	switch {
	case !ok:
		return nil, k.failure(ans)
	case k.method != http.MethodGet && ans.status < 300 && isPage(ans):
		// Jenkins answers what changes something with no page: something between us and it did, and nothing may have changed.
		return nil, k.malformed(ans, errNotJenkins)
	}
	return ans, nil
}

func isPage(ans *answer) bool {
	return len(ans.body) > 0 && strings.Contains(ans.header.Get("Content-Type"), "html")
}

// send does one exchange. The returned error is an *Error with status 0; every status is an answer.
func (c *Client) send(ctx context.Context, k call, crumb *crumb) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, sent, err := c.roundTrip(ctx, k, crumb)
	if err != nil {
		return nil, &Error{Method: k.method, Path: k.path, Sent: sent, Err: err}
	}
	defer drain(resp.Body)
	limit := k.limit
	if limit == 0 {
		limit = maxPage
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("%w (%d bytes)", errTooLong, limit)
	}
	ans := &answer{resp.StatusCode, resp.Header, body}
	if err != nil && ans.status >= 200 && ans.status < 300 { // of an error page, what we have is enough
		return nil, k.malformed(ans, err)
	}
	return ans, nil
}

// roundTrip sends the request and returns as soon as the headers of the answer are there. The caller owns the body. sent tells
// whether bytes of the request may have left, which decides between "safe to repeat" and "unknown outcome".
func (c *Client) roundTrip(ctx context.Context, k call, crumb *crumb) (resp *http.Response, sent bool, err error) {
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { wrote.Store(true) },
		WroteHeaders:     func() { wrote.Store(true) },
	})
	u := *c.base
	u.RawPath = c.base.EscapedPath() + k.path
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return nil, false, fmt.Errorf("path %q: %w", k.path, ErrInvalid)
	}
	u.RawQuery = k.query.Encode()

	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), nil)
	if err != nil {
		return nil, false, err
	}
	if k.method == http.MethodPost {
		// Set by hand and without GetBody: net/http must have no means to send a POST twice.
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(k.body)), int64(len(k.body))
		if k.body == "" {
			req.Body = http.NoBody
		}
		req.GetBody = nil
	}
	if k.ctype != "" {
		req.Header.Set("Content-Type", k.ctype)
	}
	req.Header.Set("Accept", cmpOr(k.accept, "application/json"))
	req.Header.Set("Accept-Language", "en") // Jenkins translates reasons; ours are shown as they are
	req.Header.Set("User-Agent", c.userAgent)
	if c.user != "" {
		req.SetBasicAuth(c.user, c.token)
	}
	if crumb != nil {
		req.Header.Set(crumb.field, crumb.value)
		req.Header.Set("Cookie", crumb.cookie)
	}
	resp, err = c.http.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok { // it repeats method and url, which *Error says better
			err = ue.Err
		}
		return nil, wrote.Load(), err
	}
	c.note(resp.Header)
	return resp, true, nil
}

// note remembers who answered.
func (c *Client) note(h http.Header) {
	session := h.Get("X-Jenkins-Session")
	if session == "" {
		return // a proxy, or Jenkins before it is up
	}
	c.mu.Lock()
	changed := c.session != session
	c.session, c.version = session, h.Get("X-Jenkins")
	if changed {
		c.stages = stagesUnknown
	}
	c.mu.Unlock()
	if changed {
		c.crumbs.drop(session)
	}
}

// getJSON reads one document. tree limits what Jenkins puts into it.
func (c *Client) getJSON(ctx context.Context, path, tree string, limit int64, out any) (*answer, error) {
	k := call{method: http.MethodGet, path: path, limit: limit}
	if tree != "" {
		k.query = url.Values{"tree": {tree}}
	}
	ans, err := c.do(ctx, k)
	if err != nil {
		return nil, err
	}
	return ans, k.decode(ans, out)
}

// decode checks that the answer is JSON before it believes it: a login page has status 200 as well.
func (k call) decode(ans *answer, out any) error {
	body := bytes.TrimLeft(ans.body, " \t\r\n")
	if !strings.Contains(ans.header.Get("Content-Type"), "json") || len(body) == 0 || body[0] == '<' {
		return k.malformed(ans, errNotJSON)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return k.malformed(ans, err)
	}
	return nil
}

// post sends a form without fields: an action whose arguments, if any, are in the query.
func (c *Client) post(ctx context.Context, path string, query url.Values) (*answer, error) {
	return c.do(ctx, call{
		method: http.MethodPost, path: path, query: query,
		ctype: "application/x-www-form-urlencoded", redirect: true,
	})
}

func (k call) failure(ans *answer) *Error {
	h := ans.header
	return &Error{
		Method: k.method, Path: k.path, Status: ans.status, Sent: true,
		XError: h.Get("X-Error"), Permission: h.Get("X-Required-Permission"), Authenticated: h.Get("X-You-Are-Authenticated-As"),
		Session: h.Get("X-Jenkins-Session"), Snippet: snippet(ans),
	}
}

// malformed is an answer with a good status that cannot be what Jenkins said.
func (k call) malformed(ans *answer, err error) *Error {
	e := k.failure(ans)
	e.Err = err
	return e
}

var (
	tags   = regexp.MustCompile(`(?s)<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

// snippet is the readable beginning of a page.
func snippet(ans *answer) string {
	const head, shown = 16 << 10, 200
	text := string(ans.body[:min(len(ans.body), head)])
	if strings.Contains(ans.header.Get("Content-Type"), "html") || strings.HasPrefix(strings.TrimSpace(text), "<") {
		text = html.UnescapeString(tags.ReplaceAllString(text, " "))
	}
	text = strings.TrimSpace(spaces.ReplaceAllString(strings.ToValidUTF8(text, "?"), " "))
	if r := []rune(text); len(r) > shown {
		text = string(r[:shown]) + "…"
	}
	return text
}

// drain lets the connection be used again, within reason, and closes the body in any case.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	_ = body.Close()
}

func isCrumbComplaint(page string) bool { return strings.Contains(page, "No valid crumb") }

func isLogin(location string) bool {
	return strings.Contains(location, "/login") || strings.Contains(location, "securityRealm")
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
