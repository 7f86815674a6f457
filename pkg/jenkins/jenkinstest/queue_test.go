package jenkinstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestANodeWaitsInTheQueue(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{Agents: &slowAgents{}})
	f.run(t, "f/j", inPod("sh(script: 'x')"))
	eventually(t, "the placeholder", func() bool { return len(f.Queue()) == 1 })
	items := decode(t, f.get(t, "/queue/api/json?tree=items[id,why,task[_class,url]]"))["items"].([]any)
	task := items[0].(map[string]any)["task"].(map[string]any)
	if task["url"] != "job/f/job/j/1/" || !strings.HasSuffix(task["_class"].(string), "PlaceholderTask") {
		t.Errorf("task = %v", task)
	}
	f.want(t, "cancel", f.post(t, fmt.Sprintf("/queue/cancelItem?id=%d", f.Queue()[0].ID)), 204)
	if b := f.wait(t, "f/j"); b.Result != "ABORTED" || !strings.Contains(b.Log, "Queue task was cancelled\n") {
		t.Errorf("build = %+v", b)
	}
}
