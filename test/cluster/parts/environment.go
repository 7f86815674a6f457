package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

const readTimeout = 10 * time.Second

// environment is what a kubelet would give the container: values with $(NAME)
// expanded, and values from Secrets, ConfigMaps and the pod's own fields.
func (c *containers) environment(pod *corev1.Pod, container *corev1.Container) ([]string, error) {
	var out []string
	values := map[string]string{}
	for _, env := range container.Env {
		value, found, err := c.value(pod, env, expansion.MappingFuncFor(values))
		if err != nil {
			return nil, fmt.Errorf("read the value of %s: %w", env.Name, err)
		}
		if found {
			values[env.Name] = value
			out = append(out, env.Name+"="+value)
		}
	}
	return out, nil
}

func (c *containers) value(pod *corev1.Pod, env corev1.EnvVar, known func(string) string) (value string, found bool, err error) {
	from := env.ValueFrom
	if from == nil {
		return expansion.Expand(env.Value, known), true, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	switch {
	case from.SecretKeyRef != nil:
		secret, err := c.client.CoreV1().Secrets(pod.Namespace).Get(ctx, from.SecretKeyRef.Name, metav1.GetOptions{})
		if err != nil {
			return "", false, err
		}
		b, ok := secret.Data[from.SecretKeyRef.Key]
		return string(b), ok, missing(ok, from.SecretKeyRef.Key, from.SecretKeyRef.Optional)
	case from.ConfigMapKeyRef != nil:
		config, err := c.client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, from.ConfigMapKeyRef.Name, metav1.GetOptions{})
		if err != nil {
			return "", false, err
		}
		text, ok := config.Data[from.ConfigMapKeyRef.Key]
		return text, ok, missing(ok, from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional)
	case from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.name":
		return pod.Name, true, nil
	case from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.namespace":
		return pod.Namespace, true, nil
	case from.FieldRef != nil && from.FieldRef.FieldPath == "spec.nodeName":
		return pod.Spec.NodeName, true, nil
	}
	return "", false, fmt.Errorf("simulated containers cannot take it from %+v", *from)
}

func missing(ok bool, key string, optional *bool) error {
	if ok || optional != nil && *optional {
		return nil
	}
	return fmt.Errorf("no key %q", key)
}
