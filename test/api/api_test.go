package api

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-pipeline/kubectl-pipeline/manifests"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

const (
	root    = "../.."
	group   = "kubectl-pipeline.io"
	version = "v1alpha1"
)

// server is one cluster for all tests of this package, with everything installed.
type server struct {
	*cluster.Cluster
	dynamic  dynamic.Interface
	mapper   *restmapper.DeferredDiscoveryRESTMapper
	warnings []string // what the API server said while everything was installed
}

// HandleWarningHeader implements rest.WarningHandler.
func (s *server) HandleWarningHeader(_ int, _ string, text string) {
	s.warnings = append(s.warnings, text)
}

var (
	once   sync.Once
	shared *server
	failed error
)

func TestMain(m *testing.M) {
	code := cluster.Main(m)
	if shared != nil {
		if err := shared.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code) //nolint:forbidigo // this is a main
}

func start(t *testing.T) *server {
	t.Helper()
	once.Do(func() { shared, failed = install(context.Background()) })
	if failed != nil {
		t.Fatal(failed)
	}
	return shared
}

// install starts a cluster without nodes and applies what `kubectl pipeline install`
// applies, in the same order.
func install(ctx context.Context) (*server, error) {
	c, err := cluster.Start(ctx, cluster.Options{})
	if err != nil {
		return nil, err
	}
	s := &server{Cluster: c, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Client().Discovery()))}
	config := c.RESTConfig()
	config.WarningHandler = s
	installer, err := dynamic.NewForConfig(config)
	if err != nil {
		return s, err
	}
	s.dynamic = installer
	docs, err := manifests.Objects(manifests.Options{})
	if err != nil {
		return s, err
	}
	for _, doc := range docs {
		obj, err := parse(doc)
		if err != nil {
			return s, err
		}
		r, err := s.resource(obj)
		if err != nil {
			return s, err
		}
		if _, err := r.Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
			return s, fmt.Errorf("apply %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
		if obj.GetKind() == "CustomResourceDefinition" {
			if err := eventually(ctx, func(ctx context.Context) (bool, error) {
				crd, err := r.Get(ctx, obj.GetName(), metav1.GetOptions{})
				return err == nil && condition(crd, "Established") == "True", err
			}); err != nil {
				return s, fmt.Errorf("wait for %s: %w", obj.GetName(), err)
			}
		}
	}
	s.mapper.Reset()
	s.dynamic, err = dynamic.NewForConfig(c.RESTConfig())
	return s, err
}

// resource is the client of an object's kind in its namespace.
func (s *server) resource(obj *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := obj.GroupVersionKind()
	m, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return s.dynamic.Resource(m.Resource), nil
	}
	return s.dynamic.Resource(m.Resource).Namespace(obj.GetNamespace()), nil
}

// namespace makes one for the test, and removes it in the end.
func (s *server) namespace(t *testing.T) string {
	t.Helper()
	ns := &unstructured.Unstructured{}
	ns.SetAPIVersion("v1")
	ns.SetKind("Namespace")
	ns.SetGenerateName("test-")
	r, err := s.resource(ns)
	if err != nil {
		t.Fatal(err)
	}
	ns, err = r.Create(t.Context(), ns, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Delete(context.WithoutCancel(t.Context()), ns.GetName(), metav1.DeleteOptions{}) })
	return ns.GetName()
}

// create makes an object as `kubectl create --validate=strict` does. Right after its
// CustomResourceDefinition is Established, one replica of the API server's handlers may
// still not know it: that is tried again.
func (s *server) create(t *testing.T, namespace string, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	t.Helper()
	obj.SetNamespace(namespace)
	r, err := s.resource(obj)
	if err != nil {
		t.Fatal(err)
	}
	var out *unstructured.Unstructured
	_ = eventually(t.Context(), func(ctx context.Context) (bool, error) {
		out, err = r.Create(ctx, obj, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		return !apierrors.IsNotFound(err), err
	})
	return out, err
}

// readAll parses the objects of a file.
func readAll(t *testing.T, path string) (text []byte, objects []*unstructured.Unstructured) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for doc := range bytes.SplitSeq(append([]byte("\n"), text...), []byte("\n---\n")) {
		obj, err := parse(doc)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		objects = append(objects, obj)
	}
	return text, objects
}

func parse(doc []byte) (*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	text, err := yaml.YAMLToJSONStrict(doc)
	if err != nil {
		return nil, err
	}
	return obj, obj.UnmarshalJSON(text)
}

func mustParse(t *testing.T, format string, args ...any) *unstructured.Unstructured {
	t.Helper()
	obj, err := parse(fmt.Appendf(nil, format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files match %s (error: %v)", pattern, err)
	}
	return names
}

func stem(path string) string { return strings.TrimSuffix(filepath.Base(path), ".yaml") }

func condition(obj *unstructured.Unstructured, kind string) string {
	all, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range all {
		if c, ok := c.(map[string]any); ok && c["type"] == kind {
			return fmt.Sprint(c["status"])
		}
	}
	return ""
}

// eventually polls until done or for 30 seconds.
func eventually(ctx context.Context, poll func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		done, err := poll(ctx)
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last error: %w)", ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
