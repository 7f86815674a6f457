package hook

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestBodyThatNeverComes: net/http reads what is left of a body before it answers or
// goes on, also for a handler that does not look at it. Whoever sends none must not
// keep the connection, of which there are a limited number.
func TestBodyThatNeverComes(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if s.ReadTimeout != ReadTimeout {
		t.Fatalf("ReadTimeout is %s, want %s", s.ReadTimeout, ReadTimeout)
	}
	s.ReadTimeout = 100 * time.Millisecond
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, s) }()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /nothing HTTP/1.1\r\nHost: hookd\r\nContent-Length: 1000\r\n\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
		t.Errorf("no answer: %v", err)
	} else if resp.Body.Close(); !resp.Close {
		t.Error("the connection is kept")
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
