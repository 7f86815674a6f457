package jenkins

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// LogTail reads the end of a build's log, at most limit bytes of it: what Jenkins says of why the build ended. Console notes, escape
// sequences and control characters are removed; a line of which only a part was read is left out.
func (c *Client) LogTail(ctx context.Context, ref JobRef, number int, limit int64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	text, size, err := c.logFrom(ctx, ref, number, 0, limit)
	if err == nil && size > limit {
		if text, _, err = c.logFrom(ctx, ref, number, size-limit, 2*limit); err == nil { // with CRs, it is longer than Jenkins counts
			_, text, _ = strings.Cut(text, "\n")
		}
	}
	return plain(text), wrap(err, "read the end of the log of %s #%d", ref, number)
}

// logFrom reads at most limit bytes. The size is that of the whole log.
func (c *Client) logFrom(ctx context.Context, ref JobRef, number int, start, limit int64) (text string, size int64, err error) {
	k := call{
		method: http.MethodGet, path: ref.buildPath(number) + "/logText/progressiveText", accept: "text/plain",
		query: url.Values{"start": {strconv.FormatInt(start, 10)}},
	}
	resp, sent, err := c.roundTrip(ctx, k, nil)
	if err != nil {
		return "", 0, &Error{Method: k.method, Path: k.path, Sent: sent, Err: err}
	}
	defer drain(resp.Body)
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	ans := &answer{resp.StatusCode, resp.Header, body}
	if resp.StatusCode != http.StatusOK {
		return "", 0, k.failure(ans)
	}
	size, sizeErr := strconv.ParseInt(resp.Header.Get("X-Text-Size"), 10, 64)
	switch {
	case sizeErr != nil:
		return "", 0, k.malformed(ans, errNotJenkins)
	case err != nil:
		return "", 0, k.malformed(ans, err)
	}
	return string(body), size, nil
}

// escapes are console notes, and what colours a terminal.
var escapes = regexp.MustCompile("\x1b\\[8mha:[A-Za-z0-9+/=]*\x1b\\[0m|\x1b\\[[0-9;?]*[ -/]*[@-~]")

// plain is a text as it may be shown anywhere.
func plain(text string) string {
	text = escapes.ReplaceAllString(strings.ToValidUTF8(text, "�"), "")
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}
