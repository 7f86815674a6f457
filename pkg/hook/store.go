package hook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// Indexes of the informers.
const (
	indexPath       = "webhookPath"
	indexRepository = "repository"
	indexRegistry   = "registry"
)

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=sourcecoderepositories;sourcecodeproviders;pipelines,verbs=get;list;watch

// store is what a delivery is looked up in: kept in memory by watches, so that a
// request asks the API server for nothing but to store its runs.
type store struct {
	repositories, providers, pipelines cache.SharedIndexInformer
}

func newStore(c *kube.Clients, namespace string) *store {
	s := &store{
		repositories: c.Repositories(namespace).Informer("", cache.Indexers{indexPath: func(o any) ([]string, error) {
			if r, ok := o.(*v1alpha1.SourceCodeRepository); ok && accepts(r) {
				return []string{r.Status.Webhook.Path}, nil
			}
			return nil, nil
		}}),
		providers: c.Providers(namespace).Informer("", nil),
		pipelines: c.Pipelines(namespace).Informer("", cache.Indexers{indexRepository: func(o any) ([]string, error) {
			if p, ok := o.(*v1alpha1.Pipeline); ok && p.Spec.RepositoryRef != nil {
				return []string{p.Namespace + "/" + p.Spec.RepositoryRef.Name}, nil
			}
			return nil, nil
		}, indexRegistry: byRegistry}),
	}
	for _, i := range s.all() {
		_ = i.SetTransform(slim) // fails only once it runs
	}
	return s
}

// slim drops what is never looked at and may be larger than the object.
func slim(o any) (any, error) {
	if m, ok := o.(metav1.Object); ok {
		m.SetManagedFields(nil)
	}
	if p, ok := o.(*v1alpha1.Pipeline); ok {
		p.Spec.Config = "" // up to 256 KiB each; an execution gets it at admission
	}
	return o, nil
}

// accepts: a repository that has a webhook at all.
func accepts(r *v1alpha1.SourceCodeRepository) bool {
	return r.DeletionTimestamp == nil && r.Spec.Webhook != nil && r.Spec.Webhook.Mode != v1alpha1.WebhookDisabled &&
		r.Spec.Webhook.SecretRef != nil && r.Status.Webhook != nil && len(r.Status.Webhook.Path) >= len(PathPrefix)+32
}

func (s *store) all() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{s.repositories, s.providers, s.pipelines}
}

func (s *store) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, i := range s.all() {
		wg.Go(func() { i.RunWithContext(ctx) })
	}
	wg.Wait()
}

func (s *store) synced() bool {
	for _, i := range s.all() {
		if !i.HasSynced() {
			return false
		}
	}
	return true
}

var (
	errUnknownPath = errors.New("no repository has this path")
	errAmbiguous   = errors.New("several repositories have this path")
)

// byPath finds the repository and the type of its host. The path is a key of a map:
// no comparison byte by byte tells how much of it was right.
func (s *store) byPath(path string) (*v1alpha1.SourceCodeRepository, v1alpha1.ProviderType, error) {
	found, err := kube.Indexed[*v1alpha1.SourceCodeRepository](s.repositories.GetIndexer(), indexPath, path)
	switch {
	case err != nil:
		return nil, "", err
	case len(found) == 0:
		return nil, "", errUnknownPath
	case len(found) > 1:
		return nil, "", errAmbiguous
	}
	repo := found[0]
	if repo.Spec.ProviderRef == nil {
		return repo, v1alpha1.ProviderGit, nil
	}
	o, ok, err := s.providers.GetIndexer().GetByKey(repo.Namespace + "/" + repo.Spec.ProviderRef.Name)
	if err != nil || !ok {
		return nil, "", errUnknownPath
	}
	provider, ok := o.(*v1alpha1.SourceCodeProvider)
	if !ok {
		return nil, "", fmt.Errorf("look up provider: %T in the cache", o)
	}
	return repo, provider.Spec.Type, nil
}

// byRegistry are the registries whose images a pipeline waits for, as "namespace/type".
func byRegistry(o any) ([]string, error) {
	p, ok := o.(*v1alpha1.Pipeline)
	if !ok || p.Spec.Triggers == nil {
		return nil, nil
	}
	var keys []string
	for _, t := range p.Spec.Triggers.Image {
		if key := p.Namespace + "/" + string(t.Registry); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// pipelinesOf are the pipelines that build a repository. They are shared with the
// cache: not to be changed.
func (s *store) pipelinesOf(repo *v1alpha1.SourceCodeRepository) ([]*v1alpha1.Pipeline, error) {
	return s.pipelinesBy(indexRepository, repo.Namespace+"/"+repo.Name)
}

// waitingFor are a project's pipelines that wait for images of a kind of registry. They
// are shared with the cache: not to be changed.
func (s *store) waitingFor(project string, registry v1alpha1.RegistryType) ([]*v1alpha1.Pipeline, error) {
	return s.pipelinesBy(indexRegistry, project+"/"+string(registry))
}

// repository of a pipeline, nil when it does not exist. It is shared with the cache.
func (s *store) repository(project, name string) (*v1alpha1.SourceCodeRepository, error) {
	o, ok, err := s.repositories.GetIndexer().GetByKey(project + "/" + name)
	if err != nil || !ok {
		return nil, err
	}
	r, ok := o.(*v1alpha1.SourceCodeRepository)
	if !ok {
		return nil, fmt.Errorf("look up repository: %T in the cache", o)
	}
	return r, nil
}

func (s *store) pipelinesBy(index, key string) ([]*v1alpha1.Pipeline, error) {
	all, err := kube.Indexed[*v1alpha1.Pipeline](s.pipelines.GetIndexer(), index, key)
	live := all[:0]
	for _, p := range all {
		if p.DeletionTimestamp == nil {
			live = append(live, p)
		}
	}
	slices.SortFunc(live, func(a, b *v1alpha1.Pipeline) int { return strings.Compare(a.Name, b.Name) })
	return live, err
}
