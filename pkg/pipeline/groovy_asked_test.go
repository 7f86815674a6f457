package pipeline

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// asked is what a run asks of Jenkins, derived from the parsed config alone, by rules that are written here a second time: what Compile
// planned and wrote has no part in it but for which stages and steps run, and the pod, which have tests of their own. A container is
// named by its image, and an environment is what the shell sees.
func asked(t testing.TB, in CompileInput, c *Compiled, secrets bool) []groovyCall {
	t.Helper()
	a := &asking{config: in.Config, known: map[string]string{
		"CICD_EXECUTION_SEQUENCE": "42", "CICD_GIT_BRANCH": "",
	}, secrets: secrets}
	if s := in.Execution.Spec.Source; s != nil {
		a.known["CICD_GIT_BRANCH"] = s.Branch
	}
	for _, p := range in.Config.Parameters {
		if p.Type == v1alpha1.ParameterSecret {
			continue
		}
		a.known[p.Name] = *p.Default
		for _, given := range in.Execution.Spec.Parameters {
			if given.Name == p.Name {
				a.known[p.Name] = given.Value
			}
		}
	}
	cloud := "kubernetes"
	if in.Setting != nil {
		cloud = in.Setting.Spec.Engine.Jenkins.Cloud
	}
	namespace := "shop-pipeline"
	if in.Setting != nil {
		namespace = in.Setting.Spec.Executor.Namespace
	}
	a.call(0, "podTemplate", "cloud", cloud, "namespace", namespace, "showRawYaml", false, "slaveConnectTimeout", c.AgentTimeout.Seconds()+60)
	a.call(1, "node", "label", "POD_LABEL")
	a.timeout(2, (c.Timeout + holdSlack).Seconds())
	offset := len(c.Stages) - len(in.Config.Stages) // 1 when the clone is not written
	for i, stage := range c.Stages {
		if stage.Phase == v1alpha1.PhaseSkipped {
			continue
		}
		a.call(3, "stage", "name", fmt.Sprintf("%d %s", i+1, stage.Name))
		var run []int
		for j, step := range stage.Steps {
			if step.Phase != v1alpha1.PhaseSkipped {
				run = append(run, j)
			}
		}
		if len(run) > 1 {
			a.call(4, "parallel", "failFast", true)
		}
		for _, j := range run {
			depth, name := 4, fmt.Sprintf("%d.%d %s", i+1, j+1, stage.Steps[j].Name)
			if len(run) > 1 {
				a.call(5, "branch", "name", name)
				depth = 6
			}
			a.call(depth, "stage", "name", name)
			if i < offset {
				a.step(depth+1, &Step{Name: "clone", SourceCodeConfig: &SourceCodeConfig{}}, in)
			} else {
				a.step(depth+1, &in.Config.Stages[i-offset].Steps[j], in)
			}
		}
	}
	return a.calls
}

type asking struct {
	config  *Config
	known   map[string]string
	secrets bool
	calls   []groovyCall
}

func (a *asking) call(depth int, step string, args ...any) {
	m := map[string]any{}
	for i := 0; i < len(args); i += 2 {
		m[args[i].(string)] = args[i+1]
	}
	a.calls = append(a.calls, groovyCall{step, depth, m})
}

func (a *asking) timeout(depth int, seconds float64) {
	if n := int(seconds); n%60 == 0 {
		a.call(depth, "timeout", "time", float64(n/60), "unit", "MINUTES")
		return
	}
	a.call(depth, "timeout", "time", seconds, "unit", "SECONDS")
}

func (a *asking) step(depth int, s *Step, in CompileInput) {
	if s.Timeout > 0 {
		a.timeout(depth, s.Timeout.Seconds())
		depth++
	}
	if s.Retry > 0 {
		a.call(depth, "retry", "count", float64(s.Retry+1))
		depth++
	}
	if s.SourceCodeConfig != nil {
		image := DefaultCloneImage
		if in.Setting != nil {
			image = in.Setting.Spec.Images.Clone
		}
		a.call(depth, "container", "image", image)
		a.call(depth+1, "sh", "label", s.Name, "script", cloneScript, "env", map[string]string{})
		return
	}
	env := map[string]string{}
	for name, value := range a.config.Env {
		env[name] = a.expand(value)
	}
	for _, p := range a.config.Parameters {
		if p.Type == v1alpha1.ParameterSecret {
			if a.secrets {
				for _, given := range in.Execution.Spec.Parameters {
					if given.Name == p.Name {
						env[p.Name] = "secret " + given.Value
					}
				}
			}
			continue
		}
		env[p.Name] = a.known[p.Name]
	}
	for _, from := range s.EnvFrom {
		if a.secrets {
			env[from.TargetKey] = "secret " + from.SourceName + "/" + from.SourceKey
		}
	}
	for name, value := range s.Env {
		env[name] = a.expand(value)
	}
	a.call(depth, "container", "image", a.expand(s.RunScriptConfig.Image))
	a.call(depth+1, "sh", "label", s.Name, "script", s.RunScriptConfig.ShellScript, "env", env)
}

