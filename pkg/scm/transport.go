package scm

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// userAgent is how hosts know us.
const userAgent = "kubectl-pipeline"

// maxRedirects is enough for a host that moved a repository.
const maxRedirects = 5

var errTooLarge = errors.New("the host sent more than the limit")

// httpClient makes a client for one call: the repository's certificates, the
// environment's proxies, at most limit bytes of answers in total, and no redirect to
// another host, which a credential would follow. authorize may be nil; it sees only
// requests to origin.
func (r Repository) httpClient(origin *url.URL, limit int64, authorize func(*http.Request)) (*http.Client, *boundedTransport, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: r.InsecureSkipTLSVerify} //nolint:gosec // asked for, default false
	if r.CABundle != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(r.CABundle)) {
			return nil, nil, errorf(KindInvalid, "read caBundle: no PEM certificate in it")
		}
		tlsConfig.RootCAs = pool
	}
	base := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  20 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
	t := &boundedTransport{base: base, origin: origin, authorize: authorize}
	t.left.Store(limit)
	return &http.Client{
		Transport: t,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			if !sameOrigin(via[0].URL, req.URL) {
				return fmt.Errorf("it redirects to another host, %s; use that address", req.URL.Hostname())
			}
			return nil
		},
	}, t, nil
}

// sameOrigin allows the step from http to https on the default ports and nothing else.
func sameOrigin(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	if from.Scheme == to.Scheme {
		return from.Port() == to.Port()
	}
	return from.Scheme == "http" && to.Scheme == "https" && from.Port() == "" && to.Port() == ""
}

type boundedTransport struct {
	base      *http.Transport
	origin    *url.URL
	authorize func(*http.Request)
	left      atomic.Int64
	// failed is the first error of reading an answer. Some of go-scm's drivers drop it
	// and return half a file as a whole one.
	failed atomic.Pointer[error]
}

func (t *boundedTransport) fail(err error) {
	if err != nil && !errors.Is(err, io.EOF) {
		t.failed.CompareAndSwap(nil, &err)
	}
}

func (t *boundedTransport) readError() error {
	if p := t.failed.Load(); p != nil {
		return *p
	}
	return nil
}

func (t *boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	// go-scm moves an escaped path to Opaque, which plain http proxies do not understand.
	if req.URL.Opaque != "" && req.URL.RawPath != "" {
		req.URL.Opaque = ""
	}
	if req.Header.Get("User-Agent") == "" { // go-git sets its own, which some hosts look at
		req.Header.Set("User-Agent", userAgent)
	}
	if t.authorize != nil && sameOrigin(t.origin, req.URL) {
		t.authorize(req)
	}
	res, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &boundedBody{ReadCloser: res.Body, t: t}
	return res, nil
}

// boundedBody counts after decompression: a small answer that unpacks to a large one
// is large.
type boundedBody struct {
	io.ReadCloser
	t *boundedTransport
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.t.left.Add(-int64(n)) < 0 {
		n, err = 0, errTooLarge
	}
	b.t.fail(err)
	return n, err
}

// unreachable turns a transport's error into ours, without the address, which the
// caller has put in front already.
func unreachable(what string, err error) *Error {
	if errors.Is(err, errTooLarge) {
		return errorf(KindTooLarge, "%s: %v", what, errTooLarge)
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return errorf(KindUnreachable, "%s: %v", what, err)
}
