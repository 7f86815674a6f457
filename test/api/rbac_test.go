package api

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-pipeline/kubectl-pipeline/manifests"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestHookdRoleIsTheLeast compares hookd's rights with the list that was agreed on, so
// that a marker which grants more is seen in review.
func TestHookdRoleIsTheLeast(t *testing.T) {
	s := start(t)
	role, err := s.Client().RbacV1().ClusterRoles().Get(t.Context(), "hookd", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rights := map[string][]string{}
	for _, rule := range role.Rules {
		for _, g := range rule.APIGroups {
			for _, r := range rule.Resources {
				name := strings.TrimPrefix(g+"/"+r, "/")
				rights[name] = append(rights[name], rule.Verbs...)
			}
		}
		if len(rule.NonResourceURLs) > 0 || slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Resources, "*") || slices.Contains(rule.APIGroups, "*") {
			t.Errorf("rule %v is too wide", rule)
		}
	}
	var lines []string
	for name, verbs := range rights {
		slices.Sort(verbs)
		lines = append(lines, name+": "+strings.Join(slices.Compact(verbs), " "))
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	const golden = "testdata/hookd-rights.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("rights of hookd in every namespace (-want +got; -update accepts them):\n%s", diff)
	}
}

// right is one question to the authorizer: "verb group/resource[/subresource] [name]".
type right string

func (r right) in(namespace string) *authorizationv1.ResourceAttributes {
	words := strings.Fields(string(r))
	a := &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: words[0]}
	path := strings.Split(words[1], "/")
	if strings.Contains(path[0], ".") {
		a.Group, path = path[0], path[1:]
	}
	a.Resource = path[0]
	if len(path) > 1 {
		a.Subresource = path[1]
	}
	if len(words) > 2 {
		a.Name = words[2]
	}
	return a
}

func (s *server) allowed(ctx context.Context, user string, groups []string, namespace string, r right) (bool, error) {
	review, err := s.Client().AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: r.in(namespace)},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

func TestHookdMayDoWhatItDoesAndNoMore(t *testing.T) {
	s := start(t)
	for _, tc := range []struct {
		namespace string
		may, not  []right
	}{
		{"shop", []right{
			"list kubectl-pipeline.io/pipelineexecutions", "create kubectl-pipeline.io/pipelineexecutions", "update kubectl-pipeline.io/pipelineexecutions/status",
			"delete kubectl-pipeline.io/pipelineexecutions", "watch kubectl-pipeline.io/pipelines", "get secrets", "create events",
			"create authentication.k8s.io/tokenreviews", "create serviceaccounts",
		}, []right{
			"delete nodes", "list secrets", "watch secrets", "create pods/exec", "get pods/log", "create pods", "delete namespaces",
			"create serviceaccounts/token", "impersonate serviceaccounts", "create rbac.authorization.k8s.io/rolebindings", "bind rbac.authorization.k8s.io/clusterroles",
			"escalate rbac.authorization.k8s.io/roles", "create apps/deployments", "create kubectl-pipeline.io/pipelines", "delete kubectl-pipeline.io/pipelines",
			"update kubectl-pipeline.io/sourcecodecredentials", "update apiextensions.k8s.io/customresourcedefinitions", "get coordination.k8s.io/leases hookd",
		}},
		{manifests.Namespace, []right{
			"create coordination.k8s.io/leases", "get coordination.k8s.io/leases hookd", "update coordination.k8s.io/leases hookd",
		}, []right{"update coordination.k8s.io/leases other", "delete coordination.k8s.io/leases hookd"}},
	} {
		for expect, rights := range map[bool][]right{true: tc.may, false: tc.not} {
			for _, r := range rights {
				user := "system:serviceaccount:" + manifests.Namespace + ":hookd"
				groups := []string{"system:serviceaccounts", "system:serviceaccounts:" + manifests.Namespace, "system:authenticated"}
				got, err := s.allowed(t.Context(), user, groups, tc.namespace, r)
				if err != nil || got != expect {
					t.Errorf("hookd may %s in %s: %t, want %t (error: %v)", r, tc.namespace, got, expect, err)
				}
			}
		}
	}
}

