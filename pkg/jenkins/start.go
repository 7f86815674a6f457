package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
)

// Params are the values of the two parameters of every job of ours.
type Params struct {
	UID     string
	Attempt int
}

// Queued is Jenkins' receipt for a trigger.
type Queued struct {
	QueueID   int64  // 0 when Jenkins accepted without saying under which id
	Session   string // X-Jenkins-Session in which the id means something
	Coalesced bool   // Jenkins merged the request with an item that was queued already
}

var queueItemPath = regexp.MustCompile(`/queue/item/(\d+)/?$`)

// Start triggers one build: a single POST, never repeated here.
//
//	201 ─▶ Queued                          refused before it was sent, 4xx ─▶ the *Error: nothing was started
//	303 ─▶ Queued, Coalesced               302 ─▶ ErrNotTriggered
//	timeout after sending, connection lost, 5xx, not Jenkins' answer ─▶ ErrUnknownOutcome: search with Find first
func (c *Client) Start(ctx context.Context, ref JobRef, p Params) (Queued, error) {
	k := call{
		method: http.MethodPost, path: ref.path() + "/buildWithParameters",
		query: url.Values{"delay": {"0sec"}}, // else the build waits for a quiet period of 5 s
		body:  url.Values{ParamUID: {p.UID}, ParamAttempt: {strconv.Itoa(p.Attempt)}}.Encode(),
		ctype: "application/x-www-form-urlencoded", accept: "*/*", redirect: true,
	}
	ans, err := c.do(ctx, k)
	if err != nil {
		return Queued{}, fmt.Errorf("start job %s: %w", ref, judgeStart(err))
	}
	if ans.status == http.StatusFound {
		return Queued{}, fmt.Errorf("start job %s: %w", ref, ErrNotTriggered)
	}
	q := Queued{Session: ans.header.Get("X-Jenkins-Session"), Coalesced: ans.status == http.StatusSeeOther}
	if q.Session == "" || ans.status != http.StatusCreated && ans.status != http.StatusSeeOther {
		return Queued{}, fmt.Errorf("start job %s: %w: %w", ref, ErrUnknownOutcome, k.malformed(ans, errNotJenkins))
	}
	if m := queueItemPath.FindStringSubmatch(pathOf(ans.header.Get("Location"))); m != nil {
		q.QueueID, _ = strconv.ParseInt(m[1], 10, 64) // digits; 0 when absurdly many
	}
	return q, nil
}

// judgeStart marks the failures after which a build may exist.
func judgeStart(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Method != http.MethodPost { // the fetch of a crumb failed: Jenkins refused the POST before
		return err
	}
	if e.Sent && (e.Status == 0 || e.Status >= 500 || e.Err != nil) {
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	return err
}

func pathOf(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	return u.Path
}
