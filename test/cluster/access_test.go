package cluster_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

// Two clusters of API servers run side by side; what one grants means nothing to
// the other.
func TestAccess(t *testing.T) {
	c := start(t, cluster.Options{APIServerOnly: true, Dir: t.TempDir()})
	other := start(t, cluster.Options{APIServerOnly: true})
	ctx := t.Context()
	create := metav1.CreateOptions{}

	if _, err := c.Client().CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "sa"}}, create); err != nil {
		t.Fatal(err)
	}
	// The built-in role "view" would be filled by a controller, which does not run.
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}}},
	}
	if _, err := c.Client().RbacV1().ClusterRoles().Create(ctx, role, create); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []rbacv1.Subject{
		{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "readers"},
		{Kind: "ServiceAccount", Namespace: "default", Name: "sa"},
	} {
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: strings.ToLower(subject.Kind)},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects:   []rbacv1.Subject{subject},
		}
		if _, err := c.Client().RbacV1().ClusterRoleBindings().Create(ctx, binding, create); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		config  func() (*rest.Config, error)
		allowed bool
	}{
		"a user may what the group is granted": {func() (*rest.Config, error) { return c.UserConfig("ann", "readers") }, true},
		"a user without a group may nothing":   {func() (*rest.Config, error) { return c.UserConfig("ben") }, false},
		"a ServiceAccount may what it is granted": {func() (*rest.Config, error) {
			return c.ServiceAccountConfig(ctx, "default", "sa")
		}, true},
		"the group is granted nothing in the other cluster": {func() (*rest.Config, error) { return other.UserConfig("ann", "readers") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := test.config()
			if err != nil {
				t.Fatal(err)
			}
			// By way of a file, as a user would have it.
			path, err := c.WriteKubeconfig(t.Name(), config, "default")
			if err != nil {
				t.Fatal(err)
			}
			if config, err = clientcmd.BuildConfigFromFlags("", path); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the grants to be known", func() error {
				_, err = kubernetes.NewForConfigOrDie(config).CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
				if test.allowed && err != nil || !test.allowed && !apierrors.IsForbidden(err) {
					return fmt.Errorf("list = %v, want allowed: %v", err, test.allowed)
				}
				return nil
			})
		})
	}
}

func TestOwnAssets(t *testing.T) {
	built, err := filepath.Glob(filepath.Join(cacheDir(t), "parts-*", "etcd"))
	if err != nil || len(built) == 0 {
		t.Fatalf("find built programs: %v", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if err := os.Symlink(filepath.Join(filepath.Dir(built[0]), name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(cluster.AssetsEnv, dir)

	t.Run("an API server is made of them", func(t *testing.T) {
		start(t, cluster.Options{APIServerOnly: true})
	})
	t.Run("what is not there is named", func(t *testing.T) {
		_, err := cluster.Start(t.Context(), cluster.Options{})
		if err == nil || !strings.Contains(err.Error(), "kube-controller-manager") || !strings.Contains(err.Error(), cluster.AssetsEnv) {
			t.Errorf("error = %v, want the program and the variable", err)
		}
	})
}

func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := cluster.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