// TestPeopleMayDoWhatTheirRoleSays binds Kubernetes' own roles, which ours are added to.
func TestPeopleMayDoWhatTheirRoleSays(t *testing.T) {
	s := start(t)
	ns := s.namespace(t)
	view := []right{"get kubectl-pipeline.io/pipelines", "list kubectl-pipeline.io/pipelineexecutions", "watch kubectl-pipeline.io/sourcecodecredentials", "create serviceaccounts/token pipeline-log-reader"}
	edit := []right{"create kubectl-pipeline.io/pipelineexecutions", "patch kubectl-pipeline.io/pipelineexecutions", "delete kubectl-pipeline.io/pipelines", "update kubectl-pipeline.io/sourcecoderepositories"}
	admin := []right{"create kubectl-pipeline.io/sourcecodecredentials", "delete kubectl-pipeline.io/sourcecodeproviders"}
	nobody := []right{"update kubectl-pipeline.io/pipelineexecutions/status", "patch kubectl-pipeline.io/pipelines/status", "update kubectl-pipeline.io/pipelineexecutions/finalizers", "update kubectl-pipeline.io/pipelinesettings", "create kubectl-pipeline.io/pipelinesettings"}
	for role, tc := range map[string]struct{ may, not [][]right }{
		"view":  {[][]right{view}, [][]right{edit, admin, nobody, {"get secrets", "create serviceaccounts/token default"}}},
		"edit":  {[][]right{view, edit}, [][]right{admin, nobody}},
		"admin": {[][]right{view, edit, admin}, [][]right{nobody}},
	} {
		user := role + "@example.com"
		_, err := s.Client().RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range slices.Concat(tc.may...) {
			// The roles are put together by a controller.
			if err := eventually(t.Context(), func(ctx context.Context) (bool, error) { return s.allowed(ctx, user, nil, ns, r) }); err != nil {
				t.Errorf("%s may not %s: %v", role, r, err)
			}
		}
		for _, r := range slices.Concat(tc.not...) {
			if got, err := s.allowed(t.Context(), user, nil, ns, r); err != nil || got {
				t.Errorf("%s may %s: %t, want false (error: %v)", role, r, got, err)
			}
		}
		if got, err := s.allowed(t.Context(), user, nil, "default", view[0]); err != nil || got {
			t.Errorf("%s of %s may %s in another namespace: %t (error: %v)", role, ns, view[0], got, err)
		}
	}
}

// TestTheDoorOfLogs: everybody may knock, by GET and at this port only.
func TestTheDoorOfLogs(t *testing.T) {
	s := start(t)
	for r, want := range map[right]bool{
		"get services/proxy http:hookd:8080":         true,
		"create services/proxy http:hookd:8080":      false,
		"get services/proxy http:hookd:8081":         false,
		"get services/proxy hookd-metrics:8081":      false,
		"get services/proxy http:hookd-metrics:8081": false,
		"get services/proxy":                         false,
	} {
		got, err := s.allowed(t.Context(), "jane", []string{"system:authenticated"}, manifests.Namespace, r)
		if err != nil || got != want {
			t.Errorf("jane may %s: %t, want %t (error: %v)", r, got, want, err)
		}
	}
}

// tokenFor makes a token as the plugin does, with the rights of client.
func tokenFor(ctx context.Context, client kubernetes.Interface, namespace, account, audience string) (string, error) {
	lifetime := int64(600)
	r, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &lifetime},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request token of %s/%s: %w", namespace, account, err)
	}
	return r.Status.Token, nil
}

// TestMarkersAreSeen: controller-gen ignores a marker in the comment of a declaration,
// silently, and hookd lacks the right that it speaks of.
func TestMarkersAreSeen(t *testing.T) {
	markers := 0
	err := filepath.WalkDir(root+"/pkg", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if !strings.HasPrefix(line, "// +kubebuilder:rbac") {
				continue
			}
			markers++
			next := i
			for strings.HasPrefix(lines[next], "//") {
				next++
			}
			if lines[next] != "" {
				t.Errorf("%s:%d: the marker belongs to the comment of a declaration: put an empty line behind it", strings.TrimPrefix(path, root+"/"), i+1)
			}
		}
		return nil
	})
	if err != nil || markers == 0 {
		t.Errorf("found %d markers (error: %v)", markers, err)
	}
}
