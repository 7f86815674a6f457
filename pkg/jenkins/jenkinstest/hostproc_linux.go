package jenkinstest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// killByCookie ends every process of this host whose environment carries the agent's cookie: what a container's end would do. It looks
// again until it sees none, since a process may start another meanwhile, and one that was killed may take a moment on a busy machine.
func killByCookie(cookie string) {
	want := []byte("DOUBLE_AGENT=" + cookie)
	deadline := time.NewTimer(killWait)
	defer deadline.Stop()
	for pause := time.Millisecond; killOnce(want); pause = min(2*pause, 100*time.Millisecond) {
		next := time.NewTimer(pause)
		select {
		case <-next.C:
		case <-deadline.C:
			next.Stop()
			return
		}
	}
}

// killOnce tells whether there was any.
func killOnce(cookie []byte) (found bool) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err != nil || !bytes.Contains(env, cookie) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil && pid != os.Getpid() {
			found = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return found
}
