package chaos

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// usage is what a process holds.
type usage struct{ goroutines, files int }

func (u usage) String() string { return fmt.Sprintf("%d goroutines, %d files", u.goroutines, u.files) }

// within tells whether it is not more than another and some.
func (u usage) within(other usage, goroutines, files int) bool {
	return u.goroutines <= other.goroutines+goroutines && u.files <= other.files+files
}

func most(a, b usage) usage { return usage{max(a.goroutines, b.goroutines), max(a.files, b.files)} }

// usageOf asks a replica of hookd.
func usageOf(ctx context.Context, h *harness.Hookd) (usage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Metrics+"/metrics", nil)
	if err != nil {
		return usage{}, err
	}
	req.Close = true // a connection that is kept would be one of its files
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return usage{}, err
	}
	defer resp.Body.Close()
	return parseUsage(resp.Body)
}

func parseUsage(r io.Reader) (u usage, err error) {
	found := 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		into := map[string]*int{"go_goroutines": &u.goroutines, "process_open_fds": &u.files}[name]
		if into == nil {
			continue
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return u, fmt.Errorf("parse %s: %w", name, err)
		}
		*into = int(f)
		found++
	}
	if err := lines.Err(); err != nil {
		return u, err
	}
	if found != 2 {
		return u, fmt.Errorf("metrics have %d of go_goroutines and process_open_fds", found)
	}
	return u, nil
}

// ownUsage is that of this process.
func ownUsage() usage {
	u := usage{goroutines: runtime.NumGoroutine()}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil { // elsewhere than on Linux it stays 0
		u.files = len(fds)
	}
	return u
}

func stacks() string {
	b := make([]byte, 4<<20)
	return string(b[:runtime.Stack(b, true)])
}
