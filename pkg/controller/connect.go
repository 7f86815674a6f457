package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// Keys of the Secret of engine.jenkins.credentialsSecretRef.
const (
	engineKeyUsername = "username"
	engineKeyToken    = "token"
)

// +kubebuilder:rbac:groups="",resources=secrets,verbs=get

// connection says how to reach a project's Jenkins. The second value is the same for
// projects that share one: equal address and credentials.
func connection(ctx context.Context, clients *kube.Clients, project string, setting *v1alpha1.PipelineSetting) (jenkins.Config, string, *pipeline.Failure) {
	var spec v1alpha1.JenkinsSpec
	if setting != nil {
		spec = setting.Spec.Engine.Jenkins
	}
	if spec.Mode != v1alpha1.ComponentExternal {
		return jenkins.Config{}, "", notConfigured("this version does not deploy Jenkins itself: set spec.engine.jenkins of PipelineSetting %s/%s to mode External, with url and credentialsSecretRef of a Jenkins that exists", project, v1alpha1.SettingName)
	}
	if spec.URL == "" || spec.CredentialsSecretRef == nil {
		return jenkins.Config{}, "", notConfigured("spec.engine.jenkins of PipelineSetting %s/%s needs url and credentialsSecretRef", project, v1alpha1.SettingName)
	}
	name := spec.CredentialsSecretRef.Name
	secret, err := clients.Secrets(project).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return jenkins.Config{}, "", notConfigured("Secret %s/%s with the credentials of Jenkins does not exist", project, name)
	case err != nil:
		return jenkins.Config{}, "", &pipeline.Failure{Reason: v1alpha1.ReasonEngineUnavailable, Message: fmt.Sprintf("read Secret %s/%s: %v", project, name, err)}
	}
	user, token := secretText(secret, engineKeyUsername), secretText(secret, engineKeyToken)
	if user == "" || token == "" {
		return jenkins.Config{}, "", notConfigured("Secret %s/%s needs the keys %s and %s", project, name, engineKeyUsername, engineKeyToken)
	}
	hash := sha256.Sum256([]byte(spec.URL + "\x00" + user + "\x00" + token))
	return jenkins.Config{BaseURL: spec.URL, User: user, Token: token}, hex.EncodeToString(hash[:]), nil
}

func notConfigured(format string, args ...any) *pipeline.Failure {
	return &pipeline.Failure{Reason: v1alpha1.ReasonEngineNotConfigured, Message: fmt.Sprintf(format, args...)}
}

// secretText is a value as people store it, often with a newline at its end.
func secretText(s *corev1.Secret, key string) string {
	return strings.TrimSpace(string(s.Data[key]))
}

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=pipelinesettings,verbs=get

// Connector gives clients of projects' Jenkins to who is no controller: what serves logs
// runs in every replica, without the controllers' informers.
type Connector struct {
	clients *kube.Clients

	mu    sync.Mutex
	known map[string]connected // by project
}

type connected struct {
	key    string
	client *jenkins.Client
	used   time.Time
}

// connectedAge is how long the client of a project is kept that nobody asks for.
const connectedAge = 10 * time.Minute

// NewConnector makes a Connector.
func NewConnector(clients *kube.Clients) *Connector {
	return &Connector{clients: clients, known: map[string]connected{}}
}

// Client is a client of the project's Jenkins, made anew when its address or
// credentials have changed. Do not close it.
func (c *Connector) Client(ctx context.Context, project string) (*jenkins.Client, error) {
	setting, err := c.clients.Settings(project).Get(ctx, v1alpha1.SettingName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		setting = nil
	} else if err != nil {
		return nil, fmt.Errorf("read PipelineSetting of %s: %w", project, err)
	}
	cfg, key, failure := connection(ctx, c.clients, project, setting)
	if failure != nil {
		return nil, fmt.Errorf("connect to Jenkins of %s: %s", project, failure.Message)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(time.Now())
	old := c.known[project]
	if old.key == key {
		c.known[project] = connected{key, old.client, time.Now()}
		return old.client, nil
	}
	client, err := jenkins.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to Jenkins of %s: %w", project, err)
	}
	if old.client != nil {
		old.client.Close() // streams that still read from it go on
	}
	c.known[project] = connected{key, client, time.Now()}
	return client, nil
}

// sweep lets clients go that were not asked for lately. Streams that still read from one
// go on. The caller holds c.mu.
func (c *Connector) sweep(now time.Time) {
	for project, k := range c.known {
		if now.Sub(k.used) >= connectedAge {
			k.client.Close()
			delete(c.known, project)
		}
	}
}
