package githost

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type delivery struct {
	header http.Header
	body   []byte
}

// TestPushIsDelivered pushes with real git and reads what a receiver gets.
func TestPushIsDelivered(t *testing.T) {
	got := make(chan delivery, 4)
	fail := make(chan bool, 1)
	fail <- true // the first answer is a 503, which must be retried with the same id
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- delivery{r.Header, body}
		select {
		case <-fail:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	defer receiver.Close()

	server := httptest.NewUnstartedServer(nil)
	host, err := New(t.TempDir(), "http://"+server.Listener.Addr().String(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = host
	server.Start()
	defer server.Close()
	url, err := host.Create("shop/app")
	if err != nil {
		t.Fatal(err)
	}
	host.SetHook("shop/app", Hook{URL: receiver.URL, Secret: []byte("key")})

	work := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("clone", "-q", url, ".")
	if err := os.WriteFile(filepath.Join(work, "a b.txt"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	run("checkout", "-q", "-b", "main")
	run("add", ".")
	run("commit", "-q", "-m", "First\n\nbody")
	run("push", "-q", "origin", "main")
	host.Wait()

	first, second := <-got, <-got
	if a, b := first.header.Get("X-GitHub-Delivery"), second.header.Get("X-GitHub-Delivery"); a == "" || a != b {
		t.Errorf("delivery ids %q and %q: want the same, not empty", a, b)
	}
	mac := hmac.New(sha256.New, []byte("key"))
	mac.Write(second.body)
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); second.header.Get("X-Hub-Signature-256") != want {
		t.Errorf("signature %q, want %q", second.header.Get("X-Hub-Signature-256"), want)
	}
	var p struct {
		Ref     string
		Before  string
		Created bool
		Commits []struct {
			Message string
			Added   []string
		}
		Repository struct {
			CloneURL string `json:"clone_url"`
		}
	}
	if err := json.Unmarshal(second.body, &p); err != nil {
		t.Fatal(err)
	}
	if p.Ref != "refs/heads/main" || p.Before != zeroSHA || !p.Created || p.Repository.CloneURL != url || len(p.Commits) != 1 {
		t.Fatalf("payload %+v", p)
	}
	if diff := cmp.Diff([]string{"a b.txt"}, p.Commits[0].Added); diff != "" || p.Commits[0].Message != "First\n\nbody" {
		t.Errorf("commit %+v (-want +got)\n%s", p.Commits[0], diff)
	}
}
