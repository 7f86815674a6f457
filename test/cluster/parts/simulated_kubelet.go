package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/creack/pty"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// simulatedKubelet serves logs and exec of the pods on simulated nodes. kwok could
// do that as well, but it loses the exit code and the end of the input, and all
// pods would share this machine's files.
func simulatedKubelet(args []string) error {
	flags := flag.NewFlagSet("simulated-kubelet", flag.ContinueOnError)
	address := flags.String("address", "", "`host:port` to serve at")
	kubeconfig := flags.String("kubeconfig", "", "`file`")
	certFile := flags.String("tls-cert-file", "", "`file`")
	keyFile := flags.String("tls-private-key-file", "", "`file`")
	caFile := flags.String("client-ca-file", "", "`file` with the authority whose clients are served")
	dir := flags.String("dir", "", "`folder` of the containers' files")
	isolate := flags.Bool("isolate", false, "give each container a root of its own (needs root, and a mount namespace to leave)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	s := &nodeServer{client: client, containers: containers{client: client, dir: *dir, isolate: *isolate}}
	if err := s.followDeletions(); err != nil {
		return err
	}
	ca, err := os.ReadFile(*caFile)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(ca) {
		return fmt.Errorf("read %s: no certificate in it", *caFile)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", s.exec)
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	server := &http.Server{Addr: *address, Handler: mux, TLSConfig: &tls.Config{
		ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
		NextProtos: []string{"http/1.1"}, // SPDY takes over a connection, which HTTP/2 does not allow
	}}
	return server.ListenAndServeTLS(*certFile, *keyFile)
}

type nodeServer struct {
	client     kubernetes.Interface
	containers containers
}

// followDeletions ends a pod's commands when the pod is gone, as a node does.
func (s *nodeServer) followDeletions() error {
	factory := informers.NewSharedInformerFactory(s.client, 0)
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if pod, ok := obj.(*corev1.Pod); ok {
				s.containers.remove(pod)
			}
		},
	})
	factory.Start(context.Background().Done())
	return err
}

// exec runs a command in a container: SPDY or WebSocket streams in, process out.
func (s *nodeServer) exec(w http.ResponseWriter, r *http.Request) {
	pod, container, err := s.find(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	cmd, err := s.containers.command(pod, container, r.URL.Query()["command"])
	if err != nil {
		slog.Error("prepare container", "namespace", pod.Namespace, "pod", pod.Name, "container", container.Name, "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	remotecommand.ServeExec(w, r, runner{cmd, func() bool { return s.containers.isGone(pod) }}, pod.Name, string(pod.UID), container.Name, nil, options,
		4*time.Hour, 30*time.Second, remotecommand.SupportedStreamingProtocols)
}

// logs answers what was written to the container's log file, if anything.
func (s *nodeServer) logs(w http.ResponseWriter, r *http.Request) {
	pod, container, err := s.find(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	log, err := os.ReadFile(s.containers.path(pod, container.Name+".log"))
	if err != nil {
		log = []byte("this container is simulated\n")
	}
	_, _ = w.Write(log)
}

func (s *nodeServer) find(r *http.Request) (*corev1.Pod, *corev1.Container, error) {
	pod, err := s.client.CoreV1().Pods(r.PathValue("namespace")).Get(r.Context(), r.PathValue("pod"), metav1.GetOptions{})
	if err != nil {
		return nil, nil, err
	}
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == r.PathValue("container") {
				return pod, &list[i], nil
			}
		}
	}
	return nil, nil, fmt.Errorf("pod %s has no container %q", pod.Name, r.PathValue("container"))
}

// runner runs one command with the streams that ServeExec opened.
type runner struct {
	cmd  *exec.Cmd
	gone func() bool // reports whether the pod has been deleted
}

func (r runner) ExecInContainer(ctx context.Context, _, _, _ string, _ []string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	if tty {
		return exitError(r.runTerminal(in, out, resize))
	}
	// The input is copied here and not by package exec, whose Wait would wait for
	// the end of the input even after the command has ended.
	if in != nil {
		pipe, err := r.cmd.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(pipe, in)
			pipe.Close()
		}()
	}
	if out != nil {
		r.cmd.Stdout = out
	}
	if errOut != nil {
		r.cmd.Stderr = errOut
	}
	// A command may leave others behind that hold its output open.
	r.cmd.WaitDelay = 2 * time.Second
	if err := r.cmd.Start(); err != nil {
		return exitError(err)
	}
	r.endIfGone()
	if err := r.cmd.Wait(); !errors.Is(err, exec.ErrWaitDelay) {
		return exitError(err)
	}
	return nil
}

// endIfGone ends a command that started while its pod was being removed, too late to
// be seen by that.
func (r runner) endIfGone() {
	if r.gone() {
		_ = r.cmd.Process.Kill()
	}
}

func (r runner) runTerminal(in io.Reader, out io.Writer, resize <-chan remotecommand.TerminalSize) error {
	r.cmd.SysProcAttr.Setpgid = false // the terminal makes it the leader of a session
	terminal, err := pty.Start(r.cmd)
	if err != nil {
		return err
	}
	defer terminal.Close()
	r.endIfGone()
	go func() {
		for size := range resize {
			_ = pty.Setsize(terminal, &pty.Winsize{Rows: size.Height, Cols: size.Width})
		}
	}()
	if in != nil {
		go func() { _, _ = io.Copy(terminal, in) }()
	}
	_, _ = io.Copy(out, terminal)
	return r.cmd.Wait()
}

// exitError turns the end of a command into what ServeExec reports: as a shell
// does, 128 + n for signal n, and 126 or 127 for what cannot be run.
func exitError(err error) error {
	if err == nil {
		return nil
	}
	code := 126
	if exit, ok := err.(*exec.ExitError); ok {
		if code = exit.ExitCode(); code < 0 {
			code = 128 + signalOf(exit)
		}
	} else if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = 127
	}
	return utilexec.CodeExitError{Err: fmt.Errorf("exit status %d: %w", code, err), Code: code}
}
