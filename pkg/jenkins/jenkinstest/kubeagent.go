package jenkinstest

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
)

// kubeAgent is one pod.
type kubeAgent struct {
	k              *kubeAgents
	ns, name, job  string
	root           string // of the workspace, as processes of this agent see it
	log            io.Writer
	cookie         string // in the environment of every process of this agent
	ctx            context.Context
	cancel         context.CancelFunc
	once, lostOnce sync.Once
	lost           chan struct{} // closed when the pod is gone or one of its containers ended
	lostWhy        string

	mu  sync.Mutex
	pod *corev1.Pod // latest seen
}

func (a *kubeAgent) Name() string      { return a.name }
func (a *kubeAgent) Workspace() string { return workspaceOf(a.root, a.job) }

// Release deletes the pod in the background, as Jenkins does: a build does not wait for it.
func (a *kubeAgent) Release() {
	a.once.Do(func() {
		a.cancel()
		a.k.wg.Go(func() {
			if a.k.opts.WorkspaceRoot != "" {
				killByCookie(a.cookie)
				_ = os.RemoveAll(a.root)
			}
			for {
				err := a.k.client.CoreV1().Pods(a.ns).Delete(a.k.ctx, a.name, metav1.DeleteOptions{})
				if err == nil || apierrors.IsNotFound(err) {
					break
				}
				if !a.k.sleep(a.k.ctx, retryWait) {
					return
				}
			}
			a.k.mu.Lock()
			delete(a.k.pods, a)
			a.k.mu.Unlock()
		})
	})
}

// waitReady follows the pod until it is ready; again means that it was not in time. Then it keeps watching it in the background.
func (a *kubeAgent) waitReady(ctx context.Context, limit time.Duration) (again bool, err error) {
	ready := make(chan error, 1)
	a.k.wg.Go(func() {
		w := podWatcher{a: a}
		for a.ctx.Err() == nil {
			w.follow(func(pod *corev1.Pod) {
				switch done, err := w.judge(pod); {
				case err != nil, done:
					select {
					case ready <- err:
					default:
					}
				}
			})
			a.k.sleep(a.ctx, retryWait/4)
		}
	})
	timer := a.k.opts.Clock.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-ready:
		return false, err
	case <-timer.C():
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// podWatcher turns what happens to a pod into log lines and verdicts.
type podWatcher struct {
	a       *kubeAgent
	said    string
	pulls   int
	ready   bool
	pulling string // image state seen last, to count changes
}

// follow lists and watches once; it returns when the watch ends. A pod that is not there is nil.
func (w *podWatcher) follow(see func(*corev1.Pod)) {
	a := w.a
	one := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", a.name).String()}
	pods := a.k.client.CoreV1().Pods(a.ns)
	list, err := pods.List(a.ctx, one)
	if err != nil {
		return
	}
	if len(list.Items) == 0 {
		see(nil)
	} else {
		see(&list.Items[0])
	}
	one.ResourceVersion = list.ResourceVersion
	watcher, err := pods.Watch(a.ctx, one)
	if err != nil {
		return
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		pod, isPod := event.Object.(*corev1.Pod)
		switch {
		case event.Type == watch.Deleted:
			see(nil)
		case !isPod:
			return
		default:
			see(pod)
		}
	}
}

// judge says whether the agent is usable, or why it never will be (again).
func (w *podWatcher) judge(pod *corev1.Pod) (ready bool, err error) {
	a := w.a
	full := a.ns + "/" + a.name
	if a.ctx.Err() != nil {
		return false, nil
	}
	if pod == nil {
		return false, w.gone("Pod %s was just deleted", full)
	}
	a.mu.Lock()
	a.pod = pod
	a.mu.Unlock()
	statuses := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	for i, st := range statuses {
		if t := st.State.Terminated; t != nil && (i >= len(pod.Status.InitContainerStatuses) || t.ExitCode != 0) {
			return false, w.gone("%s Container %s was terminated (Exit Code: %d, Reason: %s)", full, st.Name, t.ExitCode, t.Reason)
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return false, w.gone("%s Pod just failed (Reason: %s, Message: %s)", full, pod.Status.Reason, pod.Status.Message)
	}
	if w.ready {
		return true, nil
	}
	w.describe(pod, statuses)
	if w.pulls >= 3 {
		return false, w.gone("Unable to pull container image \"%s\". Check if image tag name is spelled correctly", imageOf(pod, w.pulling))
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			w.ready = true
		}
	}
	return w.ready, nil
}

// gone ends the agent for good.
func (w *podWatcher) gone(format string, args ...any) error {
	w.a.lostOnce.Do(func() {
		w.a.lostWhy = fmt.Sprintf(format, args...)
		_, _ = fmt.Fprintln(w.a.log, w.a.lostWhy)
		close(w.a.lost)
	})
	return interrupted("Queue task was cancelled")
}

// describe logs what a pod waits for, when that changes, and counts failures to pull.
func (w *podWatcher) describe(pod *corev1.Pod, statuses []corev1.ContainerStatus) {
	full := w.a.ns + "/" + w.a.name
	var b strings.Builder
	pulling := ""
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			fmt.Fprintf(&b, "[Warning][%s][FailedScheduling] %s\n", full, c.Message)
		}
	}
	for _, st := range statuses {
		if wait := st.State.Waiting; wait != nil && wait.Reason != "" {
			fmt.Fprintf(&b, "\tContainer [%s] waiting [%s] %s\n", st.Name, wait.Reason, cmpOr(wait.Message, "No message"))
			if wait.Reason == "ImagePullBackOff" {
				pulling = st.Name
			}
		}
	}
	if pulling != "" && pulling != w.pulling {
		w.pulls++
	}
	if pulling != "" || w.pulls < 3 {
		w.pulling = pulling
	}
	if text := b.String(); text != w.said {
		w.said = text
		if text != "" {
			_, _ = fmt.Fprintf(w.a.log, "[PodInfo] %s\n%s", full, text)
		}
	}
}

func imageOf(pod *corev1.Pod, container string) string {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == container {
			return c.Image
		}
	}
	return container
}
