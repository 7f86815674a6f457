package jenkinstest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

// simulated is a cluster with one simulated node, and agents on it that keep their workspaces in root.
type simulated struct {
	*cluster.Cluster
	root string
}

func startCluster(t *testing.T) simulated {
	t.Helper()
	return simulated{Cluster: startNodes(t, cluster.Options{Simulated: 1}), root: t.TempDir()}
}

func startNodes(t *testing.T, opts cluster.Options) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a cluster: not with -short")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c, err := cluster.Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// double starts a double whose agents are pods of the cluster.
func (s simulated) double(t *testing.T) *fixture {
	t.Helper()
	agents, err := jenkinstest.KubeAgents(s.RESTConfig(), jenkinstest.AgentOptions{AgentImage: "agent:1", WorkspaceRoot: s.root})
	if err != nil {
		t.Fatal(err)
	}
	return newFixture(t, jenkinstest.Options{Agents: agents})
}

func (s simulated) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	list, err := s.Client().CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

const podYAML = `apiVersion: v1
kind: Pod
metadata: {labels: {mine: "yes"}}
spec:
  automountServiceAccountToken: false
  containers:
  - name: tools
    image: tools:1
    command: [sleep]
    args: [99d]
    env:
    - {name: PLAIN, value: "a 'quoted' $(HOME) $$x"}
    - {name: SECRET, valueFrom: {secretKeyRef: {name: s, key: k}}}
`

func podScript(body string) string {
	return "podTemplate(cloud: 'kubernetes', namespace: 'default', slaveConnectTimeout: 60, showRawYaml: false, yaml: " + groovyString(podYAML) +
		") {\n node(POD_LABEL) {\n container('tools') {\n" + body + "\n}\n}\n}\n"
}

func groovyString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\t", `\t`).Replace(s) + "'"
}

