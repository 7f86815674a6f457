package githost

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	deliveryTimeout = 15 * time.Second
	deliveryTries   = 4
	// maxCommits is how many commits a delivery lists, as at GitHub.
	maxCommits = 20
	zeroSHA    = "0000000000000000000000000000000000000000"
)

// change is one ref that a push created, moved or deleted.
type change struct{ ref, before, after string }

// changes compares the refs before and after a push, in the order of their names.
func changes(before, after map[string]string) []change {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var out []change
	for _, ref := range slices.Sorted(maps.Keys(all)) {
		c := change{ref: ref, before: orZero(before[ref]), after: orZero(after[ref])}
		if c.before != c.after {
			out = append(out, c)
		}
	}
	return out
}

func orZero(sha string) string {
	if sha == "" {
		return zeroSHA
	}
	return sha
}

// deliver sends one change in the background, retrying what the receiver could not
// take, with the same delivery id, as hosts do.
func (h *Host) deliver(ctx context.Context, name string, c change) {
	h.mu.Lock()
	hook, ok := h.hooks[name]
	h.mu.Unlock()
	if !ok {
		return
	}
	h.sent.Go(func() {
		body, err := h.payload(ctx, name, c)
		if err != nil {
			h.Log.Error("make delivery", "repository", name, "ref", c.ref, "err", err)
			return
		}
		id := deliveryID()
		for try := range deliveryTries {
			status, answer, err := h.post(ctx, hook, id, body)
			h.Log.Info("delivered push", "repository", name, "ref", c.ref, "delivery", id, "status", status, "answer", answer, "err", err)
			if err == nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(try+1) * 250 * time.Millisecond):
			}
		}
	})
}

func (h *Host) post(ctx context.Context, hook Hook, id string, body []byte) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	mac := hmac.New(sha256.New, hook.Secret)
	mac.Write(body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-GitHub-Delivery", id)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return resp.StatusCode, strings.TrimSpace(string(answer)), err
}

func deliveryID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

type commit struct {
	ID        string   `json:"id"`
	Message   string   `json:"message"`
	Timestamp string   `json:"timestamp"`
	URL       string   `json:"url"`
	Author    person   `json:"author"`
	Committer person   `json:"committer"`
	Added     []string `json:"added"`
	Removed   []string `json:"removed"`
	Modified  []string `json:"modified"`
}

type person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// payload is a push delivery as GitHub documents it.
func (h *Host) payload(ctx context.Context, name string, c change) ([]byte, error) {
	commits, err := h.commits(ctx, name, c)
	if err != nil {
		return nil, err
	}
	var head *commit
	if len(commits) > 0 {
		head = &commits[len(commits)-1]
	}
	url := h.URL(name)
	return json.Marshal(map[string]any{
		"ref": c.ref, "before": c.before, "after": c.after,
		"created": c.before == zeroSHA, "deleted": c.after == zeroSHA, "forced": false,
		"compare": url + "/compare", "commits": commits, "head_commit": head,
		"repository": map[string]any{
			"id": 1, "name": filepath.Base(name), "full_name": name, "default_branch": "main",
			"clone_url": url, "git_url": url, "ssh_url": url, "html_url": strings.TrimSuffix(url, ".git"),
			"url": strings.TrimSuffix(url, ".git"),
		},
		"pusher": person{Name: "pusher", Email: "pusher@example.com"},
		"sender": map[string]any{"login": "pusher", "id": 1},
	})
}

func (h *Host) commits(ctx context.Context, name string, c change) ([]commit, error) {
	commits := []commit{}
	if c.after == zeroSHA {
		return commits, nil
	}
	revs := c.after
	if c.before != zeroSHA {
		revs = c.before + ".." + c.after
	}
	const format = "%x01%H%x00%aI%x00%an%x00%ae%x00%B%x00"
	out, err := git(ctx, "-C", filepath.Join(h.dir, name+".git"), "log", "--reverse", "--name-status", "-z",
		"--no-renames", fmt.Sprintf("--max-count=%d", maxCommits), "--format="+format, revs)
	if err != nil {
		return nil, fmt.Errorf("list commits %s: %w: %s", revs, err, out)
	}
	for _, record := range strings.Split(out, "\x01")[1:] {
		f := strings.Split(record, "\x00")
		if len(f) < 5 {
			return nil, fmt.Errorf("read git log: %d fields in %q", len(f), record)
		}
		author := person{Name: f[2], Email: f[3]}
		one := commit{
			ID: f[0], Timestamp: f[1], Author: author, Committer: author, Message: strings.TrimRight(f[4], "\n"),
			URL: h.URL(name) + "/commit/" + f[0], Added: []string{}, Removed: []string{}, Modified: []string{},
		}
		one.files(f[5:])
		commits = append(commits, one)
	}
	return commits, nil
}

// files reads git's --name-status -z output: status, path, status, path ….
func (c *commit) files(fields []string) {
	for i := 0; i+1 < len(fields); i++ {
		var into *[]string
		switch strings.TrimSpace(fields[i]) {
		case "A":
			into = &c.Added
		case "D":
			into = &c.Removed
		case "M", "T":
			into = &c.Modified
		default:
			continue
		}
		i++
		*into = append(*into, fields[i])
	}
}
