package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// podEnv marks the processes of a simulated pod with its UID.
const podEnv = "KUBECTL_PIPELINE_SIMULATED_POD"

// containers are the files and processes of simulated containers. A container is
// this machine's file system: isolated, it is a copy-on-write view of it with the
// pod's volumes mounted; otherwise it is shared, and only the working folder is the
// pod's own.
type containers struct {
	client  kubernetes.Interface
	dir     string
	isolate bool

	mu    sync.Mutex
	roots map[string]string // by pod UID and container name
	gone  map[types.UID]bool
}

// command prepares a command for a container, which is made when it is first used.
func (c *containers) command(pod *corev1.Pod, container *corev1.Container, argv []string) (*exec.Cmd, error) {
	if len(argv) == 0 {
		return nil, os.ErrInvalid
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), podEnv+"="+string(pod.UID), "HOSTNAME="+pod.Name)
	env, err := c.environment(pod, container)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !c.isolate {
		cmd.Dir = c.path(pod, container.Name)
		return cmd, os.MkdirAll(cmd.Dir, 0o755)
	}
	root, err := c.root(pod, container)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr.Chroot = root
	cmd.Env = append(cmd.Env, "TMPDIR=/tmp")
	cmd.Dir = cmp.Or(container.WorkingDir, "/")
	return cmd, os.MkdirAll(filepath.Join(root, cmd.Dir), 0o755)
}

// remove ends and forgets a pod.
func (c *containers) remove(pod *corev1.Pod) {
	c.mu.Lock()
	if c.gone == nil {
		c.gone = map[types.UID]bool{}
	}
	c.gone[pod.UID] = true // before its processes are looked for: see endIfGone
	c.mu.Unlock()
	killMarked(podEnv + "=" + string(pod.UID))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, container := range list {
			key := string(pod.UID) + "/" + container.Name
			if root, ok := c.roots[key]; ok {
				unmountRoot(root)
				delete(c.roots, key)
			}
		}
	}
	_ = os.RemoveAll(c.path(pod))
}

func (c *containers) isGone(pod *corev1.Pod) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone[pod.UID]
}

// root returns the isolated root of a container.
func (c *containers) root(pod *corev1.Pod, container *corev1.Container) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := string(pod.UID) + "/" + container.Name
	if root, ok := c.roots[key]; ok {
		return root, nil
	}
	binds := map[string]string{}
	for _, mount := range container.VolumeMounts {
		source := c.volume(pod, mount)
		if err := os.MkdirAll(source, 0o755); err != nil {
			return "", err
		}
		binds[mount.MountPath] = source
	}
	root, err := mountRoot(c.path(pod, container.Name), binds)
	if err != nil {
		return "", err
	}
	if c.roots == nil {
		c.roots = map[string]string{}
	}
	c.roots[key] = root
	return root, nil
}

// volume is the folder behind a mount: of the node for a hostPath, of the pod for
// any other kind (whose content, such as a Secret's, is not simulated).
func (c *containers) volume(pod *corev1.Pod, mount corev1.VolumeMount) string {
	for _, volume := range pod.Spec.Volumes {
		if volume.Name == mount.Name && volume.HostPath != nil {
			return filepath.Join(c.dir, "nodes", pod.Spec.NodeName, volume.HostPath.Path, mount.SubPath)
		}
	}
	return c.path(pod, "volumes", mount.Name, mount.SubPath)
}

func (c *containers) path(pod *corev1.Pod, elem ...string) string {
	return filepath.Join(append([]string{c.dir, "pods", pod.Namespace, pod.Name}, elem...)...)
}
