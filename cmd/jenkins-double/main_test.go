package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestParse(t *testing.T) {
	secret := map[string]string{envControl: "s", envToken: "t"}
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		want string // part of the error
	}{
		"defaults":                          {},
		"a control on loopback":             {args: []string{"--control", "127.0.0.1:0"}, env: secret},
		"a control on loopback, IPv6":       {args: []string{"--control", "[::1]:0"}, env: secret},
		"a control without a secret":        {args: []string{"--control", "127.0.0.1:0"}, want: envControl},
		"a control for everybody":           {args: []string{"--control", ":8090"}, env: secret, want: "loopback"},
		"a control on a name":               {args: []string{"--control", "localhost:8090"}, env: secret, want: "loopback"},
		"a control on an address":           {args: []string{"--control", "10.0.0.1:8090"}, env: secret, want: "loopback"},
		"a control without a port":          {args: []string{"--control", "127.0.0.1"}, env: secret, want: "missing port"},
		"a user":                            {args: []string{"--user", "u"}, env: secret},
		"a user without token and password": {args: []string{"--user", "u"}, want: envToken},
		"local agents without a place":      {args: []string{"--agents", "local"}, want: "--workspaces"},
		"an argument":                       {args: []string{"serve"}, want: `"serve"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(tc.args, func(key string) string { return tc.env[key] }, io.Discard)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error = %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := agents(options{agents: "mainframe"}); err == nil {
		t.Error("unknown agents are accepted")
	}
}

// TestRun starts the double on free ports, reads where they are, and restarts Jenkins from outside.
func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	o := options{listen: "127.0.0.1:0", control: "127.0.0.1:0", controlSecret: "s", agents: "none", jenkins: jenkinstest.Options{ContextPath: "/ci"}}
	go func() {
		ended <- run(ctx, o, in)
		in.Close()
	}()
	addresses := map[string]string{}
	for lines := bufio.NewScanner(out); len(addresses) < 2 && lines.Scan(); {
		name, url, _ := strings.Cut(lines.Text(), " ")
		addresses[name] = url
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	session := func() string {
		resp, err := client.Get(addresses["jenkins"] + "/api/json")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header.Get("X-Jenkins-Session")
	}
	before := session()
	if _, err := (jenkinstest.Remote{URL: addresses["control"], Secret: "s", HTTP: client}).Restart(t.Context(), jenkinstest.RestartOptions{}); err != nil {
		t.Fatal(err)
	}
	if after := session(); len(before) != 8 || len(after) != 8 || before == after {
		t.Errorf("sessions = %q and %q, want two", before, after)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
