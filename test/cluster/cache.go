package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// CacheEnv overrides where built programs and images are kept.
const CacheEnv = "KUBECTL_PIPELINE_CACHE"

// unusedFor is how long an older version stays in the cache: another checkout
// may still be using it.
const unusedFor = 7 * 24 * time.Hour

// CacheDir is the folder of everything that Build makes: CacheEnv, or
// kubectl-pipeline in the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv(CacheEnv); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder (set %s to choose one): %w", CacheEnv, err)
	}
	return filepath.Join(dir, "kubectl-pipeline"), nil
}

// cache holds folders named by kind and by the hash of all they were made from.
type cache struct {
	dir      string
	progress *progress
}

// get returns the folder of kind and key; make fills it when it is not there.
// Of several processes one makes it and the others wait for it.
func (c *cache) get(ctx context.Context, kind, key string, make func(dir string) error) (string, error) {
	final := filepath.Join(c.dir, kind+"-"+key)
	if touch(final) {
		return final, nil
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := c.lock(ctx, kind)
	if err != nil {
		return "", err
	}
	defer unlock()
	if touch(final) {
		return final, nil
	}
	// The lock is held, so a folder under this name is the rest of a make that was killed.
	partial := filepath.Join(c.dir, ".partial-"+kind)
	if err := os.RemoveAll(partial); err != nil {
		return "", fmt.Errorf("clear %s: %w", partial, err)
	}
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return "", err
	}
	if err := make(partial); err != nil {
		return "", errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, final); err != nil {
		return "", fmt.Errorf("publish %s: %w", kind, err)
	}
	c.prune(kind, final)
	return final, nil
}

// touch reports whether dir exists, and notes that it is in use where it may: a cache
// that belongs to someone else can be read.
func touch(dir string) bool {
	_, err := os.Stat(dir)
	now := time.Now()
	_ = os.Chtimes(dir, now, now)
	return err == nil
}

// prune removes other versions of a kind that nothing used for a while. It is
// tidiness only: errors are left for the next time.
func (c *cache) prune(kind, keep string) {
	others, _ := filepath.Glob(filepath.Join(c.dir, kind+"-*"))
	for _, dir := range others {
		if info, err := os.Stat(dir); err == nil && dir != keep && time.Since(info.ModTime()) > unusedFor {
			_ = os.RemoveAll(dir)
		}
	}
}

// lock takes the file lock of a kind; the kernel lets go of it when the process ends.
func (c *cache) lock(ctx context.Context, kind string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(c.dir, kind+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	done := func() {}
	defer func() { done() }()
	for waited := false; ; waited = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if !waited {
			done = c.progress.step("wait for another process that builds the " + kind)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// hashOf names a version by everything that goes into it.
func hashOf(words []string, files ...string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s\n%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, strings.Join(words, "\n"))
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// progress prints what is being done and, every 15 seconds, for how long.
type progress struct {
	mu sync.Mutex
	w  io.Writer
}

func newProgress(w io.Writer) *progress {
	if w == nil {
		w = io.Discard
	}
	return &progress{w: w}
}

func (p *progress) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "cluster: "+format+"\n", args...)
}

// step announces work that may take long; the function returned ends it.
func (p *progress) step(what string) func() { return p.stepWith(what, func() string { return "" }) }

// stepWith is step with a detail that is asked for at each line.
func (p *progress) stepWith(what string, detail func() string) func() {
	start, stop, ended := time.Now(), make(chan struct{}), make(chan struct{})
	p.printf("%s …", what)
	go func() {
		defer close(ended)
		tick := time.NewTicker(15 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				p.printf("%s: done in %s", what, time.Since(start).Round(100*time.Millisecond))
				return
			case <-tick.C:
				p.printf("%s: %s so far%s", what, time.Since(start).Round(time.Second), detail())
			}
		}
	}()
	return sync.OnceFunc(func() { close(stop); <-ended })
}
