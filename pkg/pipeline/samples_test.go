package pipeline

import (
	"bytes"
	"os"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// TestSamplesCompile: what the samples show can be run as it is, since people start
// from them.
func TestSamplesCompile(t *testing.T) {
	setting := readSample[v1alpha1.PipelineSetting](t, "pipelinesetting.yaml", 0)
	repository := readSample[v1alpha1.SourceCodeRepository](t, "sourcecoderepository.yaml", 0)
	execution := readSample[v1alpha1.PipelineExecution](t, "pipelineexecution.yaml", 0)
	execution.Namespace, execution.Name, execution.UID = "shop", "shop-1", "00000000-0000-0000-0000-000000000001"
	execution.Spec.Source.Commit = "0123456789012345678901234567890123456789"

	file, err := os.ReadFile(samples + "config/pipeline.yml")
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{string(file), ""} {
		p := readSample[v1alpha1.Pipeline](t, "pipeline.yaml", i)
		in := CompileInput{
			Execution: execution, Pipeline: p, Setting: setting, Repository: repository,
			Namespace: "shop-pipeline", SecretName: "shop-1",
		}
		if p.Spec.Config != "" {
			text = p.Spec.Config
			in.Repository, in.Execution = nil, execution.DeepCopy()
			in.Execution.Spec.Source, in.Execution.Spec.Parameters = nil, nil
		}
		config, err := ParseConfig(text)
		if err != nil {
			t.Fatalf("pipeline %s: %v", p.Name, err)
		}
		if errs := config.Unsupported(); len(errs) > 0 {
			t.Errorf("pipeline %s: %v", p.Name, errs)
		}
		in.Config = config
		if _, err := Compile(in); err != nil {
			t.Errorf("pipeline %s: %v", p.Name, err)
		}
	}
}

const samples = "../../manifests/samples/"

// readSample reads the i-th document of a file.
func readSample[T any](t *testing.T, file string, i int) *T {
	t.Helper()
	text, err := os.ReadFile(samples + file)
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := yaml.UnmarshalStrict(bytes.Split(text, []byte("\n---\n"))[i], out); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return out
}
