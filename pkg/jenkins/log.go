package jenkins

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// LogPosition is where a reader of a build's log stands. It can be stored and used by another process: a log is only appended to.
type LogPosition struct {
	Offset   int64  // bytes of the log as Jenkins counts them, which are more than those of its text
	Skip     int64  // bytes of text behind Offset that were delivered already: non-zero after an answer that broke off
	Sessions string // the sessions of Jenkins that Offset is known to hold in, the latest last; see sessions.go
}

// LogRead is the outcome of one read.
type LogRead struct {
	Next  LogPosition // where to go on, also after an error
	Bytes int64       // of text written
	More  bool        // the build still runs or Jenkins has more: read again, after a second or so
	Full  bool        // Jenkins sent as many lines as it sends at once: read again now
	Reset bool        // the position may not hold any more, as after a crash: nothing was written, Next is the log's beginning
}

// fullLines is more lines of a running build than Jenkins puts into one answer but for when it has many: it stops at ten thousand
// ends of lines, of which a CRLF is two.
const fullLines = 5_000

// Log writes the text of a build's log from a position on to w, as much as there is, in memory that does not grow with it. Markup
// and console notes are removed, line ends are LF. Of a running build Jenkins delivers whole lines only, where a CR ends a line, too:
// the last one is read again with what follows, since only then it is known whether that is an LF.
//
// The source is progressiveHtml: of Jenkins' log endpoints it is the only one whose X-Text-Size is exactly what was delivered, in
// every version. progressiveText of 2.509 and later counts a withheld last line as delivered.
//
// After an error, Next accounts for what was written: reading on from there neither loses nor repeats a byte.
//
// A Jenkins that was started again may have lost the end of the log and have written another one since. The size does not tell: it
// may be more than before. So a position holds in the sessions that it has seen, and any other begins with Reset: whoever has the
// text compares.
func (c *Client) Log(ctx context.Context, ref JobRef, number int, from LogPosition, w io.Writer) (LogRead, error) {
	read, err := c.readLog(ctx, ref, number, from, w)
	return read, wrap(err, "read log of %s #%d", ref, number)
}

func (c *Client) readLog(ctx context.Context, ref JobRef, number int, from LogPosition, w io.Writer) (LogRead, error) {
	read := LogRead{Next: from, More: true}
	k := call{
		method: http.MethodGet, path: ref.buildPath(number) + "/logText/progressiveHtml", accept: "text/html",
		query: url.Values{"start": {strconv.FormatInt(from.Offset, 10)}},
	}
	// The deadline is for Jenkins' silence, not for the whole: a long log over a slow line is fine as long as it moves, and a reader
	// of ours may take its time.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
	defer idle.Stop()

	resp, sent, err := c.roundTrip(ctx, k, nil)
	if err != nil {
		return read, &Error{Method: k.method, Path: k.path, Sent: sent, Err: causeOf(ctx, err)}
	}
	defer drain(resp.Body)
	size, sizeErr := strconv.ParseInt(resp.Header.Get("X-Text-Size"), 10, 64)
	if resp.StatusCode != http.StatusOK || sizeErr != nil {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxPage))
		ans := &answer{resp.StatusCode, resp.Header, body}
		if resp.StatusCode != http.StatusOK {
			return read, k.failure(ans)
		}
		return read, k.malformed(ans, errNotJenkins)
	}
	more := resp.Header.Get("X-More-Data") == "true"
	if size == 0 && more {
		return read, nil // not there yet, or not again yet after a restart
	}
	sessions, known := inSession(from.Sessions, resp.Header.Get("X-Jenkins-Session"))
	reset := LogRead{Next: LogPosition{Sessions: sessions}, More: true, Reset: true}
	if moved := from.Offset > 0 || from.Skip > 0; moved && !known || size < from.Offset {
		// Of a shorter log Jenkins has sent the beginning. Only the caller knows what to do with text that it has seen.
		return reset, nil
	}
	read.Next.Sessions = sessions
	text := &textWriter{w: w, skip: from.Skip}
	buf := make([]byte, 32<<10)
	for {
		n, rerr := resp.Body.Read(buf)
		idle.Stop()
		if n > 0 {
			err = text.write(buf[:n])
		}
		held := int64(0)
		if err == nil && rerr == io.EOF {
			held, err = text.flush(more)
		}
		read.Bytes = text.written
		read.Next.Skip = from.Skip + text.written
		switch {
		case err != nil:
			return read, fmt.Errorf("write log: %w", err)
		case rerr == io.EOF && text.skip > 0:
			return reset, nil // it grew beyond Offset again, but not to where an answer had broken off
		case rerr == io.EOF:
			read.Next.Offset, read.Next.Skip = size-held, 0
			read.More, read.Full = more, more && text.lines >= fullLines
			return read, nil
		case rerr != nil:
			return read, &Error{Method: k.method, Path: k.path, Status: resp.StatusCode, Sent: true, Err: causeOf(ctx, rerr)}
		}
		idle.Reset(c.timeout)
	}
}

func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
