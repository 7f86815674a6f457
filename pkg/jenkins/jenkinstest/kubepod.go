package jenkinstest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// agentRoot is the plugin's default working directory, where the workspace volume is mounted.
const agentRoot = "/home/jenkins/agent"

const (
	jnlp            = "jnlp"
	workspaceVolume = "workspace-volume"
)

// keepalive stands in for the agent program. A shell that is process 1 has to ask for SIGTERM, or a pod takes its whole grace period
// to end.
var keepalive = []string{"sh", "-c", `trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done`}

// buildPod makes of a template's yaml what the Kubernetes plugin makes of it.
func (k *kubeAgents) buildPod(req NodeRequest, template string) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict([]byte(req.Template.YAML), pod); err != nil {
		return nil, fmt.Errorf("parse pod template: %w", err)
	}
	if pod.Kind != "" && pod.Kind != "Pod" {
		return nil, fmt.Errorf("parse pod template: kind is %s, want Pod", pod.Kind)
	}
	pod.Name, pod.GenerateName = podName(template), ""
	switch {
	case req.Template.Namespace != "":
		pod.Namespace = req.Template.Namespace
	case pod.Namespace == "":
		pod.Namespace = k.opts.Namespace
	}
	digest := sha1.Sum([]byte(req.Label))
	pod.Labels = merge(pod.Labels, map[string]string{
		"jenkins": "slave", "jenkins/label": labelValue(req.Label), "jenkins/label-digest": hex.EncodeToString(digest[:]),
		"kubernetes.jenkins.io/controller": labelValue(strings.TrimSuffix(req.BuildURL, req.RunURL)),
	})
	pod.Annotations = merge(pod.Annotations, map[string]string{"buildUrl": req.BuildURL, "runUrl": req.RunURL})
	spec := &pod.Spec
	k.addAgentContainer(spec, pod.Name, strings.TrimSuffix(req.BuildURL, req.RunURL))
	addWorkspace(spec)
	if spec.RestartPolicy == "" {
		spec.RestartPolicy = corev1.RestartPolicyNever
	}
	if len(spec.NodeSelector) == 0 && spec.RuntimeClassName == nil && (spec.Affinity == nil || spec.Affinity.NodeAffinity == nil) {
		spec.NodeSelector = map[string]string{corev1.LabelOSStable: "linux"}
	}
	return pod, nil
}

func (k *kubeAgents) addAgentContainer(spec *corev1.PodSpec, name, root string) {
	agent := -1
	for i := range spec.Containers {
		if spec.Containers[i].Name == jnlp {
			agent = i
		}
	}
	if agent < 0 {
		spec.Containers = append(spec.Containers, corev1.Container{Name: jnlp})
		agent = len(spec.Containers) - 1
	}
	c := &spec.Containers[agent]
	if c.Image == "" {
		c.Image = k.opts.AgentImage
	}
	if len(c.Command) == 0 { // the double has no agent program to run
		c.Command, c.Args = keepalive, nil
	}
	if c.WorkingDir == "" {
		c.WorkingDir = agentRoot
	}
	if len(c.Resources.Requests) == 0 && len(c.Resources.Limits) == 0 {
		c.Resources.Requests = corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("256Mi"),
		}
	}
	c.Env = append(c.Env,
		corev1.EnvVar{Name: "JENKINS_SECRET", Value: "the double's agents need none"}, corev1.EnvVar{Name: "JENKINS_AGENT_NAME", Value: name},
		corev1.EnvVar{Name: "JENKINS_NAME", Value: name}, corev1.EnvVar{Name: "JENKINS_AGENT_WORKDIR", Value: agentRoot},
		corev1.EnvVar{Name: "JENKINS_URL", Value: root}, corev1.EnvVar{Name: "REMOTING_OPTS", Value: "-noReconnectAfter 1d"},
	)
}

// addWorkspace mounts one volume at the agents' root in every container that has nothing there.
func addWorkspace(spec *corev1.PodSpec) {
	needed := false
	for i := range spec.Containers {
		c := &spec.Containers[i]
		mounted := false
		for _, m := range c.VolumeMounts {
			mounted = mounted || strings.TrimRight(m.MountPath, "/") == agentRoot
		}
		if !mounted {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: workspaceVolume, MountPath: agentRoot})
			needed = true
		}
	}
	for _, v := range spec.Volumes {
		needed = needed && v.Name != workspaceVolume
	}
	if needed {
		spec.Volumes = append(spec.Volumes, corev1.Volume{
			Name: workspaceVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		})
	}
}

var (
	notInLabel = regexp.MustCompile(`[^A-Za-z0-9._-]`)
	notInName  = regexp.MustCompile(`[^a-z0-9-]`)
)

// podName appends a random part to the template's name and keeps within 63 characters.
func podName(template string) string {
	name := notInName.ReplaceAllString(strings.ToLower(template), "-")
	return strings.Trim(name[:min(len(name), 56)], "-") + "-" + randomSuffix()
}

// labelValue sanitises as the plugin does; the last characters are the ones that tell builds apart.
func labelValue(s string) string {
	s = notInLabel.ReplaceAllString(s, "_")
	return strings.Trim(s[max(0, len(s)-63):], "._-")
}

// merge gives the plugin's own values precedence.
func merge(base, over map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}
