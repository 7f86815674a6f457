package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// served is what kubectl shows of each kind.
var served = map[string]struct {
	short, columns, selectable string
}{
	"pipelineexecutions":     {"pe", "Pipeline Run Phase Branch Trigger Reason Commit* Node* Message* Started Age", ".spec.pipelineRef.name .spec.trigger.type .status.phase"},
	"pipelines":              {"pl", "Repository Last-Run Phase Started Suspended* Node* Age", ".spec.repositoryRef.name"},
	"pipelinesettings":       {"ps", "Quota Running Queued Engine Age", ""},
	"sourcecodecredentials":  {"scc", "Provider Login Ready Age", ".spec.providerRef.name"},
	"sourcecodeproviders":    {"scp", "Type URL Ready Age", ".spec.type"},
	"sourcecoderepositories": {"scr", "URL Webhook Ready Last-Delivery Age", ".spec.url"},
}

func definitions(t *testing.T, s *server) []apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	gvr := apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")
	list, err := s.dynamic.Resource(gvr).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=kubectl-pipeline"})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]apiextensionsv1.CustomResourceDefinition, len(list.Items))
	for i := range list.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestKindsAreServedAsDocumented(t *testing.T) {
	s := start(t)
	crds := definitions(t, s)
	if len(crds) != len(served) {
		t.Errorf("%d kinds are served, want %d", len(crds), len(served))
	}
	for _, crd := range crds {
		want, ok := served[crd.Spec.Names.Plural]
		if !ok {
			t.Errorf("%s is not in the table", crd.Name)
			continue
		}
		for _, c := range crd.Status.Conditions {
			if c.Type == apiextensionsv1.NonStructuralSchema && c.Status == apiextensionsv1.ConditionTrue {
				t.Errorf("%s: the schema is not structural: %s", crd.Name, c.Message)
			}
		}
		v := crd.Spec.Versions[0]
		var columns, selectable []string
		for _, c := range v.AdditionalPrinterColumns {
			columns = append(columns, c.Name+strings.Repeat("*", min(1, int(c.Priority))))
		}
		for _, f := range v.SelectableFields {
			selectable = append(selectable, f.JSONPath)
		}
		got := []any{strings.Join(crd.Spec.Names.ShortNames, " "), strings.Join(columns, " "), strings.Join(selectable, " "), crd.Spec.Names.Categories, crd.Spec.Scope, v.Subresources != nil && v.Subresources.Status != nil}
		if diff := cmp.Diff([]any{want.short, want.columns, want.selectable, []string{"cicd"}, apiextensionsv1.NamespaceScoped, true}, got); diff != "" {
			t.Errorf("%s: short names, columns (* only wide), selectable fields, categories, scope, status (-want +got):\n%s", crd.Name, diff)
		}
	}
}

// TestEveryFieldIsDescribed: what has no description, kubectl explain cannot explain.
func TestEveryFieldIsDescribed(t *testing.T) {
	s := start(t)
	for _, crd := range definitions(t, s) {
		n := 0
		walk(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, "", func(path string, p *apiextensionsv1.JSONSchemaProps) {
			n++
			if strings.TrimSpace(p.Description) == "" && path != ".metadata" {
				t.Errorf("%s%s has no description", crd.Spec.Names.Kind, path)
			}
			// YAML 1.1 reads these keys as true and false.
			name := path[strings.LastIndex(path, ".")+1:]
			if slices.Contains([]string{"y", "n", "yes", "no", "on", "off"}, strings.ToLower(name)) {
				t.Errorf("%s%s: YAML 1.1 reads this name as a boolean", crd.Spec.Names.Kind, path)
			}
		})
		if n < 10 {
			t.Errorf("%s: walked %d fields only", crd.Spec.Names.Kind, n)
		}
	}
}

// walk visits every property, in order.
func walk(p *apiextensionsv1.JSONSchemaProps, path string, visit func(string, *apiextensionsv1.JSONSchemaProps)) {
	names := make([]string, 0, len(p.Properties))
	for name := range p.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		child := p.Properties[name]
		visit(path+"."+name, &child)
		walk(&child, path+"."+name, visit)
	}
	if p.Items != nil && p.Items.Schema != nil {
		walk(p.Items.Schema, path, visit)
	}
	if p.AdditionalProperties != nil && p.AdditionalProperties.Schema != nil {
		walk(p.AdditionalProperties.Schema, path, visit)
	}
}

