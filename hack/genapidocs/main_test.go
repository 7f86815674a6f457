package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

func TestReferenceIsUpToDate(t *testing.T) {
	out := filepath.Join(t.TempDir(), "api.md")
	if err := run(filepath.Join(root, source), out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(root, target))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-is +ought; run go run ./hack/genapidocs):\n%s", target, diff)
	}
}

func TestReferenceSaysWhatTheSchemasSay(t *testing.T) {
	crds, err := load(filepath.Join(root, source))
	if err != nil {
		t.Fatal(err)
	}
	text := render(crds)
	for name, want := range map[string]string{
		"a required field":                 "| `providerRef`* | object |",
		"a nested field of a list":         "| `triggers.image[].registry`* | string | registry is the software that sends the notification. One of `Distribution`, `Harbor`",
		"a default that is not in words":   "| `webhook.mode` | string |",
		"a pattern, fit for a table":       "Matches `^([0-9a-f]{40}\\|[0-9a-f]{64})$`.",
		"limits":                           "| `cache.affinity.nodes` | integer | nodes is how many recent nodes are preferred. Default: 10. From 1 to 10. |",
		"a type of Kubernetes":             "| `executor.tolerations` | []core/v1 Toleration |",
		"a quantity":                       "| `cache.hostPath.sizeLimit` | quantity |",
		"a rule":                           "- `spec`: control cannot change after Stop; use 'kubectl pipeline rerun'",
		"a rule of the whole object":       "- a project has one PipelineSetting, named default",
		"a rule of each element of a list": "- `spec.parameters[]`: a parameter of type Choice needs choices",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing: %s", name, want)
		}
	}
	if strings.Contains(text, "tolerationSeconds") {
		t.Error("what is in a type of Kubernetes is expanded")
	}
}
