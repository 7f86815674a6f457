package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// endless is a source that writes until its writer fails or the request is over.
type endless struct{ failed chan error }

func (s endless) ReadLog(ctx context.Context, _ string, _ int64, _ Position, w io.Writer) (Read, error) {
	p := make([]byte, maxChunk)
	for ctx.Err() == nil {
		if _, err := w.Write(p); err != nil {
			s.failed <- err
			return Read{}, err
		}
	}
	s.failed <- ctx.Err()
	return Read{}, ctx.Err()
}

func TestHandlerCutsOffAReaderThatDoesNotRead(t *testing.T) {
	api := newAPIServer(t)
	api.set("app-1", running)
	src := endless{make(chan error, 1)}
	url := serve(t, api, src, func(_ *Options, srv *httptest.Server) {
		srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			c.(hurriedConn).SetWriteBuffer(4 << 10)
			return ctx
		}
		srv.Listener = hurried{srv.Listener}
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /logs/shop/app-1?follow=true HTTP/1.1\r\nHost: x\r\n%s: %s\r\n\r\n", HeaderToken, goodToken)
	select {
	case err := <-src.failed:
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("error is %v, want a timeout", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the reader was not cut off")
	}
}

// hurried is a listener on whose connections time goes by a hundred times faster: a
// deadline is that much nearer.
type hurried struct{ net.Listener }

func (l hurried) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hurriedConn{c.(*net.TCPConn)}, nil
}

type hurriedConn struct{ *net.TCPConn }

func (c hurriedConn) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		t = time.Now().Add(time.Until(t) / 100)
	}
	return c.TCPConn.SetWriteDeadline(t)
}

func TestHandlerEndsWithItsReader(t *testing.T) {
	api := newAPIServer(t)
	api.set("app-1", running)
	src := endless{make(chan error, 1)}
	url := serve(t, api, src)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+"/logs/shop/app-1?follow=true", nil)
	req.Header.Set(HeaderToken, goodToken)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(resp.Body, make([]byte, 100))
	cancel()
	resp.Body.Close()
	select {
	case <-src.failed:
	case <-time.After(20 * time.Second):
		t.Fatal("the stream goes on without its reader")
	}
}

func TestHandlerLivesLongerThanTheServersDeadlines(t *testing.T) {
	api := newAPIServer(t)
	api.set("app-1", running)
	var reads atomic.Int64
	start := time.Now()
	const deadline = 100 * time.Millisecond
	src := sourceFunc(func(_ context.Context, w io.Writer) (Read, error) {
		reads.Add(1)
		io.WriteString(w, "x")
		return Read{More: time.Since(start) < 5*deadline}, nil
	})
	url := serve(t, api, src, func(o *Options, srv *httptest.Server) {
		srv.Config.ReadTimeout, srv.Config.WriteTimeout = deadline, deadline
		o.Sleep = func(ctx context.Context, _ time.Duration) error { return sleep(ctx, deadline/10) }
	})
	got := get(t, url+"/logs/shop/app-1?follow=true", goodToken)
	if got.err != nil || got.trailer.Get(TrailerComplete) != "true" || int64(len(got.body)) != reads.Load() {
		t.Errorf("got %d bytes of %d (error: %v), trailers %v", len(got.body), reads.Load(), got.err, got.trailer)
	}
}

func TestHandlerBoundsTheNumberOfStreams(t *testing.T) {
	api := newAPIServer(t)
	api.set("app-1", running)
	release := make(chan struct{})
	url := serve(t, api, sourceFunc(func(ctx context.Context, w io.Writer) (Read, error) {
		io.WriteString(w, "x")
		select {
		case <-release:
		case <-ctx.Done():
		}
		return Read{}, nil
	}))
	if got := get(t, url+"/logs/shop/nothing", goodToken); got.status != http.StatusNotFound {
		t.Fatalf("answer is %d %s, want 404", got.status, got.body) // the token is remembered from here on
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer close(release)
	begun := make(chan struct{})
	for range MaxStreams {
		all.Go(func() {
			req, _ := http.NewRequest(http.MethodGet, url+"/logs/shop/app-1", nil)
			req.Header.Set(HeaderToken, goodToken)
			resp, err := http.DefaultTransport.RoundTrip(req)
			begun <- struct{}{}
			if err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	for range MaxStreams {
		<-begun
	}
	got := get(t, url+"/logs/shop/app-1", goodToken)
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "128 logs are being read already") {
		t.Errorf("answer is %d %s, want 503", got.status, got.body)
	}
}
