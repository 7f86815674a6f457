package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/manifests"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/logs"
)

// slowLog is a log of which each read brings one line, and the third needs gate.
type slowLog struct {
	gate  chan struct{}
	reads atomic.Int64
}

func (l *slowLog) ReadLog(ctx context.Context, _ string, _ int64, from logs.Position, w io.Writer) (logs.Read, error) {
	n := l.reads.Add(1)
	if n == 3 {
		select {
		case <-l.gate:
		case <-ctx.Done():
			return logs.Read{Next: from}, ctx.Err()
		}
	}
	_, err := fmt.Fprintf(w, "line %d 世界\n", n)
	return logs.Read{Next: logs.Position{Offset: n}, More: n < 5}, err
}

// TestLogsThroughTheAPIServer goes the plugin's whole way: a person with the role view
// makes a token for hookd, and asks hookd through the API server's service proxy, which
// runs with its own ServiceAccount's rights.
func TestLogsThroughTheAPIServer(t *testing.T) {
	s := start(t)
	ip := net.ParseIP(s.HostIP())
	if ip == nil || ip.IsLoopback() {
		t.Skip("the API server does not proxy to a loopback address, and the cluster has no other here")
	}
	ns := s.namespace(t)
	ctx, client := t.Context(), s.Client()
	runAs, err := s.ServiceAccountConfig(ctx, manifests.Namespace, "hookd")
	if err != nil {
		t.Fatal(err)
	}
	hookd, err := kube.NewClients(runAs)
	if err != nil {
		t.Fatal(err)
	}
	source := &slowLog{gate: make(chan struct{})}
	srv := httptest.NewUnstartedServer(logs.NewHandler(logs.Options{
		Clients: hookd,
		Sources: func(context.Context, string) (logs.Source, error) { return source, nil },
		Sleep: func(ctx context.Context, _ time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Millisecond):
				return nil
			}
		},
	}))
	srv.Listener.Close()
	if srv.Listener, err = net.Listen("tcp", net.JoinHostPort(ip.String(), "0")); err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer srv.Close()
	expose(t, s, ip.String(), int32(srv.Listener.Addr().(*net.TCPAddr).Port))

	// What hookd makes in a project, and who may read there.
	for _, name := range []string{logs.ReaderServiceAccount, "default-2"} {
		if _, err := client.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "jane"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "jane"}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	janeConfig, err := s.UserConfig("jane")
	if err != nil {
		t.Fatal(err)
	}
	jane, err := kubernetes.NewForConfig(janeConfig)
	if err != nil {
		t.Fatal(err)
	}
	janeHTTP, err := rest.HTTPClientFor(janeConfig)
	if err != nil {
		t.Fatal(err)
	}
	obj, err := s.create(t, ns, mustParse(t, "apiVersion: kubectl-pipeline.io/v1alpha1\nkind: PipelineExecution\nmetadata: {name: app-1}\nspec: {pipelineRef: {name: app}, trigger: {type: Manual}}"))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(token, namespace, query string) *http.Response {
		t.Helper()
		url := fmt.Sprintf("%s/api/v1/namespaces/%s/services/http:hookd:8080/proxy/logs/%s/app-1%s", janeConfig.Host, manifests.Namespace, namespace, query)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(logs.HeaderToken, token)
		resp, err := janeHTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	var token string
	if err := eventually(ctx, func(ctx context.Context) (bool, error) { // the role view is put together by a controller
		token, err = tokenFor(ctx, jane, ns, logs.ReaderServiceAccount, logs.Audience)
		return err == nil, err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := tokenFor(ctx, jane, ns, "default-2", logs.Audience); err == nil {
		t.Error("jane makes tokens of any ServiceAccount")
	}
	if _, err := tokenFor(ctx, jane, "default", logs.ReaderServiceAccount, logs.Audience); err == nil {
		t.Error("jane makes tokens in any namespace")
	}
	forAPIServer, err := tokenFor(ctx, jane, ns, logs.ReaderServiceAccount, "https://kubernetes.default.svc")
	if err != nil {
		t.Fatal(err)
	}
	other, err := tokenFor(ctx, client, ns, "default-2", logs.Audience)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		token, namespace string
		status           int
	}{
		"without a token":                    {"", ns, 401},
		"with a token that is none":          {"x.y.z", ns, 401},
		"with a token for the API server":    {forAPIServer, ns, 401},
		"with another account's token":       {other, ns, 403},
		"in another namespace":               {token, "default", 403},
		"of a run that has not been started": {token, ns, 409},
	} {
		if resp := ask(tc.token, tc.namespace, ""); resp.StatusCode != tc.status {
			body, _ := io.ReadAll(resp.Body)
			t.Errorf("%s: status is %d %s, want %d", name, resp.StatusCode, body, tc.status)
		}
	}

	obj.Object["status"] = map[string]any{"phase": "Running", "engine": map[string]any{"job": "shop/app-1", "build": int64(1)}}
	r, err := s.resource(obj)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.UpdateStatus(ctx, obj, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	resp := ask(token, ns, "?follow=true")
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("status is %d %s, want 200", resp.StatusCode, body)
	}
	// What was written arrives while the log is still being written.
	first := make([]byte, len("line 1 世界\nline 2 世界\n"))
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	close(source.gate)
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for n := range 5 {
		want += fmt.Sprintf("line %d 世界\n", n+1)
	}
	if got := string(first) + string(rest); got != want {
		t.Errorf("log is %q, want %q", got, want)
	}
	if got := resp.Trailer.Get(logs.TrailerComplete); got != "true" {
		t.Errorf("trailers are %v, want %s: true", resp.Trailer, logs.TrailerComplete)
	}
}

// expose makes hookd's Service lead to this process.
func expose(t *testing.T, s *server, ip string, port int32) {
	t.Helper()
	ctx, services := t.Context(), s.Client().CoreV1().Services(manifests.Namespace)
	svc, err := services.Get(ctx, "hookd", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := svc.Spec.Selector
	if _, err := services.Patch(ctx, "hookd", types.JSONPatchType, []byte(`[{"op": "remove", "path": "/spec/selector"}]`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	// The API server proxies to addresses of pods only: it looks the pod up.
	pods := s.Client().CoreV1().Pods(manifests.Namespace)
	no, yes, user := false, true, int64(65532)
	pod, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "hookd-test"},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{Name: "hookd", Image: manifests.Image, SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Appendf(nil, `{"status": {"podIP": %q, "podIPs": [{"ip": %q}]}}`, ip, ip)
	if _, err := pods.Patch(ctx, pod.Name, types.MergePatchType, address, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	ready, tcp, name := true, corev1.ProtocolTCP, "http"
	slices := s.Client().DiscoveryV1().EndpointSlices(manifests.Namespace)
	if _, err := slices.Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "hookd-test", Labels: map[string]string{discoveryv1.LabelServiceName: "hookd"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses:  []string{ip},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		}},
		Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &tcp}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx)
		_ = slices.Delete(ctx, "hookd-test", metav1.DeleteOptions{})
		_ = pods.Delete(ctx, "hookd-test", metav1.DeleteOptions{})
		if svc, err := services.Get(ctx, "hookd", metav1.GetOptions{}); err == nil {
			svc.Spec.Selector = before
			_, _ = services.Update(ctx, svc, metav1.UpdateOptions{})
		}
	})
	if err := eventually(ctx, func(ctx context.Context) (bool, error) {
		_, err := s.Client().CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces/" + manifests.Namespace + "/services/http:hookd:8080/proxy/logs").Do(ctx).Raw()
		return err != nil && strings.Contains(err.Error(), "could not find"), err // our 404
	}); err != nil {
		t.Fatal(err)
	}
}
