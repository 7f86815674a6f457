package jenkinstest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// killByCookie ends every process of this host whose environment carries the agent's cookie: what a container's end would do. Three
// rounds, since a process may start another while we look.
func killByCookie(cookie string) {
	want := []byte("DOUBLE_AGENT=" + cookie)
	for range 3 {
		files, _ := filepath.Glob("/proc/[0-9]*/environ")
		found := false
		for _, f := range files {
			env, err := os.ReadFile(f)
			if err != nil || !bytes.Contains(env, want) {
				continue
			}
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil && pid != os.Getpid() {
				found = true
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if !found {
			return
		}
	}
}
