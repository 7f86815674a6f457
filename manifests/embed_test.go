package manifests

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Subjects []struct {
		Namespace string `json:"namespace"`
	} `json:"subjects"`
}

func objects(t *testing.T, o Options) []object {
	t.Helper()
	docs, err := Objects(o)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]object, len(docs))
	for i, doc := range docs {
		if err := yaml.UnmarshalStrict(doc, &map[string]any{}); err != nil {
			t.Fatalf("document %d: %v\n%s", i, err, doc)
		}
		if err := yaml.Unmarshal(doc, &out[i]); err != nil {
			t.Fatal(err)
		}
		if out[i].Kind == "" || out[i].Metadata.Name == "" {
			t.Errorf("document %d has no kind or no name:\n%s", i, doc)
		}
	}
	return out
}

func TestObjectsAreTheFilesOfTheKustomizations(t *testing.T) {
	var want []string
	var walk func(dir string)
	walk = func(dir string) {
		text, err := os.ReadFile(path.Join(dir, "kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var k struct {
			Resources []string `json:"resources"`
		}
		if err := yaml.Unmarshal(text, &k); err != nil {
			t.Fatal(err)
		}
		for _, r := range k.Resources {
			if r = path.Join(dir, r); path.Ext(r) == ".yaml" {
				want = append(want, r)
			} else {
				walk(r)
			}
		}
	}
	walk(".")
	if diff := cmp.Diff(want, sources); diff != "" {
		t.Errorf("embedded files differ from the kustomizations (-want +got):\n%s", diff)
	}
	embedded := 0
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Base(name) != "kustomization.yaml" {
			embedded++
			if !slices.Contains(sources, name) {
				t.Errorf("%s is in no kustomization", name)
			}
		}
		return err
	})
	if err != nil || embedded != len(sources) {
		t.Errorf("embedded %d files, want %d (error: %v)", embedded, len(sources), err)
	}
}

func TestObjectsComeInTheOrderToApplyThem(t *testing.T) {
	var kinds []string
	for _, o := range objects(t, Options{}) {
		kinds = append(kinds, o.Kind)
	}
	want := []string{"Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "Service", "Deployment"}
	if got := slices.Compact(slices.DeleteFunc(kinds, func(k string) bool {
		return !slices.Contains(want, k)
	})); !slices.Equal(got, want) {
		t.Errorf("order is %v, want %v", got, want)
	}
}

func TestObjectsInAnotherNamespace(t *testing.T) {
	unmoved := objects(t, Options{})
	for i, o := range objects(t, Options{Namespace: "ci"}) {
		before := unmoved[i]
		if before.Metadata.Namespace != "" && o.Metadata.Namespace != "ci" {
			t.Errorf("%s %s stays in namespace %q", o.Kind, o.Metadata.Name, o.Metadata.Namespace)
		}
		if o.Kind == "Namespace" && o.Metadata.Name != "ci" {
			t.Errorf("namespace is %q, want ci", o.Metadata.Name)
		}
		for _, s := range o.Subjects {
			if s.Namespace == Namespace {
				t.Errorf("%s %s is bound to a ServiceAccount in %q, which is not installed", o.Kind, o.Metadata.Name, Namespace)
			}
		}
	}
}

func TestObjectsWithAnotherImageAndArguments(t *testing.T) {
	docs, err := Objects(Options{Image: "registry.example/hookd:v1", Args: []string{"--external-url=https://ci.example"}})
	if err != nil {
		t.Fatal(err)
	}
	all := bytes.Join(docs, nil)
	for _, want := range []string{"image: registry.example/hookd:v1\n", "- --listen=:8080\n", "- --external-url=https://ci.example\n"} {
		if !bytes.Contains(all, []byte(want)) {
			t.Errorf("%q is missing", want)
		}
	}
	if bytes.Contains(all, []byte(Image)) {
		t.Errorf("the default image %s is still there", Image)
	}
}

func TestObjectsSayWhatTheyArePartOf(t *testing.T) {
	for _, o := range objects(t, Options{}) {
		generated := o.Kind == "ClusterRole" && o.Metadata.Name == "hookd"
		if !generated && o.Metadata.Labels["app.kubernetes.io/part-of"] != "kubectl-pipeline" {
			t.Errorf("%s %s has no label app.kubernetes.io/part-of: kubectl-pipeline", o.Kind, o.Metadata.Name)
		}
	}
}
