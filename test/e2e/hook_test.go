package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func delivery(p *project, ref, commit string) []byte {
	body, err := json.Marshal(map[string]any{
		"ref": ref, "before": "1111111111111111111111111111111111111111", "after": commit,
		"repository":  map[string]any{"clone_url": p.repo.URL, "html_url": p.repo.URL, "full_name": p.name + "/app"},
		"head_commit": map[string]any{"id": commit, "message": "m", "timestamp": "2024-01-01T00:00:00Z", "modified": []string{"a"}},
		"commits":     []any{map[string]any{"id": commit, "message": "m", "timestamp": "2024-01-01T00:00:00Z", "modified": []string{"a"}}},
	})
	if err != nil {
		p.Fatal(err)
	}
	return body
}

func (p *project) deliver(replica int, id string, key, body []byte) int {
	p.Helper()
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	req, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.Hookd[replica].URL+p.repo.HookPath, bytes.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-GitHub-Delivery", id)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestRedelivery: the same delivery, to both replicas, several times, is one run.
func TestRedelivery(t *testing.T) {
	p := newProject(t, 2)
	commit := p.push("First", config("true"))
	p.ended(commit)
	before := len(p.executions())
	body := delivery(p, "refs/heads/main", commit)
	for i := range 6 {
		status := p.deliver(i%len(p.Hookd), "one-delivery", p.repo.Secret, body)
		if want := map[bool]int{true: http.StatusAccepted, false: http.StatusOK}[i == 0]; status != want {
			t.Errorf("delivery %d: status %d, want %d", i, status, want)
		}
	}
	if after := len(p.executions()); after != before+1 {
		t.Errorf("%d executions after 6 deliveries of one push, want %d", after, before+1)
	}
}

// TestForgedDelivery: a wrong signature, and a branch that was deleted, start nothing.
func TestForgedDelivery(t *testing.T) {
	p := newProject(t, 2)
	commit := p.push("First", config("true"))
	p.ended(commit)
	before := len(p.executions())
	if status := p.deliver(0, "forged", []byte("guess"), delivery(p, "refs/heads/main", commit)); status != http.StatusUnauthorized {
		t.Errorf("wrong signature: status %d, want 401", status)
	}
	if status := p.deliver(0, "deleted", p.repo.Secret, delivery(p, "refs/heads/old", "0000000000000000000000000000000000000000")); status != http.StatusOK {
		t.Errorf("deleted branch: status %d, want 200", status)
	}
	if after := len(p.executions()); after != before {
		t.Errorf("%d executions, want %d", after, before)
	}
}

// TestHookdCrash: hookd is killed while a run is under way; it ends all the same, with
// one build.
func TestHookdCrash(t *testing.T) {
	p := newProject(t, 2)
	commit := p.push("Slow", config("sleep 3; echo done"))
	p.wait(func(e *v1alpha1.PipelineExecution) bool {
		return e.Spec.Source.Commit == commit && e.Status.Phase == v1alpha1.PhaseRunning
	})
	if err := p.KillHookd(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := p.StartHookd(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	e := p.succeeded(commit)
	if builds := p.Jenkins.Builds(e.Status.Engine.Job); len(builds) != 1 {
		t.Errorf("%d builds, want one: %+v", len(builds), builds)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually polls a condition that nothing announces.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	deadline, tick := time.After(runTimeout), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(fmt.Errorf("still not: %w", err))
		case <-tick.C:
		}
	}
}
