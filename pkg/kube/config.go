package kube

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// ServerConfig is the rest configuration of a program that runs all the time: from
// kubeconfig when it is set, else from the pod it runs in. Client-side throttling is
// off: the API server's priority and fairness bounds it, and a limit of our own would
// only hide the queue.
func ServerConfig(kubeconfig, userAgent string) (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("load Kubernetes configuration %q: %w", kubeconfig, err)
	}
	cfg.QPS = -1
	cfg.UserAgent = userAgent
	return cfg, nil
}
