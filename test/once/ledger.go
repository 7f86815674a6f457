package once

import (
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// ledger is what Jenkins' agents did: which script ran in which build. Agents of
// projects with pods are pods; the others are no place at all and cost nothing.
type ledger struct {
	pods, none jenkinstest.Agents

	mu   sync.Mutex
	runs map[string][]int // the builds that ran it, by job and step
}

func newLedger() *ledger {
	l := &ledger{runs: map[string][]int{}}
	l.none = jenkinstest.ScriptedAgents(l.run)
	return l
}

func (l *ledger) Provision(ctx context.Context, req jenkinstest.NodeRequest, log io.Writer) (jenkinstest.Agent, error) {
	if strings.HasPrefix(req.JobName, podProject+"/") {
		return l.pods.Provision(ctx, req, log)
	}
	return l.none.Provision(ctx, req, log)
}

func (l *ledger) Close() error { return l.pods.Close() }

var pause = regexp.MustCompile(`^sleep ([\d.]+)`)

// run does what scripts of this test do: they take a while, and some fail.
func (l *ledger) run(ctx context.Context, cmd jenkinstest.Command) jenkinstest.Result {
	l.mu.Lock()
	step := cmd.Job + " " + cmd.Label
	l.runs[step] = append(l.runs[step], cmd.Build)
	l.mu.Unlock()
	if m := pause.FindStringSubmatch(cmd.Script); m != nil {
		if d, err := time.ParseDuration(m[1] + "s"); err == nil {
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return jenkinstest.Result{Exit: 143}
			}
		}
	}
	if strings.Contains(cmd.Script, "exit 3") {
		return jenkinstest.Result{Exit: 3}
	}
	return jenkinstest.Result{Output: "done\n"}
}

// account compares what Jenkins did with what was asked: one build for each execution,
// each script once. Builds that were ended as duplicates are builds, too.
func (c *campaign) account() {
	t := c.t
	builds := map[string][]jenkinstest.BuildInfo{} // by uid
	for _, b := range c.w.Jenkins.Builds() {
		uid := b.Params["EXECUTION_UID"]
		builds[uid] = append(builds[uid], b)
	}
	duplicates, lost, again, late := 0, 0, 0, 0
	for _, e := range c.watcher.all() {
		mine := builds[string(e.UID)]
		delete(builds, string(e.UID))
		if e.gone {
			continue // the clean run, which was deleted
		}
		want := 1
		if e.Status.Reason == v1alpha1.ReasonEngineLost {
			lost++
			want = 0
		}
		if c.isLate(e.Namespace) && len(mine) == 2 && mine[1].Result == "FAILURE" && !mine[1].Building {
			mine = mine[:1] // that the other one ran no script is seen below
			late++
		}
		if len(mine) > want {
			duplicates += len(mine) - want
			t.Errorf("%s/%s: %d builds, want %d: %s", e.Namespace, e.Name, len(mine), want, describe(mine))
		} else if len(mine) < want {
			t.Errorf("%s/%s, which is %s %s: no build", e.Namespace, e.Name, e.Status.Phase, e.Status.Reason)
		}
		if e.Status.Engine != nil && e.Status.Engine.Attempt > 1 {
			again++
		}
	}
	for uid, more := range builds {
		if !c.gone(uid) {
			t.Errorf("builds of nobody: %s", describe(more))
		}
	}
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	for _, step := range slices.Sorted(maps.Keys(c.ledger.runs)) {
		if builds := c.ledger.runs[step]; len(builds) != 1 {
			t.Errorf("the script of %s ran in builds %v, want one", step, builds)
		}
	}
	t.Logf("builds beyond one per execution: %d, and %d, of triggers that arrived late, which ran nothing; triggered again since Jenkins lost them from its queue: %d, of which given up: %d; scripts run: %d",
		duplicates, late, again, lost, len(c.ledger.runs))
}

func describe(builds []jenkinstest.BuildInfo) string {
	var all []string
	for _, b := range builds {
		all = append(all, fmt.Sprintf("%s #%d of queue item %d, attempt %s, %s", b.Job, b.Number, b.QueueID, b.Params["ATTEMPT"], b.Result))
	}
	return strings.Join(all, "; ")
}

// triggers counts the requests that reached the double.
func (c *campaign) triggers(t *testing.T) {
	n := 0
	for _, r := range c.w.Jenkins.Requests() {
		if strings.Contains(r, "/buildWithParameters") {
			n++
		}
		if strings.Contains(r, "/credentials/") {
			t.Errorf("a credential of Jenkins was touched: %s", r)
		}
	}
	t.Logf("triggers that reached Jenkins: %d", n)
}
