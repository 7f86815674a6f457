package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

const (
	httpTimeout  = 10 * time.Second
	readyTimeout = 60 * time.Second
	pollInterval = 50 * time.Millisecond
)

// build makes the two programs as they are released, which the build cache knows.
func (w *World) build(ctx context.Context) error {
	w.bin = filepath.Join(w.dir, "bin")
	if err := os.MkdirAll(w.bin, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", w.bin, "./cmd/...")
	cmd.Dir = w.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build programs: %w\n%s", err, out)
	}
	return nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// Hookd is one running replica.
type Hookd struct {
	// URL is where it receives hooks and serves logs.
	URL string
	// Metrics is where it serves /metrics and the probes.
	Metrics string
	// LogFile is what it says.
	LogFile string

	args []string
	env  []string
	cmd  *exec.Cmd
	done chan struct{}
	stop sync.Once
}

// HookdOptions says how a replica is run.
type HookdOptions struct {
	// Config is how it reaches the API server: directly, with the rights of its
	// ServiceAccount, unless a test changes that.
	Config *rest.Config
	// Args and Env are added to its flags and its environment.
	Args, Env []string
}

// StartHookd runs one more replica, with the rights of its ServiceAccount, and
// returns when it is ready.
func (w *World) StartHookd(ctx context.Context, change ...func(*HookdOptions)) (*Hookd, error) {
	config, err := w.Cluster.ServiceAccountConfig(ctx, HookdNamespace, "hookd")
	if err != nil {
		return nil, err
	}
	opts := HookdOptions{Config: config}
	for _, c := range change {
		c(&opts)
	}
	ports, err := w.freePorts(2)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := w.Cluster.WriteKubeconfig("hookd-"+ports[0], opts.Config, HookdNamespace)
	if err != nil {
		return nil, err
	}
	h := &Hookd{
		URL: "http://" + ports[0], Metrics: "http://" + ports[1],
		LogFile: filepath.Join(w.dir, "hookd-"+strings.ReplaceAll(ports[0], ":", "-")+".log"), done: make(chan struct{}),
	}
	h.args = []string{"--kubeconfig", kubeconfig, "--namespace", HookdNamespace,
		"--listen", ports[0], "--metrics-listen", ports[1], "--external-url", h.URL, "--log-format", "text"}
	h.args, h.env = append(h.args, opts.Args...), opts.Env
	if err := w.launch(h); err != nil {
		return nil, err
	}
	w.Hookd = append(w.Hookd, h)
	if err := h.waitReady(ctx); err != nil {
		return nil, err
	}
	return h, w.route(ctx)
}

// launch starts the program of a replica.
func (w *World) launch(h *Hookd) error {
	log, err := os.OpenFile(h.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	h.cmd = exec.Command(filepath.Join(w.bin, "hookd"), h.args...)
	h.cmd.Stdout, h.cmd.Stderr = log, log
	h.cmd.Env = append(os.Environ(), h.env...)
	h.cmd.SysProcAttr = childAttributes()
	if err := w.starter.start(h.cmd); err != nil {
		return fmt.Errorf("start hookd: %w", err)
	}
	go func() {
		_ = h.cmd.Wait() // why it ended is in its log
		close(h.done)
	}()
	return nil
}

func (h *Hookd) waitReady(ctx context.Context) error {
	client := http.Client{Timeout: httpTimeout}
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-h.done:
			return false, fmt.Errorf("it ended: %s", h.cmd.ProcessState)
		default:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Metrics+"/readyz", nil)
		if err != nil {
			return false, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return false, nil //nolint:nilerr // not there yet
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		log, _ := os.ReadFile(h.LogFile)
		return fmt.Errorf("wait for hookd: %w\n%s", err, tail(log, 4000))
	}
	return nil
}

func tail(b []byte, n int) []byte { return bytes.TrimSpace(b[max(0, len(b)-n):]) }

// KillHookd ends every replica as a crash would. What is started later replaces them.
func (w *World) KillHookd() error {
	var errs []error
	for _, h := range w.Hookd {
		errs = append(errs, h.end(syscall.SIGKILL))
	}
	w.Hookd = nil
	return errors.Join(errs...)
}

// Stop ends the replica as a rolling update would.
func (h *Hookd) Stop() error { return h.end(syscall.SIGTERM) }

func (h *Hookd) end(signal os.Signal) error {
	var err error
	h.stop.Do(func() {
		_ = h.cmd.Process.Signal(signal) // it may have ended
		select {
		case <-h.done:
		case <-time.After(readyTimeout):
			err = fmt.Errorf("hookd did not end within %s after %s", readyTimeout, signal)
			_ = h.cmd.Process.Kill()
			<-h.done
		}
	})
	return err
}

func (w *World) freePorts(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(w.Cluster.HostIP(), "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// Kubectl is a kubectl command as a person would type it: the plugin is on PATH and
// the context's namespace is namespace.
func (w *World) Kubectl(ctx context.Context, namespace string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	env := append(os.Environ(),
		"PATH="+w.bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"KUBECTL_PIPELINE_HOOKD_URL="+w.logsURL(),
	)
	config, err := w.Cluster.WriteKubeconfig("person-"+namespace, w.Cluster.RESTConfig(), namespace)
	if err != nil {
		cmd.Err = err
		return cmd
	}
	cmd.Env = append(env, "KUBECONFIG="+config)
	return cmd
}

// logsURL is empty where the API server can proxy to hookd: it does not to loopback
// addresses, which a cluster without real nodes is confined to.
func (w *World) logsURL() string {
	if ip := net.ParseIP(w.Cluster.HostIP()); ip != nil && ip.IsLoopback() && len(w.Hookd) > 0 {
		return w.Hookd[0].URL
	}
	return ""
}
