package harness

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/githost"
)

// Images that the cluster's real nodes have; on simulated nodes they are names only.
const (
	AgentImage = "kubectl-pipeline.test/busybox:1"
	CloneImage = "kubectl-pipeline.test/git:1"
	GoImage    = "kubectl-pipeline.test/golang:1"
)

// Project makes a namespace whose executions run on the double.
func (w *World) Project(ctx context.Context, name string, quota int32) error {
	if _, err := w.Clients.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := w.Clients.Secrets(name).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "jenkins"},
		StringData: map[string]string{"username": JenkinsUser, "token": JenkinsToken},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := w.Clients.Settings(name).Create(ctx, &v1alpha1.PipelineSetting{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.SettingName},
		Spec: v1alpha1.PipelineSettingSpec{
			Executor: v1alpha1.ExecutorSpec{Quota: &quota},
			Engine: v1alpha1.EngineSpec{Jenkins: v1alpha1.JenkinsSpec{
				Mode: v1alpha1.ComponentExternal, URL: w.JenkinsURL,
				CredentialsSecretRef: &v1alpha1.LocalReference{Name: "jenkins"},
			}},
			Images: &v1alpha1.ImagesSpec{Agent: AgentImage, Clone: CloneImage},
		},
	}, metav1.CreateOptions{})
	return err
}

// Repository is a Git repository whose pushes reach hookd, with a clone to work in.
type Repository struct {
	// Name of the SourceCodeRepository and, at the Git host, of the repository.
	Name string
	// URL to clone from.
	URL string
	// HookPath is hookd's path for its deliveries.
	HookPath string
	// Secret signs them.
	Secret []byte
	// Dir is the clone.
	Dir string
}

// Repository makes a repository at the Git host, registers it in the project,
// connects its webhook to hookd, and clones it.
func (w *World) Repository(ctx context.Context, project, name string) (*Repository, error) {
	url, err := w.Git.Create(project + "/" + name)
	if err != nil {
		return nil, err
	}
	r := &Repository{Name: name, URL: url, Secret: randomHex(16), Dir: filepath.Join(w.dir, "work", project, name)}
	if _, err := w.Clients.Secrets(project).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-webhook"},
		Data:       map[string][]byte{v1alpha1.WebhookSecretKey: r.Secret},
	}, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	if _, err := w.Clients.Repositories(project).Create(ctx, &v1alpha1.SourceCodeRepository{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.SourceCodeRepositorySpec{
			URL:     url,
			Webhook: &v1alpha1.WebhookSpec{Mode: v1alpha1.WebhookManual, SecretRef: &v1alpha1.SecretKeyReference{Name: name + "-webhook"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	if r.HookPath, err = w.hookPath(ctx, project, name); err != nil {
		return nil, err
	}
	w.Git.SetHook(project+"/"+name, githost.Hook{URL: w.Hookd[0].URL + r.HookPath, Secret: r.Secret})
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"remote", "add", "origin", url}} {
		if _, err := r.GitCommand(ctx, args...); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// hookPath waits until hookd has given the repository its path.
func (w *World) hookPath(ctx context.Context, project, name string) (path string, err error) {
	err = wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		r, err := w.Clients.Repositories(project).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if r.Status.Webhook != nil {
			path = r.Status.Webhook.Path
		}
		return path != "", nil
	})
	if err != nil {
		return "", fmt.Errorf("wait for the webhook path of %s/%s: %w", project, name, err)
	}
	return path, nil
}

// Pipeline makes a pipeline that pushes to any branch of the repository start.
func (w *World) Pipeline(ctx context.Context, project, name, repository string, change ...func(*v1alpha1.Pipeline)) (*v1alpha1.Pipeline, error) {
	p := &v1alpha1.Pipeline{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.PipelineSpec{
			RepositoryRef: &v1alpha1.LocalReference{Name: repository},
			Triggers:      &v1alpha1.Triggers{Push: &v1alpha1.PushTrigger{}},
		},
	}
	for _, c := range change {
		c(p)
	}
	return w.Clients.Pipelines(project).Create(ctx, p, metav1.CreateOptions{})
}

// GitCommand runs git in the clone.
func (r *Repository) GitCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=A Developer", "GIT_AUTHOR_EMAIL=dev@example.com", "GIT_COMMITTER_NAME=A Developer", "GIT_COMMITTER_EMAIL=dev@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %v: %w\n%s", args, err, out)
	}
	return string(out), nil
}

// Commit writes files, commits them and returns the commit's id.
func (r *Repository) Commit(ctx context.Context, message string, files map[string]string) (string, error) {
	for name, content := range files {
		path := filepath.Join(r.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-q", "--allow-empty", "-m", message}} {
		if _, err := r.GitCommand(ctx, args...); err != nil {
			return "", err
		}
	}
	out, err := r.GitCommand(ctx, "rev-parse", "HEAD")
	return strings.TrimSpace(out), err
}

// Push pushes HEAD to a branch.
func (r *Repository) Push(ctx context.Context, branch string) error {
	_, err := r.GitCommand(ctx, "push", "-q", "origin", "HEAD:refs/heads/"+branch)
	return err
}

// WaitExecution polls executions of the project until done says so of one of them.
func (w *World) WaitExecution(ctx context.Context, project string, timeout time.Duration, done func(*v1alpha1.PipelineExecution) bool) (*v1alpha1.PipelineExecution, error) {
	var found *v1alpha1.PipelineExecution
	var last []v1alpha1.PipelineExecution
	err := wait.PollUntilContextTimeout(ctx, pollInterval, timeout, true, func(ctx context.Context) (bool, error) {
		list, err := w.Clients.Executions(project).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, nil //nolint:nilerr // the API server may be away for a while
		}
		last = list.Items
		for i := range last {
			if done(&last[i]) {
				found = &last[i]
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait for an execution in %s: %w; there are: %s", project, err, summarize(last))
	}
	return found, nil
}

func summarize(executions []v1alpha1.PipelineExecution) string {
	var s strings.Builder
	for _, e := range executions {
		fmt.Fprintf(&s, "\n  %s %s %s: %s", e.Name, e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	return s.String()
}

func randomHex(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return []byte(hex.EncodeToString(b))
}