func TestListsByField(t *testing.T) {
	s := start(t)
	ns := s.namespace(t)
	for i, trigger := range []string{"Manual", "Push", "Push"} {
		obj := mustParse(t, `
apiVersion: kubectl-pipeline.io/v1alpha1
kind: PipelineExecution
metadata: {name: app-%d}
spec: {pipelineRef: {name: app}, trigger: {type: %s}}`, i, trigger)
		if _, err := s.create(t, ns, obj); err != nil {
			t.Fatal(err)
		}
	}
	gvr := schema.GroupVersionResource{Group: group, Version: version, Resource: "pipelineexecutions"}
	for selector, want := range map[string]int{
		"spec.trigger.type=Push":                             2,
		"spec.trigger.type!=Push":                            1,
		"spec.pipelineRef.name=app,spec.trigger.type=Manual": 1,
		"spec.pipelineRef.name=other":                        0,
		"status.phase=Running":                               0,
		"metadata.name=app-0,spec.pipelineRef.name=app":      1,
	} {
		list, err := s.dynamic.Resource(gvr).Namespace(ns).List(t.Context(), metav1.ListOptions{FieldSelector: selector})
		if err != nil {
			t.Errorf("%s: %v", selector, err)
		} else if len(list.Items) != want {
			t.Errorf("%s: %d runs, want %d", selector, len(list.Items), want)
		}
	}
	_, err := s.dynamic.Resource(gvr).Namespace(ns).List(t.Context(), metav1.ListOptions{FieldSelector: "spec.run=1"})
	if err == nil || !strings.Contains(err.Error(), "field label not supported") {
		t.Errorf("error is %v, want that the field is not supported", err)
	}
}

// TestTables asks for what kubectl get prints.
func TestTables(t *testing.T) {
	s := start(t)
	ns := s.namespace(t)
	obj, err := s.create(t, ns, mustParse(t, `
apiVersion: kubectl-pipeline.io/v1alpha1
kind: PipelineExecution
metadata: {name: app-7}
spec:
  pipelineRef: {name: app}
  run: 7
  source: {repositoryURL: "https://git.example.com/app.git", branch: main, commit: 0123456789abcdef0123456789abcdef01234567}
  trigger: {type: Push}`))
	if err != nil {
		t.Fatal(err)
	}
	obj.Object["status"] = map[string]any{
		"phase": "Failed", "reason": "StepFailed", "message": "Build/compile: exit code 2",
		"agent": map[string]any{"namespace": "shop-pipeline", "pod": "app-7-x", "node": "node-1"},
	}
	r, err := s.resource(obj)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.UpdateStatus(t.Context(), obj, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	setting, err := s.create(t, ns, mustParse(t, "apiVersion: kubectl-pipeline.io/v1alpha1\nkind: PipelineSetting\nmetadata: {name: default}\n"))
	if err != nil {
		t.Fatal(err)
	}
	setting.Object["status"] = map[string]any{"running": int64(1), "conditions": []any{map[string]any{
		"type": "EngineReady", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
	}}}
	if r, err = s.resource(setting); err != nil {
		t.Fatal(err)
	}
	if _, err := r.UpdateStatus(t.Context(), setting, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	clients, err := kube.NewClients(s.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	for resource, want := range map[string]string{
		"pipelineexecutions": "Name=app-7 Pipeline=app Run=7 Phase=Failed Branch=main Trigger=Push Reason=StepFailed Commit=0123456789abcdef0123456789abcdef01234567 Node=node-1 Message=Build/compile: exit code 2 Started=<nil>",
		"pipelinesettings":   "Name=default Quota=2 Running=1 Queued=<nil> Engine=True",
	} {
		table := getTable(t, clients.PipelineREST(), ns, resource)
		if len(table.Rows) != 1 {
			t.Fatalf("%s: %d rows, want 1", resource, len(table.Rows))
		}
		var got []string
		for i, c := range table.ColumnDefinitions {
			if c.Name != "Age" {
				got = append(got, fmt.Sprintf("%s=%v", c.Name, table.Rows[0].Cells[i]))
			}
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", resource, diff)
		}
	}
}

func getTable(t *testing.T, r rest.Interface, namespace, resource string) metav1.Table {
	t.Helper()
	raw, err := r.Get().Namespace(namespace).Resource(resource).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Raw()
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &table); err != nil {
		t.Fatal(err)
	}
	return table
}
