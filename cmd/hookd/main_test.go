package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) } //nolint:forbidigo // this is a main

func TestParse(t *testing.T) {
	env := func(key string) string { return map[string]string{"POD_NAMESPACE": "kubectl-pipeline"}[key] }
	for name, tc := range map[string]struct {
		args []string
		env  func(string) string
		want string // part of the error
		ok   func(options) bool
	}{
		"defaults": {env: env, ok: func(o options) bool {
			return o.namespace == "kubectl-pipeline" && o.listen == ":8080" && o.metricsListen == ":8081" && o.leaderElect && o.logFormat == "json"
		}},
		"flags win over the environment":     {args: []string{"--namespace", "other", "--log-level", "debug"}, env: env, ok: func(o options) bool { return o.namespace == "other" && o.logLevel == slog.LevelDebug }},
		"a lease needs a namespace":          {want: "POD_NAMESPACE"},
		"without a lease it does not":        {args: []string{"--leader-elect=false"}, ok: func(o options) bool { return !o.leaderElect }},
		"the version needs nothing":          {args: []string{"--version"}, ok: func(o options) bool { return o.version }},
		"an unknown log format is named":     {args: []string{"--log-format", "xml"}, env: env, want: `"xml"`},
		"an unknown log level is named":      {args: []string{"--log-level", "loud"}, env: env, want: `"loud"`},
		"a lease has a duration":             {args: []string{"--lease-duration", "3s"}, env: env, ok: func(o options) bool { return o.leaseDuration == 3*time.Second }},
		"a lease lasts whole seconds":        {args: []string{"--lease-duration", "1500ms"}, env: env, want: "1.5s"},
		"an argument is refused":             {args: []string{"serve"}, env: env, want: `"serve"`},
		"an unknown flag is refused":         {args: []string{"--nope"}, env: env, want: "nope"},
		"help is no error of the user's own": {args: []string{"-h"}, env: env, want: flag.ErrHelp.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.env == nil {
				tc.env = func(string) string { return "" }
			}
			o, err := parse(tc.args, tc.env, io.Discard)
			switch {
			case tc.want == "" && err != nil, tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error = %v, want %q", err, tc.want)
			case tc.ok != nil && !tc.ok(o):
				t.Errorf("options = %+v", o)
			}
		})
	}
}

// TestRun starts hookd on a real API server, and ends it as SIGTERM does.
func TestRun(t *testing.T) {
	c, err := cluster.Start(t.Context(), cluster.Options{APIServerOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	clients, err := kube.NewClients(c.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clients.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "home"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	installCRDs(t, c)
	public, private := freeAddress(t), freeAddress(t)
	o, err := parse([]string{"--kubeconfig", c.Kubeconfig(), "--namespace", "home", "--listen", public, "--metrics-listen", private}, os.Getenv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	ctx, term := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, o, slog.New(slog.NewTextHandler(&out, nil))) }()
	poll(t, "it is ready and leads", func() error {
		if code, body := get(t, "http://"+private+"/readyz"); code != http.StatusOK {
			return fmt.Errorf("readyz is %d: %s", code, body)
		}
		lease, err := clients.Leases("home").Get(t.Context(), leaseName, metav1.GetOptions{})
		if err == nil && lease.Spec.HolderIdentity == nil {
			err = errors.New("nobody holds the lease")
		}
		return err
	})
	for url, want := range map[string]int{
		"http://" + private + "/healthz": http.StatusOK,
		"http://" + private + "/metrics": http.StatusOK,
		"http://" + public + "/metrics":  http.StatusNotFound,
		"http://" + public + "/logs/a/b": http.StatusUnauthorized,
		"http://" + public + "/hooks/x":  http.StatusMethodNotAllowed,
	} {
		if code, body := get(t, url); code != want {
			t.Errorf("GET %s is %d, want %d: %s", url, code, want, body)
		}
	}
	poll(t, "metrics are counted", func() error {
		if _, body := get(t, "http://"+private+"/metrics"); !strings.Contains(body, `kubectl_pipeline_executions_finished_total{phase="Succeeded"} 0`) {
			return errors.New("the series of finished executions is not there")
		}
		return nil
	})
	term()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("run: %v\n%s", err, out.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("hookd does not end")
	}
	lease, err := clients.Leases("home").Get(t.Context(), leaseName, metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity != nil {
		t.Errorf("lease = %+v, %v: want it given back", lease.Spec, err)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func poll(t *testing.T, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited for: %s; %v", what, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}
