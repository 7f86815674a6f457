package pipeline

import (
	"net/url"
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Variables of a step, the later winning over the earlier on the same name:
//
//  1. network: proxies and package mirrors of the setting
//  2. CICD_*: what the run is
//  3. env of the config file
//  4. parameters of the run
//  5. envFrom of the step
//  6. env of the step
//
// 1 to 5 are in the container, since a value there reaches a shell through Kubernetes alone. Of 6, empty values and values with a dollar
// are too: Jenkins takes an empty one in withEnv as "unset", expands $NAME, and turns $$ into $. The others are in withEnv, so that steps
// of one image share a container.
//
// Jenkins exports variables of its own in every step, over those of the container. A name that it sets is in withEnv as well, whoever
// defined it; a secret cannot have one.
//
// The clone sees 1 and its own only.

// jenkinsVariables are the names that Jenkins sets in every step: those of core, of its Pipeline, Kubernetes and display-URL plugins, and
// the parameters of our jobs.
var jenkinsVariables = map[string]bool{
	"ATTEMPT": true, "BUILD_DISPLAY_NAME": true, "BUILD_ID": true, "BUILD_NUMBER": true, "BUILD_TAG": true, "BUILD_URL": true, "CI": true,
	"CLASSPATH": true, "EXECUTION_UID": true, "EXECUTOR_NUMBER": true, "HUDSON_HOME": true, "HUDSON_URL": true, "JENKINS_HOME": true,
	"JENKINS_URL": true, "JOB_BASE_NAME": true, "JOB_DISPLAY_URL": true, "JOB_NAME": true, "JOB_URL": true, "NODE_LABELS": true,
	"NODE_NAME": true, "POD_CONTAINER": true, "POD_LABEL": true, "RUN_ARTIFACTS_DISPLAY_URL": true, "RUN_CHANGES_DISPLAY_URL": true,
	"RUN_DISPLAY_URL": true, "RUN_TESTS_DISPLAY_URL": true, "STAGE_NAME": true, "WORKSPACE": true, "WORKSPACE_TMP": true,
}

// withEnvValue is a value as withEnv takes it literally.
func withEnvValue(value string) string { return strings.ReplaceAll(value, "$", "$$") }

// variables is an ordered set of environment variables.
type variables struct {
	names  []string
	values map[string]string
}

func (v *variables) set(name, value string) {
	if v.values == nil {
		v.values = map[string]string{}
	}
	if _, ok := v.values[name]; !ok {
		v.names = append(v.names, name)
	}
	v.values[name] = value
}

func (v *variables) remove(name string) {
	if _, ok := v.values[name]; !ok {
		return
	}
	delete(v.values, name)
	for i, n := range v.names {
		if n == name {
			v.names = append(v.names[:i:i], v.names[i+1:]...)
			return
		}
	}
}

// envVars is how a container gets them.
func (v *variables) envVars() []corev1.EnvVar {
	out := make([]corev1.EnvVar, 0, len(v.names))
	for _, name := range v.names {
		out = append(out, corev1.EnvVar{Name: name, Value: literalEnv(v.values[name])})
	}
	return out
}

// literalEnv keeps Kubernetes from expanding $(NAME): it reads $$ as $.
func literalEnv(s string) string { return strings.ReplaceAll(s, "$", "$$") }

func secretEnv(name, secret, key string, optional bool) corev1.EnvVar {
	ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: key}
	if optional {
		ref.Optional = &optional
	}
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}}
}

// networkVariables are the proxies, in both spellings since programs differ, and the package mirrors.
func networkVariables(setting *v1alpha1.PipelineSetting) *variables {
	v := &variables{}
	if setting == nil || setting.Spec.Network == nil {
		return v
	}
	n := setting.Spec.Network
	add := func(value string, names ...string) {
		for _, name := range names {
			if value != "" {
				v.set(name, value)
			}
		}
	}
	add(n.HTTPProxy, "HTTP_PROXY", "http_proxy")
	add(n.HTTPSProxy, "HTTPS_PROXY", "https_proxy")
	add(n.NoProxy, "NO_PROXY", "no_proxy")
	if m := n.PackageMirrors; m != nil {
		add(m.Go, "GOPROXY")
		add(m.NPM, "npm_config_registry")
		add(m.Pip, "PIP_INDEX_URL")
	}
	return v
}

