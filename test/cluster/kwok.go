package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// startSimulation plays the nodes labelled as simulated: kwok their lives and those
// of their pods, simulated-kubelet (of the parts) logs and exec.
func (c *Cluster) startSimulation() error {
	stages, err := c.kwokStages()
	if err != nil {
		return err
	}
	for _, dir := range []string{c.path("simulated"), c.path("kwok")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	const config = "kwok.yaml"
	if err := os.WriteFile(c.path("kwok", config), stages, 0o644); err != nil {
		return err
	}
	err = c.runEdited("kwok", []string{
		"--config=" + config,
		"--kubeconfig=" + c.Kubeconfig(),
		"--manage-all-nodes=false",
		"--manage-nodes-with-label-selector=" + NodeTypeLabel + "=" + SimulatedNode,
		"--node-lease-duration-seconds=40",
		"--node-ip=127.0.0.1",
		"--cidr=10.244.0.0/16",
		// Where the API server asks for logs and exec; kwok writes it into each Node.
		"--node-port=" + strconv.Itoa(c.net.kubelet),
		// kwok's own server would take that port, were it not given another.
		"--server-address=127.0.0.1:" + strconv.Itoa(c.net.kwok),
	}, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "HOME="+c.path("kwok")) // kwok would read ~/.kwok
		cmd.Dir = c.path("kwok")                          // kwok splits the path of its configuration at commas
	})
	if err != nil {
		return err
	}
	args := []string{
		"-address=127.0.0.1:" + strconv.Itoa(c.net.kubelet),
		"-kubeconfig=" + c.Kubeconfig(),
		"-client-ca-file=" + c.path("pki", "ca.crt"),
		"-tls-cert-file=" + c.path("pki", "kwok.crt"),
		"-tls-private-key-file=" + c.path("pki", "kwok.key"),
		"-dir=" + c.path("simulated"),
	}
	if !Sandboxed() {
		return c.run("simulated-kubelet", args...)
	}
	return c.runEdited("simulated-kubelet", append(args, "-isolate"), ownMounts)
}

// SimulatedPodDir is where a pod on a simulated node keeps its files on this
// machine. Outside a sandbox, exec runs commands in the folder of the container's
// name below it, and absolute paths are this machine's own. Inside a sandbox, a
// container sees a copy-on-write view of this machine with the pod's volumes
// mounted, as if it were an image with everything that is installed here.
func (c *Cluster) SimulatedPodDir(namespace, pod string) string {
	return c.path("simulated", "pods", namespace, pod)
}

func (c *Cluster) simulatedPath(node, path string) string {
	return c.path("simulated", "nodes", node, path)
}

func (c *Cluster) kwokStages() ([]byte, error) {
	program, err := c.assets.program("kwok-stages")
	if err != nil {
		return nil, err
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		return nil, fmt.Errorf("print kwok's stages: %w", err)
	}
	return out, nil
}
