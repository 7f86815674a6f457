package pipeline

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// stagesOf shows a first status in short: name, phase and message of each stage and step.
func stagesOf(c *Compiled) []string {
	var out []string
	for _, s := range c.Stages {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Name, s.Phase, s.Message)))
		for _, step := range s.Steps {
			out = append(out, strings.TrimSpace(fmt.Sprintf("- %s %s %s %s", step.Name, step.Type, step.Phase, step.Message)))
		}
	}
	return out
}

func container(t *testing.T, c *Compiled, name string) corev1.Container {
	t.Helper()
	for _, one := range c.Pod.Spec.Containers {
		if one.Name == name {
			return one
		}
	}
	t.Fatalf("no container %s in %v", name, containerNames(c))
	return corev1.Container{}
}

func containerNames(c *Compiled) []string {
	var out []string
	for _, one := range c.Pod.Spec.Containers {
		out = append(out, one.Name)
	}
	return out
}

// envOf is what a shell in the container sees: Kubernetes reads $$ as $, and the later of two of the same name wins.
func envOf(c corev1.Container) map[string]string {
	out := map[string]string{}
	for _, e := range c.Env {
		out[e.Name] = strings.ReplaceAll(e.Value, "$$", "$")
		if e.ValueFrom != nil {
			out[e.Name] = e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
		}
	}
	return out
}

func event(typ v1alpha1.EventType, change ...func(*v1alpha1.PipelineExecution)) func(*CompileInput) {
	return func(in *CompileInput) {
		in.Execution.Spec.Trigger.Type = typ
		for _, f := range change {
			f(in.Execution)
		}
	}
}
