package jenkins

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// Input is a question a build waits on.
type Input struct {
	ID      string // as Jenkins spells it: the `id` argument with an upper case first letter
	Message string
	OK      string // caption of the button that proceeds
}

// PendingInputs lists the questions of a build. It needs the plugin pipeline-rest-api; without it, as for a build that does not
// exist, the error is [IsNotFound].
func (c *Client) PendingInputs(ctx context.Context, ref JobRef, number int) ([]Input, error) {
	var out []struct {
		ID      string `json:"id"`
		Message string `json:"message"`
		OK      string `json:"proceedText"`
	}
	_, err := c.getJSON(ctx, ref.buildPath(number)+"/wfapi/pendingInputActions", "", maxJSON, &out)
	inputs := make([]Input, 0, len(out))
	for _, in := range out {
		inputs = append(inputs, Input(in))
	}
	return inputs, wrap(err, "read inputs of %s #%d", ref, number)
}

// Proceed answers an input without parameters. It reports false when the input is not pending: somebody else answered it.
func (c *Client) Proceed(ctx context.Context, ref JobRef, number int, id string) (bool, error) {
	return c.answerInput(ctx, ref, number, id, "proceedEmpty")
}

// AbortInput refuses an input; the build ends as ABORTED. It reports false when the input is not pending.
func (c *Client) AbortInput(ctx context.Context, ref JobRef, number int, id string) (bool, error) {
	return c.answerInput(ctx, ref, number, id, "abort")
}

func (c *Client) answerInput(ctx context.Context, ref JobRef, number int, id, verb string) (bool, error) {
	_, err := c.post(ctx, ref.buildPath(number)+"/input/"+url.PathEscape(id)+"/"+verb, nil)
	var e *Error
	if errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest && e.XError != "") {
		return false, nil
	}
	return err == nil, wrap(err, "answer input %s of %s #%d", id, ref, number)
}
