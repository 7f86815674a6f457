package harness

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

// Account of the Jenkins double.
const (
	JenkinsUser  = "pipeline"
	JenkinsToken = "11aabbccddeeff00112233445566778899"
)

func (w *World) startJenkins() error {
	l, url, err := w.listen()
	if err != nil {
		return err
	}
	agents := jenkinstest.AgentOptions{AgentImage: AgentImage}
	if w.opts.Real == 0 && !cluster.Sandboxed() {
		// Steps run on this machine without a root of their own: keep them in our folder.
		agents.WorkspaceRoot = filepath.Join(w.dir, "workspaces")
		if err := os.MkdirAll(agents.WorkspaceRoot, 0o755); err != nil {
			return err
		}
	}
	pods, err := jenkinstest.KubeAgents(w.Cluster.RESTConfig(), agents)
	if err != nil {
		return err
	}
	opts := jenkinstest.Options{Agents: pods, User: JenkinsUser, Token: JenkinsToken, Crumbs: true}
	if w.opts.Jenkins != nil {
		w.opts.Jenkins(&opts)
	}
	w.Jenkins = jenkinstest.New(opts)
	w.JenkinsURL = url
	w.serve(l, w.Jenkins)
	return nil
}

// install applies the manifests as a person would, then takes hookd's pods away,
// since its image cannot be pulled here: hookd runs as a program beside the
// cluster instead, with the same rights.
func (w *World) install(ctx context.Context) error {
	return w.kubectl(ctx,
		[]string{"apply", "--server-side", "-k", filepath.Join(w.root, "manifests")},
		[]string{"wait", "--for=condition=Established", "--timeout=60s", "crd", "-l", "app.kubernetes.io/part-of=kubectl-pipeline"},
		[]string{"scale", "deployment", "hookd", "--replicas=0"},
		[]string{"patch", "service", "hookd", "--type=json", "-p", `[{"op":"remove","path":"/spec/selector"}]`},
	)
}

// route makes hookd's Service lead to the replicas that run beside the cluster. The
// API server proxies to addresses of pods only, so a pod that nothing runs lends them
// its name. Called again, it forgets the replicas that are gone.
func (w *World) route(ctx context.Context) error {
	if w.logsURL() != "" {
		return nil // the API server would not proxy to a loopback address
	}
	const pod = "hookd-beside"
	var manifest strings.Builder
	fmt.Fprintf(&manifest, `
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s}
spec:
  schedulerName: none
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - {name: hookd, image: none, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}
`, pod, HookdNamespace)
	ip := w.Cluster.HostIP()
	for i, h := range w.Hookd {
		_, port, err := net.SplitHostPort(strings.TrimPrefix(h.URL, "http://"))
		if err != nil {
			return err
		}
		fmt.Fprintf(&manifest, `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-%[2]d, namespace: %[3]s, labels: {kubernetes.io/service-name: hookd}}
addressType: IPv4
ports: [{name: http, port: %[4]s, protocol: TCP}]
endpoints: [{addresses: [%[5]q], conditions: {ready: true}, targetRef: {kind: Pod, namespace: %[3]s, name: %[1]s}}]
`, pod, i, HookdNamespace, port, ip)
	}
	file := filepath.Join(w.dir, "beside.yaml")
	if err := os.WriteFile(file, []byte(manifest.String()), 0o600); err != nil {
		return err
	}
	return w.kubectl(ctx,
		[]string{"apply", "-f", file},
		[]string{"patch", "pod", pod, "--subresource=status", "--type=merge", "-p",
			fmt.Sprintf(`{"status":{"podIP":%[1]q,"podIPs":[{"ip":%[1]q}]}}`, ip)},
	)
}

// kubectl runs commands in hookd's namespace, until one fails.
func (w *World) kubectl(ctx context.Context, commands ...[]string) error {
	for _, args := range commands {
		if out, err := w.Kubectl(ctx, HookdNamespace, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %v: %w\n%s", args, err, out)
		}
	}
	return nil
}
