package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/logs"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// tokenUser is the user name that goes with a token at any Git host, when none is given.
const tokenUser = "x-access-token"

// provision makes everything that the build needs. Each part may be there already.
func (c *executions) provision(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory) error {
	err := c.tryProvision(ctx, e, m)
	if errors.Is(err, errBusy) || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	if err != nil {
		m.Provision = c.toFailure(err, v1alpha1.ReasonStarting, m)
		c.log(e).Warn("not provisioned", "error", err)
		return nil
	}
	m.Provisioned, m.Provision, m.failures = true, nil, 0
	return nil
}

func (c *executions) tryProvision(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory) error {
	p := m.config
	if p == nil {
		var err error
		if p, err = c.prepare(ctx, e); err != nil {
			return err
		}
		m.config = p
	}
	namespace := p.namespace
	if err := c.ensureNamespace(ctx, e.Namespace, namespace); err != nil {
		return err
	}
	if err := c.ensureLogReader(ctx, e.Namespace); err != nil {
		return err
	}
	if m.bundle = p.needsBundle(); m.bundle {
		if err := c.ensureBundle(ctx, e, p, namespace); err != nil {
			c.namespaces.drop(projectNamespace{e.Namespace, namespace}) // it may be gone
			return err
		}
	}
	return c.ensureJob(ctx, e, m, p)
}

func (c *executions) ensureJob(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory, p *prepared) error {
	if m.engine == nil {
		return fail(v1alpha1.ReasonEngineNotConfigured, "the project has no Jenkins")
	}
	release, err := m.engine.slot()
	if err != nil {
		return err
	}
	defer release()
	_, err = m.engine.client.EnsureJob(ctx, jenkins.Job{
		Ref: refOf(e), UID: string(e.UID), Script: p.compiled.Jenkinsfile,
		Description: fmt.Sprintf("Run %d of pipeline %s in namespace %s: PipelineExecution %s", e.Spec.Run, e.Spec.PipelineRef.Name, e.Namespace, e.Name),
	})
	c.o.Metrics.verb(pipeline.DoProvision, err)
	if err != nil {
		f := engineFailure(err)
		return &failure{reason: f.Reason, err: fmt.Errorf("%s", f.Message), terminal: f.Terminal}
	}
	return nil
}

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;create

// projectNamespace is a project and the namespace of its agents.
type projectNamespace struct{ project, name string }

// ensureNamespace makes the executor namespace where hookd may; where not, it says what
// to do. A namespace that is there already has to say that it belongs to the project:
// otherwise whoever may choose its name could run pods, and keep secrets, beside the
// objects of somebody else.
func (c *executions) ensureNamespace(ctx context.Context, project, name string) error {
	key := projectNamespace{project, name}
	if c.namespaces.knows(key, namespaceAge, c.o.Clock.Now()) {
		return nil
	}
	ns, err := c.o.Clients.Namespaces().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		ns, err = c.o.Clients.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{v1alpha1.LabelProject: project},
		}}, metav1.CreateOptions{})
		if apierrors.IsForbidden(err) {
			return fail(v1alpha1.ReasonExecutorNamespaceMissing, "namespace %[1]s does not exist and hookd may not create it: create it with the label %[2]s=%[3]s, or name another one in spec.executor.namespace of PipelineSetting %[3]s/%[4]s",
				name, v1alpha1.LabelProject, project, v1alpha1.SettingName)
		}
	}
	if err != nil {
		return fail(v1alpha1.ReasonExecutorNamespaceMissing, "ensure namespace %s: %w", name, err)
	}
	if err := belongs(ns, project); err != nil {
		return err
	}
	if c.o.Clock.Since(ns.CreationTimestamp.Time) < namespaceAge {
		if err := c.ensureDefaultAccount(ctx, name); err != nil {
			return err
		}
	}
	c.namespaces.note(key, namespaceAge, c.o.Clock.Now())
	return nil
}

// ensureDefaultAccount makes the ServiceAccount that the control plane makes in a new
// namespace a moment later, or much later when it is busy: until then no pod can be made
// there, and Jenkins, which is refused for that, ends the build.
func (c *executions) ensureDefaultAccount(ctx context.Context, namespace string) error {
	_, err := c.o.Clients.ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsForbidden(err) {
		return fmt.Errorf("create ServiceAccount %s/default: %w", namespace, err)
	}
	return nil
}

// Neither of these is watched, and both may be deleted and made again, by others too.
const (
	// namespaceAge is how long an executor namespace counts as there, and the project's.
	namespaceAge = time.Minute
	// readerAge is how long the ServiceAccount for logs counts as there.
	readerAge = 10 * time.Minute
)

// belongs says whether agents of the project may run in a namespace: its own, or one
// that is labelled so.
func belongs(ns *corev1.Namespace, project string) error {
	if of := ns.Labels[v1alpha1.LabelProject]; ns.Name != project && of != project {
		return fail(v1alpha1.ReasonExecutorNamespaceForeign, "namespace %s has label %s=%q: agents of this project run there when it is %q", ns.Name, v1alpha1.LabelProject, of, project)
	}
	return nil
}

// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=create

