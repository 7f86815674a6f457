package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
)

// realNode is a containerd and a kubelet in a mount namespace of their own.
type realNode struct {
	name   string
	dir    string // everything of the node on this machine
	ip     net.IP
	cgroup string // control group of its pods, from the root of the hierarchies
	socket string // containerd's; short, since a socket's path is limited to 108 bytes
}

// ownPaths are the folders of a machine that every node has for itself: the state
// of kubelet, containerd and network plugins, the caches of pipelines, and logs.
var ownPaths = map[string]string{"/var/lib": "lib", "/var/log": "log"}

// hostPath is where this machine has a path of the node.
func (n *realNode) hostPath(path string) string {
	for own, dir := range ownPaths {
		if rest, ok := strings.CutPrefix(filepath.Clean(path), own); ok && (rest == "" || rest[0] == '/') {
			return filepath.Join(n.dir, dir, rest)
		}
	}
	return path
}

// prepareReal builds what real nodes need beyond the programs.
func (c *Cluster) prepareReal(ctx context.Context) error {
	if problem := RealProblem(); problem != "" {
		return errors.New("real nodes cannot run here: " + problem)
	}
	return c.assets.buildImages(ctx, os.Stderr)
}

// cgroup is the control group of all of the cluster's real nodes.
func (c *Cluster) cgroup() string {
	if !Sandboxed() {
		return ""
	}
	return fmt.Sprintf("%s/%d", sandboxName(), c.net.block)
}

func (c *Cluster) addReal(ctx context.Context, opts NodeOptions) error {
	if c.assets.images == "" {
		if err := c.prepareReal(ctx); err != nil {
			return err
		}
	}
	n, err := c.newRealNode(opts.Name)
	if err != nil {
		return fmt.Errorf("prepare node %s: %w", opts.Name, err)
	}
	if err := c.startReal(ctx, n); err != nil {
		return err
	}
	if err := c.labelNode(ctx, opts); err != nil {
		return err
	}
	return c.waitForNode(ctx, n.name)
}

// newRealNode makes a node's folders, address, certificates and configuration.
func (c *Cluster) newRealNode(name string) (*realNode, error) {
	n := &realNode{
		name: name, dir: c.path("nodes", name),
		cgroup: "/" + c.cgroup() + "/" + name,
		socket: fmt.Sprintf("/run/%d-%s.sock", c.net.block, name),
	}
	c.mu.Lock()
	if c.real[name] != nil {
		c.mu.Unlock()
		return nil, errors.New("there is one already")
	}
	n.ip = c.net.node(len(c.real))
	c.real[name] = n
	c.mu.Unlock()

	if err := addAddress(fmt.Sprintf("%d.%d", c.net.block, n.ip[len(n.ip)-1]), n.ip); err != nil {
		return nil, err
	}
	for _, dir := range []string{"images", "cni", "lib/kubelet", "log"} {
		if err := os.MkdirAll(filepath.Join(n.dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	if err := makeCgroup(n.cgroup); err != nil {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	if err := seedImages(c.assets.images, filepath.Join(n.dir, "lib/containerd"), filepath.Join(n.dir, "images")); err != nil {
		return nil, fmt.Errorf("provide images: %w", err)
	}
	serving, err := c.ca.server(name, n.ip.String())
	if err != nil {
		return nil, err
	}
	if err := serving.write(n.dir, "kubelet"); err != nil {
		return nil, err
	}
	config, err := c.UserConfig("system:node:"+name, "system:nodes")
	if err != nil {
		return nil, err
	}
	if err := writeKubeconfig(filepath.Join(n.dir, "kubeconfig"), config, ""); err != nil {
		return nil, err
	}
	for file, content := range map[string]string{
		"containerd.toml":   n.containerdConfig(),
		"cni/1-br.conflist": n.networkConfig(c.net, c.path("addresses")),
		"kubelet.yaml":      n.kubeletConfig(c.net.host(), c.path("pki", "ca.crt")),
	} {
		if err := os.WriteFile(filepath.Join(n.dir, file), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// startReal starts containerd, which makes the node's mount namespace, and then the
// kubelet in the same one: a container's mounts have to be the same to both.
func (c *Cluster) startReal(ctx context.Context, n *realNode) error {
	containerd, err := exec.LookPath("containerd")
	if err != nil {
		return err
	}
	args := []string{"node", "-bind=" + c.assets.images + ":" + filepath.Join(n.dir, "images")}
	for own, dir := range ownPaths {
		args = append(args, "-bind="+filepath.Join(n.dir, dir)+":"+own)
	}
	p, err := c.startProgram(n.name+"-containerd", c.assets.helper,
		append(args, containerd, "-c="+filepath.Join(n.dir, "containerd.toml")), copiedMounts)
	if err != nil {
		return err
	}
	err = c.eventually(ctx, "containerd of node "+n.name, func(context.Context) (bool, error) {
		conn, err := net.Dial("unix", n.socket)
		if err == nil {
			conn.Close()
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	kubelet, err := c.assets.program("kubelet")
	if err != nil {
		return err
	}
	_, err = c.startProgram(n.name+"-kubelet", c.assets.helper, []string{
		"enter", fmt.Sprintf("-pid=%d", p.cmd.Process.Pid), kubelet,
		"--config=" + filepath.Join(n.dir, "kubelet.yaml"),
		"--kubeconfig=" + filepath.Join(n.dir, "kubeconfig"),
		"--hostname-override=" + n.name,
		"--node-ip=" + n.ip.String(),
	})
	return err
}

// labelNode waits for the kubelet to register the node and labels it.
func (c *Cluster) labelNode(ctx context.Context, opts NodeOptions) error {
	labels := map[string]string{NodeTypeLabel: RealNode}
	maps.Copy(labels, opts.Labels)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	return c.eventually(ctx, "node "+opts.Name+" to be registered", func(ctx context.Context) (bool, error) {
		_, err := c.client.CoreV1().Nodes().Patch(ctx, opts.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		return err == nil, err
	})
}
