package scm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// streamWire speaks git-upload-pack over one stream: git:// or ssh. go-git's own
// transports for these dial without a deadline and read without a bound.
type streamWire struct {
	in     io.WriteCloser // closed: no more requests
	out    *boundedReader
	stderr *tail
	closer func()
}

// dialGit connects to a git daemon (git-daemon(1)).
func dialGit(ctx context.Context, u *url.URL, limit int64) (wire, error) {
	port := u.Port()
	if port == "" {
		port = "9418"
	}
	conn, stop, err := dialContext(ctx, net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	req := packp.GitProtoRequest{RequestCommand: transport.UploadPackServiceName, Pathname: u.Path, Host: u.Host}
	if err := req.Encode(conn); err != nil {
		stop()
		return nil, err
	}
	return &streamWire{in: nopCloser{conn}, out: &boundedReader{r: conn, left: limit}, closer: stop}, nil
}

// dialContext opens a connection that ends with ctx.
func dialContext(ctx context.Context, addr string) (net.Conn, func(), error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stopWatching := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, func() { stopWatching(); _ = conn.Close() }, nil
}

func (w *streamWire) refs(context.Context) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	err := adv.Decode(w.out)
	switch {
	case errors.Is(err, packp.ErrEmptyAdvRefs), err == nil && adv.IsEmpty():
		return nil, transport.ErrEmptyRemoteRepository
	case err != nil:
		return nil, w.refused(err)
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	return adv, nil
}

// refused finds out what a host says when it does not speak the protocol: an error
// line, or words on the error stream.
func (w *streamWire) refused(err error) error {
	if e := w.out.err; e != nil && !errors.Is(e, io.EOF) {
		return e
	}
	text := err.Error()
	if unexpected, ok := errors.AsType[*packp.ErrUnexpectedData](err); ok {
		text = string(unexpected.Data)
	}
	if w.stderr != nil {
		if s := w.stderr.wait(); s != "" {
			text = s
		}
	}
	lower := strings.ToLower(text)
	for _, words := range []string{"not found", "does not exist", "not appear to be a git repository", "no such repository", "could not be found", "not exported", "no such file"} {
		if strings.Contains(lower, words) {
			return fmt.Errorf("%w: %s", transport.ErrRepositoryNotFound, text)
		}
	}
	for _, words := range []string{"access denied", "permission denied", "not authorized"} {
		if strings.Contains(lower, words) {
			return fmt.Errorf("%w: %s", transport.ErrAuthorizationFailed, text)
		}
	}
	return errors.New(text)
}

func (w *streamWire) fetch(_ context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := req.UploadRequest.Encode(&buf); err != nil {
		return nil, err
	}
	if err := pktline.NewEncoder(&buf).EncodeString("done\n"); err != nil {
		return nil, err
	}
	if _, err := w.in.Write(buf.Bytes()); err != nil {
		return nil, err
	}
	if err := w.in.Close(); err != nil {
		return nil, err
	}
	res := packp.NewUploadPackResponse(req)
	if err := res.Decode(io.NopCloser(w.out)); err != nil {
		return nil, err
	}
	return res, nil
}

func (w *streamWire) reusable() bool { return false }
func (w *streamWire) close()         { w.closer() }

func (w *streamWire) readError() error {
	if e := w.out.err; e != nil && !errors.Is(e, io.EOF) {
		return e
	}
	return nil
}

// boundedReader reads at most left bytes and remembers how it ended.
type boundedReader struct {
	r    io.Reader
	left int64
	err  error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		n, err = 0, errTooLarge
	}
	if err != nil && b.err == nil {
		b.err = err
	}
	return n, err
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// tail keeps the beginning of what a host writes to its error stream.
type tail struct {
	mu   sync.Mutex
	buf  []byte
	done chan struct{}
}

func (t *tail) read(r io.Reader) {
	defer close(t.done)
	p := make([]byte, 1024)
	for {
		n, err := r.Read(p)
		t.mu.Lock()
		if room := 4096 - len(t.buf); room > 0 {
			t.buf = append(t.buf, p[:min(n, room)]...)
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// wait gives the host a moment to end its sentence.
func (t *tail) wait() string {
	select {
	case <-t.done:
	case <-time.After(time.Second):
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}
