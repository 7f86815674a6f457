package jenkinstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
)

// Run starts a script in a container, detached from the exec that starts it, and follows its output with another exec, as often as
// that breaks. The process marks the end of its output itself, with a word that nobody can guess, so that the follower needs no
// second source to know that it has seen everything.
//
//	exec 1: write <ws>@tmp/durable-<id>/{script.sh,wrapper.sh}, start wrapper.sh in the background
//	exec 2: tail -f jenkins-log.txt from where we are ─▶ output … RS <cookie>:<exit> RS; ends when its standard input does
//	exec 3, when ctx ends: SIGTERM to every process with the cookie in its environment
func (a *kubeAgent) Run(ctx context.Context, cmd Command) (int, error) {
	container := cmpOr(cmd.Container, jnlp)
	env, err := a.containerEnv(ctx, container)
	if err != nil {
		return 0, err
	}
	p := process{
		a: a, container: container, cookie: randomHex(16), out: cmd.Output,
		dir: a.Workspace() + "@tmp/durable-" + randomHex(4),
	}
	start := p.startScript(cmd, append(env, cmd.Env...))
	for {
		err := a.exec(ctx, container, strings.NewReader(start), io.Discard, "sh", "-s")
		if err == nil {
			break
		}
		if err := p.retry(ctx, err); err != nil {
			return 0, err
		}
	}
	return p.follow(ctx)
}

type process struct {
	a         *kubeAgent
	container string
	cookie    string
	dir       string // durable-task's control directory
	out       io.Writer
	offset    int64
	held      []byte // output that may be the beginning of the end mark
}

// startScript is fed to a shell. It may run twice, when an answer was lost: mkdir decides which of the two starts the process.
func (p *process) startScript(cmd Command, env []string) string {
	var wrap, b strings.Builder
	wrap.WriteString("trap : TERM HUP INT\n") // handlers are not inherited: the script itself can be interrupted
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if envName.MatchString(name) {
			fmt.Fprintf(&wrap, "export %s=%s\n", name, quote(value))
		}
	}
	fmt.Fprintf(&wrap, "export JENKINS_NODE_COOKIE=%s JENKINS_SERVER_COOKIE=durable-%s DOUBLE_AGENT=%s\n", p.cookie, p.cookie, p.a.cookie)
	fmt.Fprintf(&wrap, "cd %s || exit 1\n", quote(cmd.Dir))
	script := p.dir + "/script.sh"
	if strings.HasPrefix(cmd.Script, "#!") {
		fmt.Fprintf(&wrap, "%s\n", quote(script))
	} else {
		fmt.Fprintf(&wrap, "sh -xe %s\n", quote(script))
	}
	fmt.Fprintf(&wrap, "printf '\\036%%s:%%d\\036' %s $?\n", p.cookie)

	fmt.Fprintf(&b, "set -e\nmkdir -p %s %s\n", quote(p.a.Workspace()), quote(cmd.Dir))
	fmt.Fprintf(&b, "mkdir -p %s\nmkdir %s 2>/dev/null || exit 0\ncd %s\n", quote(path.Dir(p.dir)), quote(p.dir), quote(p.dir))
	fmt.Fprintf(&b, "printf '%%s' %s > script.sh\nchmod 755 script.sh\n", quote(cmd.Script))
	fmt.Fprintf(&b, "printf '%%s' %s > wrapper.sh\n: > jenkins-log.txt\n", quote(wrap.String()))
	// The cookie is in the wrapper's own environment as well: whoever ends the agent finds it.
	fmt.Fprintf(&b, "export DOUBLE_AGENT=%s\n", p.a.cookie)
	b.WriteString("if command -v setsid >/dev/null 2>&1; then s=setsid; else s=; fi\n")
	b.WriteString("$s sh ./wrapper.sh </dev/null >jenkins-log.txt 2>&1 &\n")
	return b.String()
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// quote makes one word of any text without NUL.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// follower is a shell that shows the log from an offset on, until its standard input ends: when we have seen enough, or are gone.
const follower = `tail -c "+$1" -f "$2" & read -r x; kill $!`

