package hook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

// TestAgainstARealAPIServer: the CRDs accept what is stored, the rights in the
// markers are enough and no more, and nothing is lost or doubled while the API server is
// away.
func TestAgainstARealAPIServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an API server: run without -short")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{APIServerOnly: true, LogTo: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	installCRDs(t, c.RESTConfig())
	least := grant(t, c)
	seed(t, c.RESTConfig())

	handlers := []*Handler{serveReal(t, least), serveReal(t, least)} // two replicas
	send := func(replica int, id string, change func(map[string]any)) (int, answer) {
		r := request(push(func(m map[string]any) {
			m["compare"] = id
			if change != nil {
				change(m)
			}
		}), shopKey)
		r.Header.Set("X-GitHub-Delivery", id)
		f := &fixture{t: t, h: handlers[replica]}
		code, a, _ := f.send(r)
		return code, a
	}
	admin, err := kube.NewClients(c.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	stored := func() int {
		list, err := admin.Executions("team").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}

	t.Run("a delivery sent five times over two replicas is one run", func(t *testing.T) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		for i := range 50 {
			for j := range 5 {
				wg.Go(func() {
					code, _ := send((i+j)%2, fmt.Sprint("delivery-", i), nil)
					mu.Lock()
					codes[code]++
					mu.Unlock()
				})
			}
		}
		wg.Wait()
		if codes[202] != 50 || codes[200] != 200 || stored() != 50 {
			t.Errorf("answers %v, %d runs; want 50 × 202, 200 × 200, 50 runs", codes, stored())
		}
	})
	t.Run("the CRD accepts the most that a push can hold", func(t *testing.T) {
		code, a := send(0, "delivery-largest", func(m map[string]any) {
			m["ref"] = "refs/heads/" + strings.Repeat("b", 255)
			head := m["head_commit"].(map[string]any)
			head["message"] = strings.Repeat("ü", 100_000)
			head["author"] = map[string]any{"name": strings.Repeat("n", 10_000)}
			var files []any
			for i := range 1500 {
				files = append(files, fmt.Sprintf("main/%d", i))
			}
			m["commits"].([]any)[0].(map[string]any)["added"] = files
		})
		if code != http.StatusAccepted {
			t.Errorf("%d, %+v", code, a)
		}
	})
	t.Run("the CRD accepts the most that a pull request of a fork can hold", func(t *testing.T) {
		r := request(pull(func(m map[string]any) {
			fromFork(m)
			p := m["pull_request"].(map[string]any)
			p["title"], p["user"] = strings.Repeat("ü", 10_000), map[string]any{"login": strings.Repeat("n", 10_000)}
			p["html_url"] = "https://github.com/" + strings.Repeat("u", 2000)
			p["base"].(map[string]any)["ref"] = strings.Repeat("b", 255)
			p["head"].(map[string]any)["repo"].(map[string]any)["clone_url"] = "https://github.com/" + strings.Repeat("f", 2000)
		}), shopKey)
		r.Header.Set("X-GitHub-Event", "pull_request")
		f := &fixture{t: t, h: handlers[0]}
		if code, a, _ := f.send(r); code != http.StatusAccepted {
			t.Errorf("%d, %+v", code, a)
		}
	})
	t.Run("the CRD accepts the most that a pushed image can hold, and the pipelines that wait for it", func(t *testing.T) {
		f := &fixture{t: t, h: handlers[1]}
		long := strings.Repeat("r", 255)
		body := strings.ReplaceAll(pushed(long, strings.Repeat("t", 128), "delivery-"+strings.Repeat("i", 100)), "registry.example.com", strings.Repeat("h.", 100)+"example.com:50000")
		body = strings.ReplaceAll(body, `"ann"`, `"`+strings.Repeat("n", 10_000)+`"`)
		if code, a, _ := f.send(bearer(body)); code != http.StatusAccepted || len(a.Created) != 1 {
			t.Errorf("%d, %+v", code, a)
		}
	})
	t.Run("the last delivery is in the status", func(t *testing.T) {
		eventually(t, "status.webhook.lastDelivery", func() bool {
			repo, err := admin.Repositories("team").Get(t.Context(), "shop", metav1.GetOptions{})
			return err == nil && repo.Status.Webhook.LastDelivery != nil && repo.Status.Webhook.Path == shopPath
		})
	})
	t.Run("a refusal is 500", func(t *testing.T) {
		for _, h := range handlers {
			h.doubtTimeout = 0
		}
		revoke(t, c)
		eventually(t, "the right is gone", func() bool {
			code, _ := send(0, fmt.Sprint("delivery-refused-", time.Now().UnixNano()), nil)
			return code == http.StatusInternalServerError
		})
		grant(t, c)
		eventually(t, "the right is back", func() bool {
			code, _ := send(0, fmt.Sprint("delivery-granted-", time.Now().UnixNano()), nil)
			return code == http.StatusAccepted
		})
	})
	t.Run("while the API server is away nothing is acknowledged, and nothing is lost", func(t *testing.T) {
		before := stored()
		for _, h := range handlers {
			h.createTimeout = time.Second
		}
		if err := c.StopAPIServer(); err != nil {
			t.Fatal(err)
		}
		if code, a := send(0, "delivery-away", nil); code != http.StatusServiceUnavailable {
			t.Errorf("while it is away: %d, %+v", code, a)
		}
		for _, h := range handlers {
			h.createTimeout, h.doubtTimeout = 60*time.Second, 20*time.Second
		}
		waiting := make(chan int, 1)
		go func() { code, _ := send(1, "delivery-waiting", nil); waiting <- code }()
		if err := c.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		if code := <-waiting; code != http.StatusAccepted {
			t.Errorf("a delivery that waited for it: %d", code)
		}
		if code, a := send(0, "delivery-away", nil); code != http.StatusAccepted {
			t.Errorf("sent again: %d, %+v", code, a)
		}
		if n := stored() - before; n != 2 {
			t.Errorf("%d runs of 2 deliveries", n)
		}
	})
}