func (c *executions) ensureLogReader(ctx context.Context, project string) error {
	if c.readers.knows(project, readerAge, c.o.Clock.Now()) {
		return nil
	}
	no := false
	_, err := c.o.Clients.ServiceAccounts(project).Create(ctx, &corev1.ServiceAccount{
		ObjectMeta:                   metav1.ObjectMeta{Name: logs.ReaderServiceAccount, Labels: map[string]string{v1alpha1.LabelProject: project}},
		AutomountServiceAccountToken: &no,
	}, metav1.CreateOptions{})
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
	case apierrors.IsForbidden(err): // logs are not worth failing a run for
		c.o.Log.Warn("ServiceAccount for logs not created", "namespace", project, "error", err)
	default:
		return fmt.Errorf("create ServiceAccount %s: %w", logs.ReaderServiceAccount, err)
	}
	c.readers.note(project, readerAge, c.o.Clock.Now())
	return nil
}

// bundleName is the Secret that holds all that one run may know.
func bundleName(e *v1alpha1.PipelineExecution) string { return "run-" + string(e.UID) }

func (p *prepared) needsBundle() bool {
	return !p.compiled.Nothing && (len(p.compiled.Secrets) > 0 || credentialKind(p.login) != pipeline.CredentialNone)
}

// +kubebuilder:rbac:groups="",resources=secrets,verbs=create;update;delete

// ensureBundle copies the values that the run asks for, and no others, next to its
// agent. They never pass through Jenkins.
func (c *executions) ensureBundle(ctx context.Context, e *v1alpha1.PipelineExecution, p *prepared, namespace string) error {
	data := map[string][]byte{}
	read := map[string]*corev1.Secret{}
	for _, entry := range p.compiled.Secrets {
		secret := read[entry.From.Name]
		if secret == nil {
			var err error
			secret, err = c.o.Clients.Secrets(e.Namespace).Get(ctx, entry.From.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return failForGood(v1alpha1.ReasonSecretNotFound, "Secret %s, which a step uses, does not exist", entry.From.Name)
			}
			if err != nil {
				return fmt.Errorf("read Secret %s: %w", entry.From.Name, err)
			}
			read[entry.From.Name] = secret
		}
		value, ok := secret.Data[entry.From.Key]
		if !ok {
			return failForGood(v1alpha1.ReasonSecretNotFound, "Secret %s, which a step uses, has no key %s", entry.From.Name, entry.From.Key)
		}
		data[entry.Key] = value
	}
	maps.Copy(data, loginData(p))
	want := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: bundleName(e), Namespace: namespace, Labels: map[string]string{
			v1alpha1.LabelExecutionUID: string(e.UID), v1alpha1.LabelExecution: v1alpha1.LabelValue(e.Name), v1alpha1.LabelProject: e.Namespace,
		}},
		Data: data,
	}
	secrets := c.o.Clients.Secrets(namespace)
	_, err := secrets.Create(ctx, want, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = secrets.Update(ctx, want, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write Secret %s/%s of the run: %w", namespace, want.Name, err)
	}
	return nil
}

// loginData is the git login under the keys that the clone reads.
func loginData(p *prepared) map[string][]byte {
	switch credentialKind(p.login) {
	case pipeline.CredentialBasic:
		return map[string][]byte{
			pipeline.BundleKeyGitUsername: []byte(firstNonEmpty(p.login.Username, tokenUser)),
			pipeline.BundleKeyGitPassword: []byte(firstNonEmpty(p.login.Token, p.login.Password)),
		}
	case pipeline.CredentialSSH:
		return map[string][]byte{
			pipeline.BundleKeyGitSSHKey:     []byte(p.login.SSHPrivateKey),
			pipeline.BundleKeyGitKnownHosts: []byte(p.login.KnownHosts),
		}
	}
	return nil
}

func (c *executions) deleteBundle(ctx context.Context, e *v1alpha1.PipelineExecution) error {
	for _, namespace := range c.agentNamespaces(e) {
		err := c.o.Clients.Secrets(namespace).Delete(ctx, bundleName(e), metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete Secret %s/%s of the run: %w", namespace, bundleName(e), err)
		}
	}
	return nil
}

// agentNamespaces are where a run may have its agent and Secret: where its intent says,
// whatever the setting has said since, and where its agent was seen.
func (c *executions) agentNamespaces(e *v1alpha1.PipelineExecution) []string {
	all := []string{agentNamespace(e, c.setting(e.Namespace))}
	if a := e.Status.Agent; a != nil && !slices.Contains(all, a.Namespace) {
		all = append(all, a.Namespace)
	}
	return all
}

// agentNamespace is where a run has its agent: it keeps what was written down.
func agentNamespace(e *v1alpha1.PipelineExecution, setting *v1alpha1.PipelineSetting) string {
	if e.Status.Engine != nil && e.Status.Engine.Namespace != "" {
		return e.Status.Engine.Namespace
	}
	return executorNamespace(e.Namespace, setting)
}

func executorNamespace(project string, setting *v1alpha1.PipelineSetting) string {
	if setting != nil && setting.Spec.Executor.Namespace != "" {
		return setting.Spec.Executor.Namespace
	}
	return v1alpha1.ProjectNames{Namespace: project}.ExecutorNamespace()
}
