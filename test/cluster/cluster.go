package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// startTimeout bounds each wait of the start. A warm start takes seconds; the rest
// is for a machine that does other things at the same time.
const startTimeout = 2 * time.Minute

// Cluster is a running cluster. Its methods may be called concurrently.
type Cluster struct {
	opts     Options
	dir      string
	ownDir   bool
	started  time.Time
	progress *progress
	assets   assets
	net      addresses
	ca       *authority
	admin    *rest.Config
	client   kubernetes.Interface
	spawner  *spawner
	janitor  *janitor

	mu            sync.Mutex
	programs      map[string]*process // by name, the ones that ought to run
	real          map[string]*realNode
	simulation    sync.Once
	simulationErr error

	stop    sync.Once
	stopErr error
}

// Start builds what is missing (see Build), runs a cluster and returns when its
// nodes are Ready and the namespace default has its ServiceAccount. The caller
// calls Stop. When this process ends without that, the cluster ends with it.
//
// Several clusters may run side by side.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	if opts.Simulated+opts.Real > 0 && opts.APIServerOnly {
		return nil, errors.New("start cluster: nodes need a scheduler: unset APIServerOnly")
	}
	built, err := buildPrograms(ctx, os.Stderr)
	if err != nil {
		return nil, fmt.Errorf("build cluster: %w", err)
	}
	c := &Cluster{opts: opts, assets: built, started: time.Now(), progress: newProgress(opts.LogTo), programs: map[string]*process{}, real: map[string]*realNode{}}
	for _, name := range opts.programs() {
		if _, err := built.program(name); err != nil {
			return nil, fmt.Errorf("start cluster: %w", err)
		}
	}
	if opts.Real > 0 {
		if err := c.prepareReal(ctx); err != nil {
			return nil, fmt.Errorf("start cluster: %w", err)
		}
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start cluster: %w", err), c.Stop())
	}
	return c, nil
}

// start brings the parts up in this order: etcd and the API server; then, all at
// the same time, the controllers, the scheduler and the nodes.
func (c *Cluster) start(ctx context.Context) error {
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.startEtcd(); err != nil {
		return err
	}
	if err := c.StartAPIServer(ctx); err != nil {
		return err
	}
	c.say("API server ready")
	if c.opts.APIServerOnly {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx) // what waits gives up when another fails
	g.Go(c.startControllerManager)
	g.Go(c.startScheduler)
	for i := range c.opts.Simulated {
		g.Go(func() error { return c.AddNode(ctx, NodeOptions{Name: fmt.Sprintf("simulated-%d", i)}) })
	}
	for i := range c.opts.Real {
		g.Go(func() error { return c.AddNode(ctx, NodeOptions{Name: fmt.Sprintf("real-%d", i), Real: true}) })
	}
	g.Go(func() error { return c.waitForDefaultAccount(ctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	c.say("ready")
	return nil
}

// prepare makes everything that is not a process.
func (c *Cluster) prepare() error {
	if err := c.makeDir(); err != nil {
		return fmt.Errorf("make cluster folder: %w", err)
	}
	var err error
	if c.net, err = findAddresses(); err != nil {
		return err
	}
	c.spawner = newSpawner(c.dir, c.Logs())
	if c.janitor, err = startJanitor(c.assets.helper, c.dir, c.ownDir, c.cgroup()); err != nil {
		return err
	}
	if err := c.writeCredentials(); err != nil {
		return fmt.Errorf("make credentials: %w", err)
	}
	c.client, err = kubernetes.NewForConfig(c.admin)
	return err
}

func (c *Cluster) makeDir() (err error) {
	if c.opts.Dir == "" {
		c.ownDir = true
		c.dir, err = os.MkdirTemp("", "kubectl-pipeline-cluster-")
	} else {
		c.dir, err = filepath.Abs(c.opts.Dir)
	}
	if err != nil {
		return err
	}
	return os.MkdirAll(c.Logs(), 0o755)
}

// Stop ends every program and removes what the cluster made. It may be called
// more than once.
func (c *Cluster) Stop() error {
	c.stop.Do(func() {
		if c.spawner != nil {
			c.spawner.close()
		}
		// What exec started on simulated nodes is no child of ours: the janitor finds
		// it by its mark, and ends the same way when this process is killed.
		c.stopErr = c.janitor.finish()
		if c.ownDir {
			c.stopErr = errors.Join(c.stopErr, removeAll(c.dir))
		}
	})
	return c.stopErr
}

// Logs is the folder of the programs' logs, one file each.
func (c *Cluster) Logs() string { return c.path("logs") }

// HostIP is the address at which servers of this process are reached from pods,
// on simulated and on real nodes.
func (c *Cluster) HostIP() string { return c.net.host() }

// StopAPIServer kills the API server, as a crash would. The rest goes on running.
func (c *Cluster) StopAPIServer() error {
	c.mu.Lock()
	p := c.programs["kube-apiserver"]
	delete(c.programs, "kube-apiserver")
	c.mu.Unlock()
	if p == nil {
		return errors.New("stop API server: it does not run")
	}
	p.kill()
	return nil
}

// StartAPIServer starts the API server again, at the same address and with the
// same data, and returns when it is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	if err := c.runAPIServer(); err != nil {
		return err
	}
	return c.waitForAPIServer(ctx)
}

func (c *Cluster) waitForAPIServer(ctx context.Context) error {
	return c.eventually(ctx, "the API server to be ready", func(ctx context.Context) (bool, error) {
		err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		return err == nil, err
	})
}

// RestartEtcd kills etcd, as a crash would, and starts it again with its data at once.
// The API server goes on running; it answers again when it has found etcd back, for
// which this waits, unless the API server is stopped.
func (c *Cluster) RestartEtcd(ctx context.Context) error {
	c.mu.Lock()
	p, apiServer := c.programs["etcd"], c.programs["kube-apiserver"]
	delete(c.programs, "etcd")
	c.mu.Unlock()
	if p == nil {
		return errors.New("restart etcd: it does not run")
	}
	p.kill()
	if err := c.startEtcd(); err != nil || apiServer == nil {
		return err
	}
	return c.waitForAPIServer(ctx)
}

func (c *Cluster) waitForDefaultAccount(ctx context.Context) error {
	return c.eventually(ctx, "the default ServiceAccount", func(ctx context.Context) (bool, error) {
		_, err := c.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	})
}

// run starts a program of the cluster; when it ends, waits fail with its log.
func (c *Cluster) run(name string, args ...string) error { return c.runEdited(name, args) }

func (c *Cluster) runEdited(name string, args []string, edit ...func(*exec.Cmd)) error {
	path, err := c.assets.program(name)
	if err != nil {
		return err
	}
	_, err = c.startProgram(name, path, args, edit...)
	return err
}

func (c *Cluster) startProgram(name, path string, args []string, edit ...func(*exec.Cmd)) (*process, error) {
	p, err := c.spawner.start(name, path, args, edit...)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.programs[name] = p
	return p, nil
}

// eventually polls until done, and gives up early when a program has ended.
func (c *Cluster) eventually(ctx context.Context, what string, poll func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		done, err := poll(ctx)
		if done {
			return nil
		}
		if ended := c.anyEnded(); ended != nil {
			return fmt.Errorf("wait for %s: %w", what, ended)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %v; logs: %s)", what, ctx.Err(), err, c.Logs())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *Cluster) anyEnded() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.programs {
		if err := p.ended(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func (c *Cluster) say(format string, args ...any) {
	c.progress.printf("%s after %s", fmt.Sprintf(format, args...), time.Since(c.started).Round(10*time.Millisecond))
}
