package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`

func TestRunServesUntilItIsStopped(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free now
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", addr, "--kubeconfig", config, "--user", "u", "--token", "t", "--context-path", "/ci"})
	}()
	client := &http.Client{Timeout: 10 * time.Second}
	deadline := time.After(20 * time.Second)
	for {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+"/ci/api/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("u", "t")
		resp, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != 200 || resp.Header.Get("X-Jenkins") == "" {
				t.Errorf("answer = %d %v", resp.StatusCode, resp.Header)
			}
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("ended: %v", err)
		case <-deadline:
			t.Fatalf("no answer: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run = %v, want nil after an interrupt", err)
	}
}

func TestRunRefusesWhatItCannotDo(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown flag": {"--nonsense"},
		"no such cluster": {"--kubeconfig", filepath.Join(t.TempDir(), "none")},
	} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