// cicdVariables have Rancher's names and meanings. Those that do not apply to a run are empty, not absent, so that ${CICD_GIT_TAG} never
// stays in a text.
func cicdVariables(in CompileInput) *variables {
	e := in.Execution
	v := &variables{}
	var s v1alpha1.Source
	if e.Spec.Source != nil {
		s = *e.Spec.Source
	}
	address := withoutPassword(s.RepositoryURL)
	v.set("CICD_GIT_COMMIT", s.Commit[:min(7, len(s.Commit))])
	v.set("CICD_GIT_COMMIT_FULL", s.Commit)
	v.set("CICD_GIT_REPO_NAME", repositoryName(address))
	v.set("CICD_GIT_URL", address)
	v.set("CICD_GIT_REF", s.Ref)
	v.set("CICD_GIT_BRANCH", conditionsBranch(s))
	v.set("CICD_GIT_TAG", s.Tag)
	pr := ""
	if s.PullRequest != nil {
		pr = strconv.FormatInt(s.PullRequest.Number, 10)
	}
	v.set("CICD_PULL_REQUEST", pr)
	v.set("CICD_TRIGGER_TYPE", triggerType(e.Spec.Trigger.Type))
	v.set("CICD_EVENT", eventOf(e))
	v.set("CICD_EXECUTION_ID", e.Name)
	v.set("CICD_EXECUTION_SEQUENCE", strconv.FormatInt(e.Spec.Run, 10))
	v.set("CICD_PIPELINE_ID", e.Spec.PipelineRef.Name)
	v.set("CICD_PROJECT_ID", e.Namespace)
	v.set("CICD_CLUSTER_ID", "")
	v.set("CICD_LOCAL_REGISTRY", registryHost(in.Setting))
	var image v1alpha1.ImageReference
	if e.Spec.Trigger.Image != nil {
		image = *e.Spec.Trigger.Image
	}
	v.set("CICD_TRIGGER_IMAGE", imageName(image))
	v.set("CICD_TRIGGER_IMAGE_REPOSITORY", image.Repository)
	v.set("CICD_TRIGGER_IMAGE_TAG", image.Tag)
	v.set("CICD_TRIGGER_IMAGE_DIGEST", image.Digest)
	return v
}

func conditionsBranch(s v1alpha1.Source) string {
	if s.PullRequest != nil {
		return firstNonEmpty(s.BaseBranch, s.Branch)
	}
	return s.Branch
}

// triggerType is Rancher's word for who started a run.
func triggerType(t v1alpha1.EventType) string {
	switch t {
	case v1alpha1.EventManual, v1alpha1.EventRerun:
		return "user"
	case v1alpha1.EventSchedule:
		return "cron"
	}
	return "webhook"
}

func imageName(i v1alpha1.ImageReference) string {
	switch {
	case i.Repository == "":
		return ""
	case i.Tag != "":
		return i.Repository + ":" + i.Tag
	case i.Digest != "":
		return i.Repository + "@" + i.Digest
	}
	return i.Repository
}

func registryHost(setting *v1alpha1.PipelineSetting) string {
	if setting == nil || setting.Spec.Registry == nil {
		return ""
	}
	return setting.Spec.Registry.URL
}

// repositoryName is the last part of an address, without .git.
func repositoryName(address string) string {
	if address == "" {
		return ""
	}
	if _, after, ok := strings.Cut(address, "://"); ok {
		address = after
	}
	address = strings.TrimRight(strings.ReplaceAll(address, ":", "/"), "/")
	return strings.TrimSuffix(path.Base(address), ".git")
}

// withoutPassword removes the password that an address may carry.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	if _, has := u.User.Password(); has {
		u.User = nil
		return u.String()
	}
	return address
}
