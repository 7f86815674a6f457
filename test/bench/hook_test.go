package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/githost"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// BenchmarkHookToTrigger delivers pushes of a commit each, twenty in a second, and
// measures until Jenkins is asked for the build: the API server stores the execution,
// hookd admits it and makes the job. The config is in the Pipeline, or in a file of that
// commit, which hookd then reads from the Git host first; that host starts six processes
// for each, on the same cores.
func BenchmarkHookToTrigger(b *testing.B) {
	b.Run("config=pipeline", func(b *testing.B) {
		benchmarkHook(b, func(p *v1alpha1.Pipeline) { p.Spec.Config = threeStages })
	})
	b.Run("config=file", func(b *testing.B) { benchmarkHook(b, func(*v1alpha1.Pipeline) {}) })
}

func benchmarkHook(b *testing.B, change func(*v1alpha1.Pipeline)) {
	const warm, n, rate = 20, 400, 20
	w := newWorld(b, nil)
	repo, err := w.Repository(b.Context(), project, "app")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.World.Pipeline(b.Context(), project, "app", "app", keepAll, change); err != nil {
		b.Fatal(err)
	}
	w.Git.SetHook(project+"/app", githost.Hook{URL: w.JenkinsURL + ignored}) // we deliver ourselves
	commits := pushCommits(b, repo, warm+n)
	for b.Loop() {
		w.deliverAll(repo, commits[:warm], rate)
		usage := w.usage()
		begin := w.deliverAll(repo, commits[warm:], rate)
		var accepted, triggered []time.Duration
		for commit, e := range w.byCommit(commits[warm:]) {
			at, ok := w.triggered(e.Status.Engine.Job)
			if !ok {
				b.Fatalf("no build of %s was asked for", e.Name)
			}
			d := begin[commit]
			accepted = append(accepted, d.accepted.Sub(d.sent))
			triggered = append(triggered, max(0, at.Sub(d.accepted)))
		}
		w.report("accept", accepted, 50, 99)
		w.report("trigger", triggered, 50, 99)
		usage.report(n)
	}
}

// pushCommits makes commits of which the first has a config file, and pushes them.
func pushCommits(b *testing.B, repo *harness.Repository, n int) []string {
	b.Helper()
	ctx := b.Context()
	if _, err := repo.Commit(ctx, "First", map[string]string{".pipeline.yml": threeStages}); err != nil {
		b.Fatal(err)
	}
	for i := range n - 1 {
		if _, err := repo.GitCommand(ctx, "commit", "-q", "--allow-empty", "-m", fmt.Sprint("Commit ", i)); err != nil {
			b.Fatal(err)
		}
	}
	if err := repo.Push(ctx, "main"); err != nil {
		b.Fatal(err)
	}
	out, err := repo.GitCommand(ctx, "rev-list", "--reverse", "HEAD")
	if err != nil {
		b.Fatal(err)
	}
	return strings.Fields(out)
}

// delivery is when a push was sent and when hookd answered that it is stored.
type delivery struct{ sent, accepted time.Time }

// deliverAll delivers a push for each commit at a rate per second, and waits until all
// runs have ended.
func (w *world) deliverAll(repo *harness.Repository, commits []string, rate int) map[string]delivery {
	w.b.Helper()
	before := w.ended()
	var mu sync.Mutex
	begin := make(map[string]delivery, len(commits))
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var all sync.WaitGroup
	for _, commit := range commits {
		<-tick.C
		all.Go(func() {
			d, err := w.deliver(w.b.Context(), repo, commit)
			if err != nil {
				w.b.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			begin[commit] = d
		})
	}
	all.Wait()
	if w.b.Failed() {
		w.b.FailNow()
	}
	w.awaitEnded(before + len(commits))
	return begin
}

// deliver sends what GitHub sends of a push.
func (w *world) deliver(ctx context.Context, repo *harness.Repository, commit string) (delivery, error) {
	change := map[string]any{"id": commit, "message": "m", "timestamp": "2024-01-01T00:00:00Z", "modified": []string{"a"}}
	body, err := json.Marshal(map[string]any{
		"ref": "refs/heads/main", "before": strings.Repeat("1", 40), "after": commit,
		"repository":  map[string]any{"clone_url": repo.URL, "html_url": repo.URL, "full_name": project + "/app"},
		"head_commit": change, "commits": []any{change},
	})
	if err != nil {
		return delivery{}, err
	}
	mac := hmac.New(sha256.New, repo.Secret)
	mac.Write(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Hookd[0].URL+repo.HookPath, bytes.NewReader(body))
	if err != nil {
		return delivery{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-GitHub-Delivery", commit)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	d := delivery{sent: time.Now()}
	resp, err := w.client.Do(req)
	d.accepted = time.Now()
	if err != nil {
		return d, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return d, fmt.Errorf("hookd answered %s, want 202", resp.Status)
	}
	return d, nil
}

// byCommit finds the runs of commits.
func (w *world) byCommit(commits []string) map[string]v1alpha1.PipelineExecution {
	w.b.Helper()
	list, err := w.Clients.Executions(project).List(w.b.Context(), metav1.ListOptions{})
	if err != nil {
		w.b.Fatal(err)
	}
	all := map[string]v1alpha1.PipelineExecution{}
	for _, e := range list.Items {
		if e.Spec.Source != nil {
			all[e.Spec.Source.Commit] = e
		}
	}
	found := map[string]v1alpha1.PipelineExecution{}
	for _, c := range commits {
		e, ok := all[c]
		switch {
		case !ok:
			w.b.Fatalf("no run of commit %s", c)
		case e.Status.Phase != v1alpha1.PhaseSucceeded || e.Status.Engine == nil:
			w.b.Fatalf("run %s: %s %s: %s", e.Name, e.Status.Phase, e.Status.Reason, e.Status.Message)
		}
		found[c] = e
	}
	return found
}
