package once

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

const (
	// leaseDuration is how long the lease of a killed leader stays with it.
	leaseDuration = 3 * time.Second
	// patience is how many of ten takeovers wait for that. In the others the lease is
	// deleted, as a person would who knows that its holder is dead: 200 times 3 s would be
	// ten minutes of nothing.
	patience = 1
	// jenkinsName is the address of the double as hookd knows it: to reach it, it has to
	// ask its proxy, which is its gate.
	jenkinsName = "http://jenkins.kubectl-pipeline.test"
)

// fleet is the two replicas of hookd, of which a dead one is replaced at once.
type fleet struct {
	t     *testing.T
	w     *harness.World
	gates *gates
	mark  string // in the environment of every replica
	wg    sync.WaitGroup

	mu       sync.Mutex
	rng      *rand.Rand
	replicas [2]*replica
	leader   int // who had the lease last
	stopped  bool
	kills    int
	moves    int // of the lease, from one process to another
	waits    int // for a lease to run out
	last     string
}

type replica struct {
	gate     *gate
	hookd    *harness.Hookd
	identity string                  // of the process in the lease; "" when it has not had it
	dying    bool                    // it was killed, and is not replaced yet
	expected map[*harness.Hookd]bool // those that were killed
}

func startFleet(t *testing.T, w *harness.World, seed uint64) *fleet {
	f := &fleet{t: t, w: w, gates: &gates{}, rng: rand.New(rand.NewPCG(seed, 1)), mark: fmt.Sprintf("ONCE_MARK=%d-%d", os.Getpid(), seed)}
	for i := range f.replicas {
		g, err := newGate(f.gates, i, w.Cluster.RESTConfig(), w.JenkinsURL)
		if err != nil {
			t.Fatal(err)
		}
		g.kill = func() { f.kill(i) }
		g.halt = func() { f.signal(i, syscall.SIGSTOP) }
		g.leads = func(identity string) { f.leads(i, identity) }
		f.replicas[i] = &replica{gate: g, expected: map[*harness.Hookd]bool{}}
	}
	t.Cleanup(f.close)
	for _, r := range f.replicas {
		h, err := w.StartHookd(t.Context(), func(o *harness.HookdOptions) {
			o.Config = r.gate.config(o.Config)
			o.Args = []string{"--lease-duration", leaseDuration.String(), "--log-level", "debug"}
			o.Env = []string{"HTTP_PROXY=" + r.gate.jenkins.URL, f.mark}
		})
		if err != nil {
			t.Fatal(err)
		}
		r.hookd = h
		f.guard(r)
	}
	return f
}

// guard says so when a replica ends that nobody has killed.
func (f *fleet) guard(r *replica) {
	h := r.hookd
	f.wg.Go(func() {
		<-h.Done()
		f.mu.Lock()
		defer f.mu.Unlock()
		if !r.expected[h] && !f.stopped {
			log, _ := os.ReadFile(h.LogFile)
			f.t.Errorf("hookd ended by itself:\n%s", log[max(0, len(log)-4000):])
		}
	})
}

// leads notes who has the lease.
func (f *fleet) leads(i int, identity string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if identity == "" {
		return // it gave it back
	}
	if f.last != identity {
		if f.last != "" {
			f.moves++
		}
		f.last = identity
	}
	f.leader, f.replicas[i].identity = i, identity
}

// kill kills a replica and returns when it is dead. It is replaced meanwhile.
func (f *fleet) kill(i int) {
	f.mu.Lock()
	r := f.replicas[i]
	if r.dying || f.stopped {
		f.mu.Unlock()
		return
	}
	r.dying, r.expected[r.hookd] = true, true
	f.kills++
	wait := f.rng.IntN(10) < patience
	if wait && r.identity != "" && f.leader == i {
		f.waits++
	}
	f.wg.Add(1)
	f.mu.Unlock()
	if err := r.hookd.Kill(); err != nil {
		f.t.Error(err)
	}
	go func() {
		defer f.wg.Done()
		if !wait {
			f.mu.Lock()
			identity := r.identity
			f.mu.Unlock()
			f.freeLease(identity)
		}
		f.replace(r)
	}()
}

// killLeader kills the replica that had the lease last, killOther the other one.
func (f *fleet) killLeader() { f.kill(f.leaderNow()) }
func (f *fleet) killOther()  { f.kill(1 - f.leaderNow()) }

func (f *fleet) leaderNow() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leader
}

func (f *fleet) replace(r *replica) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return
	}
	h, err := f.w.Respawn(r.hookd)
	if err != nil {
		f.t.Error(err)
		return
	}
	r.hookd, r.dying, r.identity = h, false, ""
	f.guard(r)
}

// freeLease deletes the lease of a process that is dead.
func (f *fleet) freeLease(identity string) {
	if identity == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	leases := f.w.Clients.Leases(harness.HookdNamespace)
	lease, err := leases.Get(ctx, "hookd", metav1.GetOptions{})
	if err != nil || ptr.Deref(lease.Spec.HolderIdentity, "") != identity {
		return
	}
	// If it fails, somebody else was faster.
	_ = leases.Delete(ctx, "hookd", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion}})
}

// stop ends the replicas as a rolling update would and returns what is left of them.
func (f *fleet) stop() []string {
	f.mu.Lock()
	f.stopped = true
	f.mu.Unlock()
	for _, r := range f.replicas {
		if r.hookd != nil {
			if err := r.hookd.Stop(); err != nil {
				f.t.Error(err)
			}
		}
	}
	f.wg.Wait()
	var left []string
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environs {
		if environ, err := os.ReadFile(name); err == nil && strings.Contains("\x00"+string(environ), "\x00"+f.mark+"\x00") {
			cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
			left = append(left, strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return left
}

func (f *fleet) close() {
	f.stop()
	for i, r := range f.replicas {
		r.gate.close()
		if f.t.Failed() && r.hookd != nil {
			keep(f.t, fmt.Sprintf("hookd-%d.log", i), r.hookd.LogFile)
		}
	}
}

// keep copies a file to where go test -artifacts leaves it.
func keep(t *testing.T, name, file string) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(t.ArtifactDir(), name), text, 0o644)
	}
	if err != nil {
		t.Log(err)
	}
}

func holderOf(body []byte) string {
	var lease coordinationv1.Lease
	if json.Unmarshal(body, &lease) != nil {
		return ""
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

// signal sends a signal to a replica, unless it is dead.
func (f *fleet) signal(i int, s syscall.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.replicas[i]; !r.dying && !f.stopped {
		_ = syscall.Kill(r.hookd.Pid(), s)
	}
}
