package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// adminGroup may do everything, by a rule built into the API server.
const adminGroup = "system:masters"

// Kubeconfig is the path of a kubeconfig file that may do everything.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "admin.kubeconfig") }

// RESTConfig is a client configuration that may do everything and is not
// throttled. The caller owns it.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// Client is a client of the whole API, with the rights of RESTConfig.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// UserConfig is a client configuration that authenticates as user in groups, by
// a client certificate. It may do what RBAC grants these names: at first nothing.
func (c *Cluster) UserConfig(user string, groups ...string) (*rest.Config, error) {
	p, err := c.ca.client(user, groups...)
	if err != nil {
		return nil, err
	}
	config := c.anonymous()
	config.CertData, config.KeyData = p.cert, p.key
	return config, nil
}

// ServiceAccountConfig is a client configuration that authenticates as a
// ServiceAccount, by a token of one hour.
func (c *Cluster) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	token, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("request token of %s/%s: %w", namespace, name, err)
	}
	config := c.anonymous()
	config.BearerToken = token.Status.Token
	return config, nil
}

// WriteKubeconfig writes config (of UserConfig or ServiceAccountConfig) as a
// kubeconfig file whose context is in namespace, and returns its path. Files of
// the same name overwrite each other.
func (c *Cluster) WriteKubeconfig(name string, config *rest.Config, namespace string) (string, error) {
	dir := filepath.Join(c.dir, "kubeconfigs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, regexp.MustCompile(`[^\w.-]+`).ReplaceAllString(name, "_")+".kubeconfig")
	return path, writeKubeconfig(path, config, namespace)
}

// anonymous reaches the API server and trusts it, without saying who it is.
func (c *Cluster) anonymous() *rest.Config {
	return &rest.Config{
		Host:            c.net.url(),
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.pem},
		QPS:             -1, // the API server's own fairness is the limit
	}
}

func writeKubeconfig(path string, config *rest.Config, namespace string) error {
	const name = "test"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
	}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: namespace}
	file.CurrentContext = name
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