func TestAgentPods(t *testing.T) {
	s := startCluster(t)
	if _, err := s.Client().CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"k": "hidden"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	d := s.double(t)

	t.Run("a step runs in its pod, which is gone afterwards", func(t *testing.T) {
		script := "printf '%s|' \"$PLAIN\" \"$SECRET\" \"$VALUE\" \"$EXECUTION_UID\" \"$JOB_NAME\"; pwd; ls -A; echo to stderr >&2; echo made > file"
		value := "a \"b\" 'c' $HOME `id` \\n é 世界"
		d.run(t, "shop/ok", podScript("withEnv(['VALUE=' + "+groovyString(value)+"]) {\n sh(label: 'one', script: "+groovyString(script)+")\n sh(script: 'cat file')\n}"))
		b := d.wait(t, "shop/ok")
		log := b.Log
		if b.Result != "SUCCESS" {
			t.Fatalf("result = %s\n%s", b.Result, log)
		}
		for _, want := range []string{
			"Created Pod: kubernetes default/shop-ok-1-", "is provisioned from template shop_ok_1-", "Running on shop-ok-1-",
			"\n+ printf %s| ", "a 'quoted' $(HOME) $x|hidden|" + value + "|uid|shop/ok|", "\n" + s.root + "/default_shop-ok-1-", "/workspace/shop_ok\n", "\nto stderr\n", "\n+ cat file\nmade\n",
		} {
			if !strings.Contains(log, want) {
				t.Errorf("the log lacks %q:\n%s", want, log)
			}
		}
		d.gone(t, s)
	})
	t.Run("the exit code of a script fails the build", func(t *testing.T) {
		d.run(t, "shop/exit", podScript("sh(script: 'printf unfinished; exit 37')"))
		if b := d.wait(t, "shop/exit"); b.Result != "FAILURE" || !strings.Contains(b.Log, "unfinished") || !strings.Contains(b.Log, "ERROR: script returned exit code 37\n") {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
	})
	t.Run("a script with an interpreter line is run by it", func(t *testing.T) {
		d.run(t, "shop/bang", podScript(`sh(script: '#!/bin/cat\nnot a shell script\n')`))
		if b := d.wait(t, "shop/bang"); b.Result != "SUCCESS" || !strings.Contains(b.Log, "#!/bin/cat\nnot a shell script\n") || strings.Contains(b.Log, "+ ") {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
	})
	t.Run("a megabyte of output arrives whole", func(t *testing.T) {
		d.run(t, "shop/big", podScript(`sh(script: 'set +x; i=0; while [ $i -lt 20000 ]; do echo "line $i of a log that is long enough to need many messages"; i=$((i+1)); done')`))
		b := d.wait(t, "shop/big")
		var want strings.Builder
		for i := range 20000 {
			fmt.Fprintf(&want, "line %d of a log that is long enough to need many messages\n", i)
		}
		if b.Result != "SUCCESS" || !strings.Contains(b.Log, want.String()) {
			t.Errorf("result = %s, %d bytes of log", b.Result, len(b.Log))
		}
		d.gone(t, s)
	})
	t.Run("a container that is not in the pod fails the build", func(t *testing.T) {
		d.run(t, "shop/other", podScript("container('nope') {\n sh(script: 'true')\n}"))
		if b := d.wait(t, "shop/other"); b.Result != "FAILURE" || !strings.Contains(b.Log, "container [nope] does not exist in pod [") {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
	})
	t.Run("stop ends the processes of a step", func(t *testing.T) {
		d.run(t, "shop/stop", podScript("sh(script: 'echo begun; (sleep 99991; echo never) & sleep 99992')"))
		d.logged(t, "shop/stop", "begun\n")
		d.post(t, "/job/shop/job/stop/1/stop")
		if b := d.wait(t, "shop/stop"); b.Result != "ABORTED" || !strings.Contains(b.Log, "Sending interrupt signal to process\n") {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
		if n := processes("sleep", "9999"); n > 0 {
			t.Errorf("%d processes are left", n)
		}
	})
	t.Run("the deletion of the pod aborts the build", func(t *testing.T) {
		d.run(t, "shop/lost", podScript("sh(script: 'echo begun; sleep 99993')"))
		d.logged(t, "shop/lost", "begun\n")
		pod := s.pods(t)[0].Name
		if err := s.Client().CoreV1().Pods("default").Delete(t.Context(), pod, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if b := d.wait(t, "shop/lost"); b.Result != "ABORTED" || !strings.Contains(b.Log, "Pod default/"+pod+" was just deleted\n") || !strings.Contains(b.Log, "Agent was removed\n") {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
	})
	t.Run("a step survives a restart of the API server", func(t *testing.T) {
		d.run(t, "shop/api", podScript("sh(script: 'set +x; echo begun; sleep 1; echo and ended')"))
		d.logged(t, "shop/api", "begun\n")
		if err := s.StopAPIServer(); err != nil {
			t.Fatal(err)
		}
		if err := s.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b := d.wait(t, "shop/api"); b.Result != "SUCCESS" || strings.Count(b.Log, "begun\nand ended\n") != 1 {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
	})
	t.Run("forty builds at once take turns where the node is full", func(t *testing.T) {
		const n = 40
		for i := range n {
			d.run(t, fmt.Sprintf("many/b%d", i), podScript(`sh(script: 'set +x; i=0; while [ $i -lt 300 ]; do echo "line $i"; i=$((i+1)); done; printf end')`))
		}
		var want strings.Builder
		for i := range 300 {
			fmt.Fprintf(&want, "line %d\n", i)
		}
		for i := range n {
			b := d.wait(t, fmt.Sprintf("many/b%d", i))
			if b.Result != "SUCCESS" || !strings.Contains(b.Log, want.String()+"end") {
				t.Errorf("build %d: %s\n%s", i, b.Result, b.Log)
			}
		}
		d.gone(t, s)
	})
	t.Run("closing the double removes the pods of killed builds", func(t *testing.T) {
		d.run(t, "shop/kill", podScript("sh(script: 'echo begun; sleep 99994')"))
		d.logged(t, "shop/kill", "begun\n")
		d.post(t, "/job/shop/job/kill/1/kill")
		if b := d.wait(t, "shop/kill"); b.Result != "ABORTED" || len(s.pods(t)) != 1 {
			t.Errorf("result = %s, %d pods, want the pod left behind\n%s", b.Result, len(s.pods(t)), b.Log)
		}
		d.close()
		d.gone(t, s)
		if n := processes("sleep", "9999") + processes("tail", s.root); n > 0 {
			t.Errorf("%d processes are left", n)
		}
	})
}

// gone waits until no pod and no workspace is left.
func (f *fixture) gone(t *testing.T, s simulated) {
	t.Helper()
	eventually(t, "the end of the pods", func() bool { return len(s.pods(t)) == 0 })
	eventually(t, "the end of the workspaces", func() bool {
		left, err := os.ReadDir(s.root)
		return err == nil && len(left) == 0
	})
}

// processes counts those of this host whose command line begins with name and contains part.
func processes(name, part string) int {
	n := 0
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && strings.HasPrefix(string(line), name+"\x00") && strings.Contains(string(line), part) {
			n++
		}
	}
	return n
}