var braces = regexp.MustCompile(`\$\{(\w+)(?::-([^}]*))?\}`)

func (a *asking) expand(text string) string {
	return braces.ReplaceAllStringFunc(text, func(ref string) string {
		m := braces.FindStringSubmatch(ref)
		switch v, known := a.known[m[1]]; {
		case v != "":
			return v
		case known || strings.Contains(ref, ":-"):
			return m[2]
		}
		return ref
	})
}

// arrived is what Groovy called, in the terms of asked: containers and their variables are looked up in the pod that arrived with
// podTemplate, and withEnv becomes a part of the environment of its step. Of the environment, the variables that a config can ask for
// are shown.
func arrived(t testing.TB, calls []groovyCall, c *Compiled, config *Config) []groovyCall {
	t.Helper()
	var pod corev1.Pod
	if err := yaml.Unmarshal([]byte(calls[0].Args["yaml"].(string)), &pod); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{}
	for _, e := range c.Secrets {
		secrets[e.Key] = "secret " + e.From.Name + "/" + e.From.Key
	}
	wanted := askable(config)
	var out []groovyCall
	var container corev1.Container
	var overrides []string
	dropped, within := 0, 0 // how many withEnv are around, and at which depth the last one is
	for _, call := range calls {
		if dropped > 0 && call.Depth <= within {
			dropped, overrides = 0, nil
		}
		call.Depth -= dropped
		switch call.Step {
		case "podTemplate":
			delete(call.Args, "yaml")
		case "container":
			container = corev1.Container{}
			for _, one := range pod.Spec.Containers {
				if one.Name == call.Args["name"] {
					container = one
				}
			}
			call.Args = map[string]any{"image": container.Image}
		case "withEnv":
			dropped, within = 1, call.Depth
			for _, o := range call.Args["overrides"].([]any) {
				overrides = append(overrides, o.(string))
			}
			continue
		case "sh":
			call.Args["env"] = shellEnv(t, container, overrides, secrets, wanted)
		}
		out = append(out, call)
	}
	return out
}

// askable are the variables that a config can ask for.
func askable(config *Config) map[string]bool {
	out := map[string]bool{}
	for name := range config.Env {
		out[name] = true
	}
	for _, p := range config.Parameters {
		out[p.Name] = true
	}
	for _, stage := range config.Stages {
		for _, s := range stage.Steps {
			for name := range s.Env {
				out[name] = true
			}
			for _, e := range s.EnvFrom {
				out[e.TargetKey] = true
			}
		}
	}
	return out
}

// setByJenkins is the value of what is Jenkins' own: a config did not ask for it.
const setByJenkins = "set by Jenkins"

// jenkinsMacro is what Jenkins expands in a value of withEnv.
var jenkinsMacro = regexp.MustCompile(`\$([A-Za-z0-9_]+|\{[A-Za-z0-9_.]+\}|\$)`)

// shellEnv is the environment of a shell in a container. Kubernetes reads $$ as $. Over the container's variables Jenkins exports its
// own, changed by withEnv: an empty value there takes its own away, and dollars are expanded.
func shellEnv(t testing.TB, c corev1.Container, overrides []string, secrets map[string]string, wanted map[string]bool) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = strings.ReplaceAll(e.Value, "$$", "$")
		if e.ValueFrom != nil {
			env[e.Name] = secrets[e.ValueFrom.SecretKeyRef.Key]
		}
	}
	exported := map[string]string{}
	for name := range jenkinsVariables {
		exported[name] = setByJenkins
	}
	for _, o := range overrides {
		name, value, _ := strings.Cut(o, "=")
		exported[name] = jenkinsMacro.ReplaceAllStringFunc(value, func(macro string) string {
			if macro != "$$" {
				t.Errorf("withEnv has %s, which Jenkins would expand", o)
			}
			return "$"
		})
		if value == "" {
			delete(exported, name)
		}
	}
	maps.Copy(env, exported)
	for name, value := range env {
		if !wanted[name] || value == setByJenkins {
			delete(env, name)
		}
	}
	return env
}
