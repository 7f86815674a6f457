package cluster

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// podLog is what the log of every container on a simulated node says, in the
// format of the container runtime: nothing really runs there.
const podLog = "2026-01-01T00:00:00.000000000Z stdout F this container is simulated\n"

// startKwok plays the nodes labelled as simulated. Exec on their pods runs the
// command on this machine, in SimulatedWorkDir.
func (c *Cluster) startKwok() error {
	stages, err := c.kwokStages()
	if err != nil {
		return err
	}
	for _, dir := range []string{c.SimulatedWorkDir(), c.path("kwok")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(c.path("kwok", "pod.log"), []byte(podLog), 0o644); err != nil {
		return err
	}
	config := c.path("kwok", "kwok.yaml")
	if err := os.WriteFile(config, kwokConfig(stages, c.path("kwok", "pod.log"), c.SimulatedWorkDir()), 0o644); err != nil {
		return err
	}
	return c.runEdited("kwok", []string{
		"--config=" + config,
		"--kubeconfig=" + c.Kubeconfig(),
		"--manage-all-nodes=false",
		"--manage-nodes-with-label-selector=" + NodeTypeLabel + "=" + SimulatedNode,
		"--node-lease-duration-seconds=40",
		"--node-ip=127.0.0.1",
		"--cidr=10.244.0.0/16",
		// Where the API server asks for logs and exec; kwok writes it into each Node.
		"--node-port=" + strconv.Itoa(c.net.kubelet),
		"--server-address=127.0.0.1:" + strconv.Itoa(c.net.kubelet),
		"--tls-cert-file=" + c.path("pki", "kwok.crt"),
		"--tls-private-key-file=" + c.path("pki", "kwok.key"),
	}, func(cmd *exec.Cmd) {
		// kwok would read ~/.kwok, and commands would leave files in the home folder.
		cmd.Env = append(cmd.Env, "HOME="+c.SimulatedWorkDir())
	})
}

// SimulatedWorkDir is the folder in which exec on simulated nodes runs commands,
// and their HOME. All simulated pods share it: nothing isolates them, so that
// whoever runs commands of several pods makes a folder for each in it.
func (c *Cluster) SimulatedWorkDir() string { return c.path("simulated") }

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

func kwokConfig(stages []byte, log, workDir string) []byte {
	var b bytes.Buffer
	b.Write(stages)
	b.WriteString(strings.NewReplacer("LOG", strconv.Quote(log), "WORKDIR", strconv.Quote(workDir)).Replace(`---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata: {name: all}
spec: {logs: [{logsFile: LOG, follow: false}]}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterExec
metadata: {name: all}
spec: {execs: [{local: {workDir: WORKDIR}}]}
`))
	return b.Bytes()
}
