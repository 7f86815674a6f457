package jenkinstest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// containerEnv is the environment a container would have, for simulated nodes, where it has none. On real nodes it is empty: there
// the container has its own.
func (a *kubeAgent) containerEnv(ctx context.Context, container string) ([]string, error) {
	if a.k.opts.WorkspaceRoot == "" {
		return nil, nil
	}
	a.mu.Lock()
	pod := a.pod
	a.mu.Unlock()
	env := []string{"HOME=" + a.root + "/home", "HOSTNAME=" + a.name}
	values := map[string]string{}
	set := func(name, value string) {
		values[name] = value
		env = append(env, name+"="+value)
	}
	i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container })
	if i < 0 {
		return nil, thrown("java.io.IOException", "container [%s] does not exist in pod [%s]", container, a.name)
	}
	for _, from := range pod.Spec.Containers[i].EnvFrom {
		data, err := a.source(ctx, from)
		if err != nil {
			return nil, err
		}
		for name, value := range data {
			set(from.Prefix+name, value)
		}
	}
	for _, e := range pod.Spec.Containers[i].Env {
		value, ok, err := a.value(ctx, pod, e)
		if err != nil {
			return nil, err
		}
		if ok {
			set(e.Name, expand(value, values))
		}
	}
	return env, nil
}

func (a *kubeAgent) source(ctx context.Context, from corev1.EnvFromSource) (map[string]string, error) {
	switch {
	case from.SecretRef != nil:
		return a.secret(ctx, from.SecretRef.Name, from.SecretRef.Optional)
	case from.ConfigMapRef != nil:
		return a.configMap(ctx, from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
	}
	return nil, nil
}

func (a *kubeAgent) value(ctx context.Context, pod *corev1.Pod, e corev1.EnvVar) (string, bool, error) {
	from := e.ValueFrom
	switch {
	case from == nil:
		return e.Value, true, nil
	case from.SecretKeyRef != nil:
		data, err := a.secret(ctx, from.SecretKeyRef.Name, from.SecretKeyRef.Optional)
		v, ok := data[from.SecretKeyRef.Key]
		return v, ok, err
	case from.ConfigMapKeyRef != nil:
		data, err := a.configMap(ctx, from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Optional)
		v, ok := data[from.ConfigMapKeyRef.Key]
		return v, ok, err
	case from.FieldRef != nil:
		v, ok := map[string]string{
			"metadata.name": pod.Name, "metadata.namespace": pod.Namespace, "metadata.uid": string(pod.UID),
			"spec.nodeName": pod.Spec.NodeName, "spec.serviceAccountName": pod.Spec.ServiceAccountName,
			"status.podIP": pod.Status.PodIP, "status.hostIP": pod.Status.HostIP,
		}[from.FieldRef.FieldPath]
		return v, ok, nil
	}
	return "", false, nil
}

func (a *kubeAgent) secret(ctx context.Context, name string, optional *bool) (map[string]string, error) {
	s, err := a.k.client.CoreV1().Secrets(a.ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, missing(err, "secret", name, optional)
	}
	data := map[string]string{}
	for k, v := range s.Data {
		data[k] = string(v)
	}
	return data, nil
}

func (a *kubeAgent) configMap(ctx context.Context, name string, optional *bool) (map[string]string, error) {
	c, err := a.k.client.CoreV1().ConfigMaps(a.ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, missing(err, "config map", name, optional)
	}
	return c.Data, nil
}

func missing(err error, kind, name string, optional *bool) error {
	if optional != nil && *optional {
		return nil
	}
	return fmt.Errorf("read %s %s of a container's environment: %w", kind, name, err)
}

// expand replaces $(NAME) by what is known so far, as the kubelet does; "$$" is a dollar.
func expand(value string, known map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		rest := value[i:]
		switch {
		case strings.HasPrefix(rest, "$$"):
			b.WriteByte('$')
			i++
		case strings.HasPrefix(rest, "$("):
			name, _, closed := strings.Cut(rest[2:], ")")
			v, ok := known[name]
			if !closed || !ok {
				b.WriteByte('$')
				continue
			}
			b.WriteString(v)
			i += len(name) + 2
		default:
			b.WriteByte(value[i])
		}
	}
	return b.String()
}