// follow copies the process' output until its end mark.
func (p *process) follow(ctx context.Context) (int, error) {
	interrupt := ctx.Done()
	for {
		end := make(chan int, 1)
		tailCtx, cancel := context.WithCancel(p.a.ctx)
		in, enough := io.Pipe()
		out := &markReader{p: p, end: end, enough: enough}
		finished := make(chan error, 1)
		go func() {
			finished <- p.a.exec(tailCtx, p.container, in, out, "sh", "-c", follower, "sh",
				strconv.FormatInt(p.offset+1, 10), p.dir+"/jenkins-log.txt")
		}()
		var err error
		for waiting := true; waiting; {
			select {
			case err = <-finished:
				waiting = false
			case <-interrupt:
				interrupt = nil // once
				p.kill()
			case <-p.a.lost:
				cancel()
				err = <-finished
				waiting = false
			}
		}
		cancel()
		_ = enough.Close()
		out.close()
		select {
		case code := <-end:
			return code, nil
		default:
		}
		p.held = nil // read again from offset
		if err := p.retry(p.a.ctx, err); err != nil {
			return 0, err
		}
	}
}

// retry decides about an exec that broke: the pod may be fine.
func (p *process) retry(ctx context.Context, err error) error {
	select {
	case <-p.a.lost:
		return interrupted("Agent was removed")
	default:
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var exit utilexec.CodeExitError
	if errors.As(err, &exit) && exit.Code != 137 && exit.Code != 143 { // the shell itself says no: there is none, or the disk is full
		return thrown("java.io.IOException", "Cannot run a process in container %s: %v", p.container, err)
	}
	p.a.k.sleep(ctx, retryWait)
	return nil
}

// kill signals all processes of the step.
func (p *process) kill() {
	const script = `for f in /proc/[0-9]*/environ; do if grep -q "$1" "$f" 2>/dev/null; then p=${f#/proc/}; kill "${p%/environ}" 2>/dev/null; fi; done; exit 0`
	ctx, cancel := context.WithCancel(p.a.ctx)
	defer cancel()
	_ = p.a.exec(ctx, p.container, nil, io.Discard, "sh", "-c", script, "sh", "JENKINS_NODE_COOKIE="+p.cookie)
}

// markReader passes output on and stops at the end mark, or when it is closed: a cancelled exec returns while its streams are still
// being copied.
type markReader struct {
	p      *process
	end    chan int
	enough io.Closer

	mu   sync.Mutex // guards done, and p.held and p.offset until close
	done bool
}

func (m *markReader) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = true
}

func (m *markReader) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done {
		return len(b), nil
	}
	p := m.p
	p.held = append(p.held, b...)
	mark := []byte("\x1e" + p.cookie + ":")
	if i := bytes.Index(p.held, mark); i >= 0 {
		code, _, whole := strings.Cut(string(p.held[i+len(mark):]), "\x1e")
		m.pass(i)
		if whole {
			m.done = true
			n, _ := strconv.Atoi(code)
			m.end <- n
			_ = m.enough.Close()
		}
		return len(b), nil
	}
	keep := 0 // the longest end of what is held that may begin a mark
	if i := bytes.LastIndexByte(p.held, '\x1e'); i >= 0 && bytes.HasPrefix(mark, p.held[i:]) {
		keep = len(p.held) - i
	}
	m.pass(len(p.held) - keep)
	return len(b), nil
}

func (m *markReader) pass(n int) {
	_, _ = m.p.out.Write(m.p.held[:n])
	m.p.offset += int64(n)
	m.p.held = m.p.held[:copy(m.p.held, m.p.held[n:])]
}

// exec runs a command in a container to its end. Its standard error is lost, except in the error.
func (a *kubeAgent) exec(ctx context.Context, container string, in io.Reader, out io.Writer, command ...string) error {
	a.mu.Lock()
	pod := a.pod
	a.mu.Unlock()
	known := false
	for _, c := range pod.Spec.Containers {
		known = known || c.Name == container
	}
	if !known {
		return thrown("java.io.IOException", "container [%s] does not exist in pod [%s]", container, a.name)
	}
	req := a.k.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(a.ns).Name(a.name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: container, Command: command, Stdin: in != nil, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec)
	x, err := remotecommand.NewWebSocketExecutor(a.k.config, "GET", req.URL().String())
	if err != nil {
		return err
	}
	var problems limitedBuffer
	err = x.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: in, Stdout: out, Stderr: &problems})
	if text := strings.TrimSpace(problems.String()); err != nil && text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// limitedBuffer keeps the beginning of what is written.
type limitedBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	const limit = 1000
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p[:min(len(p), limit-len(b.text))]...)
	return len(p), nil
}

func (b *limitedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}
