package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// Stop asks a build to end as if a person had pressed the button; it ends later, as ABORTED, after its cleanup ran. Asking again is
// harmless. A build that does not exist is [IsNotFound]. Shortly after Jenkins restarted, Stop is a hard kill.
func (c *Client) Stop(ctx context.Context, ref JobRef, number int) error {
	return c.act(ctx, "stop", ref, number)
}

// Term makes every running step of a build fail: for one that has ignored Stop for 15 seconds.
func (c *Client) Term(ctx context.Context, ref JobRef, number int) error {
	return c.act(ctx, "term", ref, number)
}

// Kill ends a build at once and leaves what it was doing behind, agent pods too: for one that has ignored Term for 15 seconds.
func (c *Client) Kill(ctx context.Context, ref JobRef, number int) error {
	return c.act(ctx, "kill", ref, number)
}

func (c *Client) act(ctx context.Context, verb string, ref JobRef, number int) error {
	_, err := c.post(ctx, ref.buildPath(number)+"/"+verb, nil)
	return wrap(err, "%s build %s #%d", verb, ref, number)
}

// CancelQueue takes an item out of the queue. It reports false when the item is not there any more: then it was cancelled or has
// become a build, which is to be stopped instead.
func (c *Client) CancelQueue(ctx context.Context, id int64) (bool, error) {
	_, err := c.post(ctx, "/queue/cancelItem", url.Values{"id": {strconv.FormatInt(id, 10)}})
	var e *Error
	if errors.As(err, &e) && e.Session != "" && (e.Status == http.StatusNotFound || e.Status == http.StatusInternalServerError) {
		return false, nil // 500 is how Jenkins says that the item has just left
	}
	return err == nil, wrap(err, "cancel queue item %d", id)
}

// PauseState tells whether a build is paused, and whether it still runs. It needs the plugin pipeline-graph-view; without it, as
// for a build that does not exist, the error is [IsNotFound].
func (c *Client) PauseState(ctx context.Context, ref JobRef, number int) (paused, building bool, err error) {
	var out struct {
		Data struct {
			Paused   bool `json:"paused"`
			Building bool `json:"building"`
		} `json:"data"`
	}
	_, err = c.getJSON(ctx, ref.buildPath(number)+"/stages/pauseState", "", maxJSON, &out)
	return out.Data.Paused, out.Data.Building, wrap(err, "read pause state of %s #%d", ref, number)
}

// SetPaused pauses a build between two steps, or lets it go on; a script that runs is not interrupted. Jenkins can only toggle, so
// the state is read first and the toggle is sent once: after [ErrUnknownOutcome] call SetPaused again, which reads again.
func (c *Client) SetPaused(ctx context.Context, ref JobRef, number int, want bool) error {
	paused, building, err := c.PauseState(ctx, ref, number)
	if err != nil {
		return err
	}
	if paused == want || !building {
		return nil
	}
	_, err = c.post(ctx, ref.buildPath(number)+"/pause/toggle", nil)
	if err != nil {
		return fmt.Errorf("toggle pause of %s #%d: %w", ref, number, judgeStart(err))
	}
	return nil
}