func serveReal(t *testing.T, config *rest.Config) *Handler {
	t.Helper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	clients, err := kube.NewClients(config)
	if err != nil {
		t.Fatal(err)
	}
	h := NewHandler(Options{Clients: clients, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, "the handler is ready", func() bool { return h.Ready() == nil })
	return h
}

// role is what the markers of this package ask for, and nothing else.
func role() *rbacv1.ClusterRole {
	group := []string{v1alpha1.GroupName}
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "hook"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: group, Resources: []string{"sourcecoderepositories", "sourcecodeproviders", "pipelines"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: group, Resources: []string{"sourcecoderepositories/status"}, Verbs: []string{"patch"}},
		{APIGroups: group, Resources: []string{"pipelineexecutions"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}},
	}}
}

// grant gives a user the least rights and returns how to log in as that user.
func grant(t *testing.T, c *cluster.Cluster) *rest.Config {
	t.Helper()
	ctx := t.Context()
	roles := c.Client().RbacV1()
	if _, err := roles.ClusterRoles().Create(ctx, role(), metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
		if _, err := roles.ClusterRoles().Update(ctx, role(), metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	_, err := roles.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "hook"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "hook"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "hook"}},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	config, err := c.UserConfig("hook")
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// revoke takes the right to create runs.
func revoke(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	r := role()
	r.Rules = append(r.Rules[:2], r.Rules[3:]...)
	if _, err := c.Client().RbacV1().ClusterRoles().Update(t.Context(), r, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func installCRDs(t *testing.T, config *rest.Config) {
	t.Helper()
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	crds := d.Resource(apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"))
	files, err := filepath.Glob("../../manifests/crd/" + v1alpha1.GroupName + "_*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs (%v)", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var u unstructured.Unstructured
		if err := yaml.Unmarshal(b, &u.Object); err != nil {
			t.Fatal(err)
		}
		if _, err := crds.Create(t.Context(), &u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// seed makes the project of the fixture.
func seed(t *testing.T, config *rest.Config) {
	t.Helper()
	clients, err := kube.NewClients(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "team"}}}
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := clients.Secrets("team").Create(ctx, secret("shop-hook", map[string]string{"secret": shopKey}), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// A definition is served a moment after it is created.
	eventually(t, "the kinds are served", func() bool {
		_, err := clients.Pipelines("team").List(ctx, metav1.ListOptions{})
		_, err2 := clients.Repositories("team").List(ctx, metav1.ListOptions{})
		_, err3 := clients.Providers("team").List(ctx, metav1.ListOptions{})
		_, err4 := clients.Executions("team").List(ctx, metav1.ListOptions{})
		return err == nil && err2 == nil && err3 == nil && err4 == nil
	})
	provider := &v1alpha1.SourceCodeProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "github"},
		Spec:       v1alpha1.SourceCodeProviderSpec{Type: v1alpha1.ProviderGitHub, URL: "https://github.com"},
	}
	if _, err := clients.Providers("team").Create(ctx, provider, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := clients.Secrets("team").Create(ctx, secret("registry", map[string]string{"token": imageToken}), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	build := pipelineOf("build", "shop", func(p *v1alpha1.Pipeline) {
		p.Spec.Triggers.Push.Branches = nil
		p.Spec.Triggers.PullRequest = &v1alpha1.PullRequestTrigger{Forks: v1alpha1.ForksWithoutSecrets}
		p.Spec.Triggers.Image = []v1alpha1.ImageTrigger{{Registry: v1alpha1.RegistryDistribution, Repository: "r*", TokenSecretRef: &v1alpha1.SecretKeyReference{Name: "registry"}}}
	})
	if _, err := clients.Pipelines("team").Create(ctx, build, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	repo := shop()
	repo.UID = ""
	made, err := clients.Repositories("team").Create(ctx, repo, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Status = shop().Status
	if _, err := clients.Repositories("team").UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkDelivery is one delivery without the API server's part but a round trip
// over HTTP: look up, read, verify, parse, match, create.
func BenchmarkDelivery(b *testing.B) {
	f := newFixture(b)
	body := push(nil)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		r := request(body, shopKey)
		w := httptest.NewRecorder()
		f.h.rates.Clear()
		f.h.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 202 {
			b.Fatal(w.Code, w.Body)
		}
	}
}
