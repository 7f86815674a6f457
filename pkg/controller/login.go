package controller

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=sourcecodeproviders;sourcecodecredentials,verbs=get

// login reads with which login a run's source is read and cloned. A source that is not
// the repository that the login is for gets none: whoever may start a run could
// otherwise have it sent to a host of their own.
func (c *executions) login(ctx context.Context, e *v1alpha1.PipelineExecution, repo *v1alpha1.SourceCodeRepository) (scm.Credential, error) {
	if repo.Spec.CredentialRef == nil || e.Spec.Source != nil && !sameRepository(e.Spec.Source.RepositoryURL, repo.Spec.URL) {
		return scm.Credential{}, nil
	}
	name := repo.Spec.CredentialRef.Name
	cred, err := c.o.Clients.Credentials(e.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return scm.Credential{}, fail(v1alpha1.ReasonConfigUnavailable, "read SourceCodeCredential %s: %w", name, err)
	}
	provider, err := c.o.Clients.Providers(e.Namespace).Get(ctx, cred.Spec.ProviderRef.Name, metav1.GetOptions{})
	if err != nil {
		return scm.Credential{}, fail(v1alpha1.ReasonConfigUnavailable, "read SourceCodeProvider %s of SourceCodeCredential %s: %w", cred.Spec.ProviderRef.Name, name, err)
	}
	if err := fits(cred, provider, repo); err != nil {
		return scm.Credential{}, err
	}
	secret, err := c.o.Clients.Secrets(e.Namespace).Get(ctx, cred.Spec.SecretRef.Name, metav1.GetOptions{})
	if err != nil {
		return scm.Credential{}, fail(v1alpha1.ReasonConfigUnavailable, "read the Secret of SourceCodeCredential %s: %w", name, err)
	}
	login := scm.Credential{
		Token:         secretText(secret, v1alpha1.CredentialKeyToken),
		Username:      secretText(secret, v1alpha1.CredentialKeyUsername),
		Password:      secretText(secret, v1alpha1.CredentialKeyPassword),
		SSHPrivateKey: string(secret.Data[v1alpha1.CredentialKeySSHPrivateKey]),
		KnownHosts:    string(secret.Data[v1alpha1.CredentialKeyKnownHosts]),
	}
	if credentialKind(login) == pipeline.CredentialNone {
		return scm.Credential{}, fail(v1alpha1.ReasonConfigUnavailable, "Secret %s of SourceCodeCredential %s has none of the keys %s, %s and %s", secret.Name, name,
			v1alpha1.CredentialKeyToken, v1alpha1.CredentialKeyPassword, v1alpha1.CredentialKeySSHPrivateKey)
	}
	return login, nil
}

// fits says whether a repository may be read with a login: it has to be at the host that
// the login is for, and be read by that host's API. Whoever may write repositories could
// otherwise have the login sent anywhere.
func fits(cred *v1alpha1.SourceCodeCredential, provider *v1alpha1.SourceCodeProvider, repo *v1alpha1.SourceCodeRepository) error {
	if ref := repo.Spec.ProviderRef; ref != nil && ref.Name != provider.Name {
		return fail(v1alpha1.ReasonConfigUnavailable, "SourceCodeCredential %s is for SourceCodeProvider %s, but SourceCodeRepository %s names %s", cred.Name, provider.Name, repo.Name, ref.Name)
	}
	if !scm.AtHost(repo.Spec.URL, provider.Spec.URL) {
		return fail(v1alpha1.ReasonConfigUnavailable, "SourceCodeCredential %s is for %s, but SourceCodeRepository %s is at %s: a login is sent to its own host only", cred.Name, provider.Spec.URL, repo.Name, repo.Spec.URL)
	}
	return nil
}

func credentialKind(login scm.Credential) pipeline.CredentialKind {
	switch {
	case login.Token != "", login.Password != "":
		return pipeline.CredentialBasic
	case login.SSHPrivateKey != "":
		return pipeline.CredentialSSH
	default:
		return pipeline.CredentialNone
	}
}

// remote says where the run's source is read from.
func (c *executions) remote(ctx context.Context, e *v1alpha1.PipelineExecution, in inputs) (scm.Repository, error) {
	repo := scm.Repository{URL: e.Spec.Source.RepositoryURL, Credential: in.login}
	if in.repository.Spec.ProviderRef == nil || !sameRepository(repo.URL, in.repository.Spec.URL) {
		return repo, nil
	}
	name := in.repository.Spec.ProviderRef.Name
	provider, err := c.o.Clients.Providers(e.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return repo, fail(v1alpha1.ReasonConfigUnavailable, "SourceCodeProvider %s does not exist", name)
	}
	if err != nil {
		return repo, fail(v1alpha1.ReasonConfigUnavailable, "read SourceCodeProvider %s: %w", name, err)
	}
	repo.Type, repo.ProviderURL, repo.APIURL = provider.Spec.Type, provider.Spec.URL, provider.Spec.APIURL
	repo.CABundle, repo.InsecureSkipTLSVerify = provider.Spec.CABundle, provider.Spec.InsecureSkipTLSVerify
	return repo, nil
}

func sameRepository(a, b string) bool {
	clean := func(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "/"), ".git") }
	return clean(a) == clean(b)
}
