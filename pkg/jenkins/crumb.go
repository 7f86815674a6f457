package jenkins

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// crumb is Jenkins' token against forged POSTs. It is bound to the session cookie it was given with.
type crumb struct {
	field, value string
	cookie       string
	session      string // X-Jenkins-Session it was issued in
}

// crumbCache holds the crumb in use. None is fetched before Jenkins asks for one: with an API token it never does.
type crumbCache struct {
	mu    *sync.Mutex
	now   **crumb
	fetch chan struct{} // one slot: concurrent POSTs wait for one fetch instead of each opening a session
}

func newCrumbCache() crumbCache {
	return crumbCache{mu: new(sync.Mutex), now: new(*crumb), fetch: make(chan struct{}, 1)}
}

func (cc crumbCache) current(method string) *crumb {
	if method != http.MethodPost {
		return nil // never checked
	}
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return *cc.now
}

// drop forgets a crumb of another session than the given one.
func (cc crumbCache) drop(session string) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if *cc.now != nil && (*cc.now).session != session {
		*cc.now = nil
	}
}

// freshCrumb returns a crumb that is not the refused one.
func (c *Client) freshCrumb(ctx context.Context, refused *crumb) (*crumb, error) {
	select {
	case c.crumbs.fetch <- struct{}{}:
		defer func() { <-c.crumbs.fetch }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if now := c.crumbs.current(http.MethodPost); now != nil && now != refused {
		return now, nil // another POST fetched it while we waited
	}
	var out struct {
		Crumb string `json:"crumb"`
		Field string `json:"crumbRequestField"`
	}
	ans, err := c.getJSON(ctx, "/crumbIssuer/api/json", "", maxPage, &out)
	if err != nil {
		return nil, err
	}
	if out.Field == "" || out.Crumb == "" {
		return nil, fmt.Errorf("crumb without field or value: %w", errNotJenkins)
	}
	var cookies []string
	for _, set := range ans.header.Values("Set-Cookie") {
		pair, _, _ := strings.Cut(set, ";")
		cookies = append(cookies, strings.TrimSpace(pair))
	}
	fresh := &crumb{out.Field, out.Crumb, strings.Join(cookies, "; "), ans.header.Get("X-Jenkins-Session")}
	c.crumbs.mu.Lock()
	*c.crumbs.now = fresh
	c.crumbs.mu.Unlock()
	return fresh, nil
}
