package api

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// TestSamplesAreAccepted creates every sample, and checks that the Go types hold all of
// it: nothing that the API server stores is lost on the way through hookd.
func TestSamplesAreAccepted(t *testing.T) {
	s := start(t)
	ns := s.namespace(t)
	kinds := map[string]bool{}
	scheme := kube.NewScheme()
	for _, path := range files(t, "manifests/samples/*.yaml") {
		_, objects := readAll(t, path)
		for _, obj := range objects {
			kinds[obj.GetKind()] = true
			stored, err := s.create(t, ns, obj)
			if err != nil {
				t.Errorf("%s: %v", stem(path), err)
				continue
			}
			typed, err := scheme.New(obj.GroupVersionKind())
			if err != nil {
				t.Fatal(err)
			}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(stored.Object, typed, true); err != nil {
				t.Errorf("%s: stored object does not fit its Go type: %v", stem(path), err)
			}
			back, err := json.Marshal(typed)
			if err != nil {
				t.Fatal(err)
			}
			again := map[string]any{}
			if err := json.Unmarshal(back, &again); err != nil {
				t.Fatal(err)
			}
			want, _ := json.Marshal(stored.Object["spec"])
			got, _ := json.Marshal(again["spec"])
			got = zeros.ReplaceAll(got, []byte("$1"))
			if !bytes.Equal(want, got) {
				t.Errorf("%s: spec changes on its way through the Go type:\nstored %s\nback   %s", stem(path), want, got)
			}
		}
	}
	for _, kind := range []string{"SourceCodeProvider", "SourceCodeCredential", "SourceCodeRepository", "Pipeline", "PipelineExecution", "PipelineSetting"} {
		if !kinds[kind] {
			t.Errorf("there is no sample of %s", kind)
		}
	}
}

// zeros are what Go adds to a duration: 5m is 5m0s.
var zeros = regexp.MustCompile(`(\d[hm])(?:0[ms])+\b`)

// TestInvalidFilesAreRefused: a file with one object must not be created. Of a file with
// two, the first is created, and must not be changed into the second.
func TestInvalidFilesAreRefused(t *testing.T) {
	s := start(t)
	for _, path := range files(t, "test/invalid/*.yaml") {
		t.Run(stem(path), func(t *testing.T) {
			t.Parallel()
			text, objects := readAll(t, path)
			first, _, _ := strings.Cut(string(text), "\n")
			want, ok := strings.CutPrefix(first, "# want: ")
			if !ok {
				t.Fatalf("first line is %q, want # want: <part of the message>", first)
			}
			ns := s.namespace(t)
			stored, err := s.create(t, ns, objects[0])
			if len(objects) == 2 {
				if err != nil {
					t.Fatalf("create the first object: %v", err)
				}
				r, rerr := s.resource(stored)
				if rerr != nil {
					t.Fatal(rerr)
				}
				objects[1].SetNamespace(ns)
				objects[1].SetResourceVersion(stored.GetResourceVersion())
				_, err = r.Update(t.Context(), objects[1], metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict})
			}
			if err == nil {
				t.Fatalf("accepted, want an error with %q", want)
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error is\n%v\nwant in it\n%s", err, want)
			}
		})
	}
}

// TestChangesAreAccepted is the other side of the rules on changes: what hookd and
// people change in a run that is there.
func TestChangesAreAccepted(t *testing.T) {
	s := start(t)
	ns := s.namespace(t)
	obj, err := s.create(t, ns, mustParse(t, `
apiVersion: kubectl-pipeline.io/v1alpha1
kind: PipelineExecution
metadata: {name: app-1}
spec:
  pipelineRef: {name: app}
  source: {repositoryURL: "https://git.example.com/app.git", pullRequest: {number: 1, fork: true}, paths: [a]}
  trigger: {type: Manual}
  parameters: [{name: a, value: b}]
`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.resource(obj)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what  string
		value any
		path  []string
	}{
		{"assign the run's number", int64(7), []string{"spec", "run"}},
		{"fill the config", "stages: []", []string{"spec", "config"}},
		{"fill the ref", "refs/heads/main", []string{"spec", "source", "ref"}},
		{"fill the branch", "main", []string{"spec", "source", "branch"}},
		{"fill the commit", "0123456789abcdef0123456789abcdef01234567", []string{"spec", "source", "commit"}},
		{"fill the message", "Fix it", []string{"spec", "source", "message"}},
		{"pause", "Pause", []string{"spec", "control"}},
		{"go on", "Run", []string{"spec", "control"}},
		{"approve", []any{map[string]any{"stage": "Deploy", "decision": "Approve", "user": "jane"}}, []string{"spec", "approvals"}},
		{"approve again", []any{
			map[string]any{"stage": "Deploy", "decision": "Approve", "user": "jane"},
			map[string]any{"stage": "Deploy", "decision": "Deny", "user": "joe"},
		}, []string{"spec", "approvals"}},
		{"stop", "Stop", []string{"spec", "control"}},
		{"remove the finalizer", []any{}, []string{"metadata", "finalizers"}},
	} {
		if err := unstructured.SetNestedField(obj.Object, step.value, step.path...); err != nil {
			t.Fatal(err)
		}
		next, err := r.Update(t.Context(), obj, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict})
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		obj = next
	}
}

