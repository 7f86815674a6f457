package kube

import (
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Clients makes typed clients that share their connections.
type Clients struct {
	// Scheme holds the kinds that the clients know.
	Scheme *runtime.Scheme
	// Config is what the clients were made from.
	Config *rest.Config

	pipeline, core, coordination rest.Interface
	params                       runtime.ParameterCodec
}

// NewClients connects to the API server of cfg, which is copied. Nothing is sent
// before the first call.
func NewClients(cfg *rest.Config) (*Clients, error) {
	scheme := NewScheme()
	c := &Clients{Scheme: scheme, Config: rest.CopyConfig(cfg), params: runtime.NewParameterCodec(scheme)}
	httpClient, err := rest.HTTPClientFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("make HTTP client for %s: %w", cfg.Host, err)
	}
	for _, g := range []struct {
		into    *rest.Interface
		gv      schema.GroupVersion
		apiPath string
	}{
		{&c.pipeline, v1alpha1.SchemeGroupVersion, "/apis"},
		{&c.core, corev1.SchemeGroupVersion, "/api"},
		{&c.coordination, coordinationv1.SchemeGroupVersion, "/apis"},
	} {
		gc := rest.CopyConfig(c.Config)
		gc.GroupVersion = &g.gv
		gc.APIPath = g.apiPath
		gc.NegotiatedSerializer = newCodecs(scheme).WithoutConversion()
		rc, err := rest.RESTClientForConfigAndClient(gc, httpClient)
		if err != nil {
			return nil, fmt.Errorf("make client of %s: %w", g.gv, err)
		}
		*g.into = rc
	}
	return c, nil
}

// Pipelines is a client of Pipeline objects.
func (c *Clients) Pipelines(ns string) Resource[*v1alpha1.Pipeline, *v1alpha1.PipelineList] {
	return newResource(c, c.pipeline, "pipelines", ns, &v1alpha1.Pipeline{}, &v1alpha1.PipelineList{})
}

// Executions is a client of PipelineExecution objects.
func (c *Clients) Executions(ns string) Resource[*v1alpha1.PipelineExecution, *v1alpha1.PipelineExecutionList] {
	return newResource(c, c.pipeline, "pipelineexecutions", ns, &v1alpha1.PipelineExecution{}, &v1alpha1.PipelineExecutionList{})
}

// Settings is a client of PipelineSetting objects.
func (c *Clients) Settings(ns string) Resource[*v1alpha1.PipelineSetting, *v1alpha1.PipelineSettingList] {
	return newResource(c, c.pipeline, "pipelinesettings", ns, &v1alpha1.PipelineSetting{}, &v1alpha1.PipelineSettingList{})
}

// Providers is a client of SourceCodeProvider objects.
func (c *Clients) Providers(ns string) Resource[*v1alpha1.SourceCodeProvider, *v1alpha1.SourceCodeProviderList] {
	return newResource(c, c.pipeline, "sourcecodeproviders", ns, &v1alpha1.SourceCodeProvider{}, &v1alpha1.SourceCodeProviderList{})
}

// Credentials is a client of SourceCodeCredential objects.
func (c *Clients) Credentials(ns string) Resource[*v1alpha1.SourceCodeCredential, *v1alpha1.SourceCodeCredentialList] {
	return newResource(c, c.pipeline, "sourcecodecredentials", ns, &v1alpha1.SourceCodeCredential{}, &v1alpha1.SourceCodeCredentialList{})
}

// Repositories is a client of SourceCodeRepository objects.
func (c *Clients) Repositories(ns string) Resource[*v1alpha1.SourceCodeRepository, *v1alpha1.SourceCodeRepositoryList] {
	return newResource(c, c.pipeline, "sourcecoderepositories", ns, &v1alpha1.SourceCodeRepository{}, &v1alpha1.SourceCodeRepositoryList{})
}

// Secrets is a client of Secret objects.
func (c *Clients) Secrets(ns string) Resource[*corev1.Secret, *corev1.SecretList] {
	return newResource(c, c.core, "secrets", ns, &corev1.Secret{}, &corev1.SecretList{})
}

// ConfigMaps is a client of ConfigMap objects.
func (c *Clients) ConfigMaps(ns string) Resource[*corev1.ConfigMap, *corev1.ConfigMapList] {
	return newResource(c, c.core, "configmaps", ns, &corev1.ConfigMap{}, &corev1.ConfigMapList{})
}

// Pods is a client of Pod objects.
func (c *Clients) Pods(ns string) Resource[*corev1.Pod, *corev1.PodList] {
	return newResource(c, c.core, "pods", ns, &corev1.Pod{}, &corev1.PodList{})
}

// ServiceAccounts is a client of ServiceAccount objects.
func (c *Clients) ServiceAccounts(ns string) Resource[*corev1.ServiceAccount, *corev1.ServiceAccountList] {
	return newResource(c, c.core, "serviceaccounts", ns, &corev1.ServiceAccount{}, &corev1.ServiceAccountList{})
}

// Namespaces is a client of Namespace objects.
func (c *Clients) Namespaces() Resource[*corev1.Namespace, *corev1.NamespaceList] {
	return newResource(c, c.core, "namespaces", "", &corev1.Namespace{}, &corev1.NamespaceList{})
}

// Leases is a client of Lease objects.
func (c *Clients) Leases(ns string) Resource[*coordinationv1.Lease, *coordinationv1.LeaseList] {
	return newResource(c, c.coordination, "leases", ns, &coordinationv1.Lease{}, &coordinationv1.LeaseList{})
}

// Events is a client of core Event objects.
func (c *Clients) Events(ns string) Resource[*corev1.Event, *corev1.EventList] {
	return newResource(c, c.core, "events", ns, &corev1.Event{}, &corev1.EventList{})
}

// PipelineREST is the raw client of our group, for what the typed ones do not do
// (tables, raw answers).
func (c *Clients) PipelineREST() rest.Interface { return c.pipeline }

// CoreREST is the raw client of the core group, for what the typed ones do not do
// (service proxy, pod logs).
func (c *Clients) CoreREST() rest.Interface { return c.core }

func newResource[T Object, L runtime.Object](c *Clients, rc rest.Interface, plural, ns string, obj T, list L) Resource[T, L] {
	return Resource[T, L]{
		rest: rc, params: c.params, plural: plural, namespace: ns,
		newObject: func() T { return obj.DeepCopyObject().(T) },
		newList:   func() L { return list.DeepCopyObject().(L) },
	}
}
