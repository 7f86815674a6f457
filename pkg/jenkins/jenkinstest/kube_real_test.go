package jenkinstest_test

import (
	"strings"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster/images"
)

func TestAgentPodsOnARealNode(t *testing.T) {
	if !testing.Short() {
		cluster.RequireReal(t)
	}
	s := simulated{Cluster: startNodes(t, cluster.Options{Real: 1}), root: t.TempDir()}
	agents, err := jenkinstest.KubeAgents(s.RESTConfig(), jenkinstest.AgentOptions{AgentImage: images.Busybox})
	if err != nil {
		t.Fatal(err)
	}
	d := newFixture(t, jenkinstest.Options{Agents: agents})
	script := func(body string) string {
		return "podTemplate(namespace: 'default', slaveConnectTimeout: 120, showRawYaml: false, yaml: " + groovyString(`spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: one, image: '`+images.Busybox+`', imagePullPolicy: Never, command: [sleep], args: [99d], env: [{name: OWN, value: mine}]}
  - {name: git, image: '`+images.Git+`', imagePullPolicy: Never, command: [sleep], args: [99d]}
  - {name: jnlp, imagePullPolicy: Never}
`) + ") {\n node(POD_LABEL) {\n" + body + "\n}\n}\n"
	}

	t.Run("containers share the workspace, and each has its own environment", func(t *testing.T) {
		d.run(t, "f/share", script("container('one') {\nwithEnv(['V=\\'a b\\'']) {\nsh(script: 'echo \"$OWN $V\"; pwd; echo x > file')\n}\n}\n"+
			"container('git') {\nsh(script: 'cat file; git --version; echo \"[$OWN]\"')\n}\nsh(script: 'ls; exit 4')"))
		b := d.wait(t, "f/share")
		for _, want := range []string{
			"\nmine 'a b'\n", "\n/home/jenkins/agent/workspace/f_share\n", "\n+ cat file\nx\n", "\ngit version ", "\n[]\n", "\n+ ls\nfile\n",
			"ERROR: script returned exit code 4\nFinished: FAILURE\n",
		} {
			if !strings.Contains(b.Log, want) {
				t.Errorf("the log lacks %q:\n%s", want, b.Log)
			}
		}
		d.gone(t, s)
	})
	t.Run("stop ends the processes of a step, and the step hears of it", func(t *testing.T) {
		d.run(t, "f/stop", script("container('one') {\nsh(script: 'trap \"echo cleaned; exit 1\" TERM; echo begun; sleep 99 & wait')\n}"))
		d.logged(t, "f/stop", "begun\n")
		d.post(t, "/job/f/job/stop/1/stop")
		if b := d.wait(t, "f/stop"); b.Result != "ABORTED" || !strings.Contains(b.Log, "Sending interrupt signal to process\n") || !strings.Contains(b.Log, "\ncleaned\n") {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
	})
	t.Run("an image that is not there", func(t *testing.T) {
		d.run(t, "f/image", "podTemplate(namespace: 'default', slaveConnectTimeout: 3, showRawYaml: false, yaml: "+
			groovyString("spec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  - {name: c, image: 'nowhere.invalid/x:1', imagePullPolicy: Never}\n")+") {\n node(POD_LABEL) {\n}\n}\n")
		d.logged(t, "f/image", "\tContainer [c] waiting [ErrImageNeverPull] ")
		d.post(t, "/job/f/job/image/1/stop")
		if b := d.wait(t, "f/image"); b.Result != "ABORTED" {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
	})
}