func TestConfigThatIsTooLongIsRefused(t *testing.T) {
	s := start(t)
	ns := s.namespace(t)
	const most = 256 << 10
	for size, ok := range map[int]bool{most: true, most + 1: false} {
		obj := mustParse(t, "apiVersion: kubectl-pipeline.io/v1alpha1\nkind: Pipeline\nmetadata: {generateName: app-}\nspec: {config: %q}", strings.Repeat("x", size))
		if _, err := s.create(t, ns, obj); (err == nil) != ok {
			t.Errorf("config of %d bytes: error %.200v, want one: %t", size, err, !ok)
		}
	}
}

func TestDefaults(t *testing.T) {
	s := start(t)
	ns := s.namespace(t)
	for name, tc := range map[string]struct{ kind, spec, want string }{
		"a run is to run":                              {"PipelineExecution", `{pipelineRef: {name: app}, trigger: {type: Manual}}`, `{"control":"Run","pipelineRef":{"name":"app"},"trigger":{"type":"Manual"}}`},
		"a setting without a spec has a quota":         {"PipelineSetting", ``, `{"executor":{"quota":2}}`},
		"a repository's branch is main":                {"SourceCodeRepository", `{url: "https://git.example.com/app.git"}`, `{"defaultBranch":"main","url":"https://git.example.com/app.git"}`},
		"a webhook is entered by hand":                 {"SourceCodeRepository", `{url: "https://git.example.com/app.git", webhook: {secretRef: {name: s}}}`, `{"defaultBranch":"main","url":"https://git.example.com/app.git","webhook":{"mode":"Manual","secretRef":{"name":"s"}}}`},
		"forks do not run, runs overlap, text is text": {"Pipeline", `{repositoryRef: {name: app}, triggers: {pullRequest: {}}, concurrency: {}, parameters: [{name: a}]}`, `{"concurrency":{"policy":"Parallel"},"parameters":[{"name":"a","type":"String"}],"repositoryRef":{"name":"app"},"triggers":{"pullRequest":{"forks":"None"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			obj := mustParse(t, "apiVersion: kubectl-pipeline.io/v1alpha1\nkind: %s\nmetadata: {generateName: app-}\n", tc.kind)
			if tc.kind == "PipelineSetting" {
				obj.SetName("default")
			}
			if tc.spec != "" {
				obj.Object["spec"] = mustParse(t, "apiVersion: v1\nkind: X\nspec: %s", tc.spec).Object["spec"]
			}
			stored, err := s.create(t, ns, obj)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal(stored.Object["spec"])
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusIsASubresource(t *testing.T) {
	s := start(t)
	ns := s.namespace(t)
	for _, path := range files(t, "manifests/samples/*.yaml") {
		_, objects := readAll(t, path)
		obj := objects[0]
		t.Run(obj.GetKind(), func(t *testing.T) {
			obj.Object["status"] = map[string]any{"observedGeneration": int64(7)}
			stored, err := s.create(t, ns, obj)
			if err != nil {
				t.Fatal(err)
			}
			if got, found := stored.Object["status"]; found {
				t.Errorf("a create set the status: %v", got)
			}
			r, err := s.resource(stored)
			if err != nil {
				t.Fatal(err)
			}
			spec := runtime.DeepCopyJSONValue(stored.Object["spec"])
			stored.Object["status"] = map[string]any{"observedGeneration": int64(1)}
			stored.Object["spec"] = map[string]any{}
			updated, err := r.UpdateStatus(t.Context(), stored, metav1.UpdateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(spec, updated.Object["spec"]); diff != "" {
				t.Errorf("an update of the status changed the spec (-want +got):\n%s", diff)
			}
			if got, _, _ := unstructured.NestedInt64(updated.Object, "status", "observedGeneration"); got != 1 {
				t.Errorf("observedGeneration is %d, want 1", got)
			}
		})
	}
}
