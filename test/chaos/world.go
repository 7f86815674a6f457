package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// world is everything that runs, and may break.
type world struct {
	*harness.World
	log    *timeline
	watch  *watcher
	builds *counted

	// What breaks as a whole breaks once at a time.
	engine, apiServer, hookd, nodes sync.Mutex

	ownEnds atomic.Int32 // of hookd, without anybody's help
	paused  atomic.Int32 // runs that were seen paused

	watchers sync.WaitGroup
	unwatch  context.CancelFunc // nil before beginWatch
}

// beginWatch has everything looked at, and hookd kept running, until endWatch.
func (w *world) beginWatch(ctx context.Context) {
	ctx, w.unwatch = context.WithCancel(ctx)
	for _, f := range []func(context.Context){w.watch.follow, w.watchAgents, w.watchEngine, w.keepHookd} {
		w.watchers.Go(func() { f(ctx) })
	}
}

func (w *world) endWatch() {
	if w.unwatch != nil {
		w.unwatch()
		w.watchers.Wait()
	}
}

// startWorld brings everything up, with the pipelines of all kinds in all projects.
func startWorld(ctx context.Context, lease time.Duration, say func(string, ...any)) (*world, error) {
	w := &world{builds: &counted{builds: map[string]int{}}}
	var err error
	w.World, err = harness.Start(ctx, harness.Options{Simulated: simulatedNodes, Replicas: -1, Log: say, Jenkins: func(o *jenkinstest.Options) {
		w.builds.Agents, o.Agents = o.Agents, w.builds
		o.LeftTick = 20 * time.Millisecond // there is a moment in which an item is in neither list
		o.StopGrace = 10 * time.Second
	}})
	if err != nil {
		return nil, err
	}
	if err := w.setUp(ctx, lease); err != nil {
		return nil, errors.Join(err, w.Stop())
	}
	return w, nil
}

func (w *world) setUp(ctx context.Context, lease time.Duration) error {
	for range 2 {
		_, err := w.StartHookd(ctx, func(o *harness.HookdOptions) { o.Args = append(o.Args, "--lease-duration", lease.String()) })
		if err != nil {
			return err
		}
	}
	quotas := map[string]int{}
	for _, p := range projects() {
		quotas[p.name] = int(p.quota)
		if err := w.setUpProject(ctx, p); err != nil {
			return fmt.Errorf("set up %s: %w", p.name, err)
		}
	}
	w.watch = newWatcher(w.Clients, quotas, "in-line")
	return nil
}

func (w *world) setUpProject(ctx context.Context, p project) error {
	if err := w.Project(ctx, p.name, p.quota); err != nil {
		return err
	}
	if p.stuck {
		patch := []byte(`{"spec":{"executor":{"agentTimeout":"8s"}}}`)
		if _, err := w.Clients.Settings(p.name).Patch(ctx, v1alpha1.SettingName, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	if _, err := w.Clients.Secrets(p.name).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "login"}, StringData: map[string]string{"token": secretValue},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	files := map[string]string{"greeting.txt": "hello\n"}
	for _, k := range kinds() {
		if k.stuck != p.stuck {
			continue
		}
		if k.repository {
			files[configPath(k)] = k.config
		}
		if _, err := w.Clients.Pipelines(p.name).Create(ctx, pipelineOf(k), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if p.stuck {
		return nil
	}
	repo, err := w.Repository(ctx, p.name, "app")
	if err != nil {
		return err
	}
	if _, err := repo.Commit(ctx, "Greet", files); err != nil {
		return err
	}
	return repo.Push(ctx, "main")
}

func configPath(k kind) string { return k.name + ".yml" }

// pipelineOf is the Pipeline of a kind. No run of it is forgotten: each is judged.
func pipelineOf(k kind) *v1alpha1.Pipeline {
	many := int32(1000)
	p := &v1alpha1.Pipeline{
		ObjectMeta: metav1.ObjectMeta{Name: k.name},
		Spec:       v1alpha1.PipelineSpec{Config: k.config, History: &v1alpha1.History{Succeeded: &many, Failed: &many}},
	}
	if k.repository {
		p.Spec.Config, p.Spec.ConfigPath = "", configPath(k)
		p.Spec.RepositoryRef = &v1alpha1.LocalReference{Name: "app"}
	}
	if k.pipeline != nil {
		k.pipeline(p)
	}
	return p
}

// leftovers says what is left of executions that are deleted.
func (w *world) leftovers(ctx context.Context) error {
	var left []string
	if jobs := w.Jenkins.Jobs(); len(jobs) > 0 {
		left = append(left, fmt.Sprintf("jobs %v", jobs))
	}
	if queue := w.Jenkins.Queue(); len(queue) > 0 {
		left = append(left, fmt.Sprintf("queue items %v", queue))
	}
	if builds := w.Jenkins.Builds(); len(builds) > 0 {
		left = append(left, fmt.Sprintf("%d builds", len(builds)))
	}
	ours := metav1.ListOptions{LabelSelector: v1alpha1.LabelExecutionUID}
	pods, err := w.Clients.Pods("").List(ctx, ours)
	if err != nil {
		return err
	}
	for i := range pods.Items {
		left = append(left, "pod "+pods.Items[i].Namespace+"/"+pods.Items[i].Name)
	}
	secrets, err := w.Clients.Secrets("").List(ctx, ours)
	if err != nil {
		return err
	}
	for i := range secrets.Items {
		left = append(left, "Secret "+secrets.Items[i].Namespace+"/"+secrets.Items[i].Name)
	}
	executions, err := w.Clients.Executions("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range executions.Items {
		left = append(left, "execution "+executions.Items[i].Namespace+"/"+executions.Items[i].Name)
	}
	if len(left) > 0 {
		return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
	}
	return nil
}

func folderOf(job string) string {
	folder, _, _ := strings.Cut(job, "/")
	return folder
}
