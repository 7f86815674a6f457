package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// markEnv is set, to the cluster's folder, in every program of a cluster and so in
// all that they start: what is left of a cluster is found by it.
const markEnv = "KUBECTL_PIPELINE_CLUSTER"

// spawner starts programs and stops them. The kernel kills its programs when this
// process ends, however it ends (on Linux).
type spawner struct {
	env  []string
	logs string

	mu    sync.Mutex
	calls chan func() // nil once closed
	all   []*process
}

// newSpawner makes a spawner whose programs log to files in logs.
//
// Programs are started from one thread that lives as long as the spawner, because
// PR_SET_PDEATHSIG means the death of the thread, not of the process, that started
// them: on one of Go's other threads they would die when that thread is retired.
func newSpawner(mark, logs string) *spawner {
	s := &spawner{env: append(os.Environ(), markEnv+"="+mark), logs: logs, calls: make(chan func())}
	go func(calls <-chan func()) {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range calls {
			f()
		}
	}(s.calls)
	return s
}

// process is a running program.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended; err is valid then
	err  error
}

// start runs a program until it ends or is stopped. edit may change the command
// before it starts.
func (s *spawner) start(name, path string, args []string, edit ...func(*exec.Cmd)) (*process, error) {
	p := &process{name: name, log: filepath.Join(s.logs, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = slices.Clone(s.env)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = dieWithParent()
	// A group of its own, so that Ctrl-C reaches the test and not the cluster:
	// the test still needs it to clean up.
	p.cmd.SysProcAttr.Setpgid = true
	for _, f := range edit {
		f(p.cmd)
	}
	if err := s.onThread(p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	s.mu.Lock()
	s.all = append(s.all, p)
	s.mu.Unlock()
	return p, nil
}

func (s *spawner) onThread(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		return errors.New("the cluster is stopped")
	}
	result := make(chan error)
	s.calls <- func() { result <- f() }
	return <-result
}

// close kills every program and waits for their ends. No start succeeds afterwards.
func (s *spawner) close() {
	s.mu.Lock()
	if s.calls != nil {
		close(s.calls)
		s.calls = nil
	}
	all := s.all
	s.mu.Unlock()
	for _, p := range all {
		p.signal(syscall.SIGKILL)
	}
	for _, p := range all {
		<-p.done
	}
}

func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// kill ends the program at once and waits for its end.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// ended returns an error with the end of the log once the program has ended.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended (%v); the end of its log:\n%s", p.name, p.err, p.tail())
	default:
		return nil
	}
}

func (p *process) tail() []byte {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	const keep = 4 << 10
	if len(log) > keep {
		log = log[len(log)-keep:]
		log = log[bytes.IndexByte(log, '\n')+1:]
	}
	return log
}

// removeAll removes a folder that programs which were just killed may still have
// been writing to.
func removeAll(dir string) error {
	var err error
	_ = wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, time.Second, true, func(context.Context) (bool, error) {
		err = os.RemoveAll(dir)
		return err == nil, nil
	})
	return err
}
