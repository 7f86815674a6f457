package jenkinstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

// AgentOptions say how pods are made.
type AgentOptions struct {
	Namespace  string // where pods go whose podTemplate names none; default "default"
	AgentImage string // of the jnlp container the plugin adds; needs a POSIX shell. Default docker.io/jenkins/inbound-agent
	// WorkspaceRoot is for simulated nodes, where exec runs on this host: every pod gets a folder of its own below it, removed with
	// the pod, in place of /home/jenkins/agent; and since a container's environment does not exist there, `sh` is given it. Empty
	// for real nodes.
	WorkspaceRoot string
	Clock         clock.Clock // nil: the real one
}

// KubeAgents makes agent pods as the Kubernetes plugin does and runs each `sh` by exec in the container it was written for. A process
// is detached from its exec, as durable-task's are: it survives a restart of the API server.
func KubeAgents(config *rest.Config, opts AgentOptions) (Agents, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the plugin limits connections, not requests
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a Kubernetes client: %w", err)
	}
	if opts.Namespace == "" {
		opts.Namespace = metav1.NamespaceDefault
	}
	if opts.AgentImage == "" {
		opts.AgentImage = "docker.io/jenkins/inbound-agent:latest-jdk21"
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.WorkspaceRoot != "" {
		if opts.WorkspaceRoot, err = filepath.Abs(opts.WorkspaceRoot); err != nil {
			return nil, fmt.Errorf("workspace root: %w", err)
		}
	}
	k := &kubeAgents{config: config, client: client, opts: opts, pods: map[*kubeAgent]bool{}}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

type kubeAgents struct {
	config *rest.Config
	client kubernetes.Interface
	opts   AgentOptions
	ctx    context.Context // of deletions, which outlive the builds they belong to
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	pods map[*kubeAgent]bool // not deleted yet
}

const (
	retryWait   = time.Second
	deleteLimit = time.Minute
)

// Close deletes what is left, among it the pods of killed builds.
func (k *kubeAgents) Close() error {
	k.mu.Lock()
	var left []*kubeAgent
	for a := range k.pods {
		left = append(left, a)
	}
	k.mu.Unlock()
	for _, a := range left {
		a.Release()
	}
	done := make(chan struct{})
	go func() { k.wg.Wait(); close(done) }()
	limit := time.NewTimer(deleteLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C: // the API server does not answer
	}
	k.cancel()
	<-done
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.pods); n > 0 {
		return fmt.Errorf("delete agent pods: %d are left", n)
	}
	return nil
}

// Provision makes pods until one is ready in time. What Jenkins does in each case:
//
//	create: quota or conflict, 5xx, no answer ─▶ again, for ever       other 4xx ─▶ cancel the queue item
//	wait:   ready ─▶ agent                 connect timeout ─▶ delete, make another, for ever
//	        image cannot be pulled, third time; a container ended; the pod failed or was deleted ─▶ cancel the queue item
func (k *kubeAgents) Provision(ctx context.Context, req NodeRequest, log io.Writer) (Agent, error) {
	template := req.Label + "-" + randomSuffix()
	for {
		pod, err := k.buildPod(req, template)
		if err != nil {
			_, _ = fmt.Fprintf(log, "ERROR: Unable to create pod from template: %v\n", err)
			return nil, interrupted("Queue task was cancelled")
		}
		a, err := k.create(ctx, pod, req, log)
		if err != nil {
			return nil, err
		}
		req.Waiting("‘" + pod.Name + "’ is offline")
		again, err := a.waitReady(ctx, req.Template.ConnectTimeout)
		if err == nil && !again {
			_, _ = fmt.Fprintf(log, "Agent %s is provisioned from template %s\n", pod.Name, template)
			if req.Template.ShowRawYAML {
				_, _ = fmt.Fprintf(log, "---\n%s\n\n", strings.TrimSpace(req.Template.YAML))
			}
			return a, nil
		}
		a.Release()
		if err != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(log, "ERROR: Failed to launch %s: not ready after %s\n", pod.Name, jenkinsDuration(req.Template.ConnectTimeout))
	}
}

func (k *kubeAgents) create(ctx context.Context, pod *corev1.Pod, req NodeRequest, log io.Writer) (*kubeAgent, error) {
	full := pod.Namespace + "/" + pod.Name
	a := &kubeAgent{k: k, ns: pod.Namespace, name: pod.Name, job: req.JobName, log: log, root: agentRoot, cookie: randomHex(16)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.lost = make(chan struct{})
	if k.opts.WorkspaceRoot != "" {
		a.root = filepath.Join(k.opts.WorkspaceRoot, pod.Namespace+"_"+pod.Name)
		if err := os.MkdirAll(filepath.Join(a.root, "home"), 0o755); err != nil {
			return nil, abort("make workspace: %v", err)
		}
	}
	k.mu.Lock()
	k.pods[a] = true // from here on it may exist, whatever we get to hear
	k.mu.Unlock()
	said := ""
	for {
		_, err := k.client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err == nil || apierrors.IsAlreadyExists(err) && said != "" { // an answer was lost
			_, _ = fmt.Fprintf(log, "Created Pod: %s %s\n", req.Template.Cloud, full)
			return a, nil
		}
		var status apierrors.APIStatus
		code := int32(0)
		if errors.As(err, &status) {
			code = status.Status().Code
		}
		quota := code == 403 && strings.Contains(err.Error(), "exceeded quota") || code == 409
		if code >= 400 && code < 500 && !quota && code != 429 {
			_, _ = fmt.Fprintf(log, "ERROR: Unable to create pod %s %s.\n%v\n", req.Template.Cloud, full, err)
			a.Release()
			return nil, interrupted("Queue task was cancelled")
		}
		if said != err.Error() {
			said = err.Error()
			_, _ = fmt.Fprintf(log, "WARNING: Unable to create pod: %s %s %v. Retrying...\n", req.Template.Cloud, full, err)
			req.Waiting(err.Error())
		}
		if !k.sleep(ctx, retryWait) {
			a.Release()
			return nil, ctx.Err()
		}
	}
}

func (k *kubeAgents) sleep(ctx context.Context, d time.Duration) bool {
	t := k.opts.Clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-ctx.Done():
		return false
	}
}
