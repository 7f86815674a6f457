package pipeline

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAllMistakesAtOnce: what is wrong and what is not supported yet are told together.
func TestAllMistakesAtOnce(t *testing.T) {
	_, err := ParseConfig(`stages:
- name: A
  steps:
  - applyYamlConfig: {path: a.yaml}
  - runScriptConfig: {image: a, shellScript: b}
    timeout: -1
`)
	var got ConfigErrors
	if !errors.As(err, &got) {
		t.Fatalf("error %v", err)
	}
	var places []string
	for _, e := range got {
		places = append(places, e.Path)
	}
	if diff := cmp.Diff([]string{"stages[0].steps[0].applyYamlConfig", "stages[0].steps[1].timeout"}, places); diff != "" {
		t.Errorf("mistakes at (-want +got):\n%s", diff)
	}
}
