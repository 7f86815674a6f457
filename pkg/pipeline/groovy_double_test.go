package pipeline

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// shellCall is one sh with what is around it, as both witnesses see it.
type shellCall struct {
	Stage, Container, Label, Script string
	Env                             []string // what withEnv added, or changed of what Jenkins sets
	Tries                           int      // how often it is run when it fails but for the last time
}

// shellCalls are the sh steps of a run in Groovy, by stage.
func shellCalls(calls []groovyCall) map[string]shellCall {
	out := map[string]shellCall{}
	var around []groovyCall
	for _, c := range calls {
		around = append(around[:c.Depth:c.Depth], c)
		if c.Step != "sh" {
			continue
		}
		s := shellCall{Label: c.Args["label"].(string), Script: c.Args["script"].(string), Tries: 1}
		for _, outer := range around {
			switch outer.Step {
			case "stage":
				s.Stage = outer.Args["name"].(string)
			case "container":
				s.Container = outer.Args["name"].(string)
			case "retry":
				s.Tries *= int(outer.Args["count"].(float64))
			case "withEnv":
				for _, e := range outer.Args["overrides"].([]any) {
					s.Env = append(s.Env, e.(string))
				}
			}
		}
		out[s.Stage] = s
	}
	return out
}

// doubleRun is what the double did with a Jenkinsfile, and the config.xml by which it got it.
type doubleRun struct {
	config   string
	template jenkinstest.PodTemplate
	shells   map[string]shellCall
	order    []string // stages with a shell, in the order of their first start
	log      string
}

// recordingAgents remember what is asked of them. Each script fails until it is run for the last time.
type recordingAgents struct {
	jenkinstest.Agents
	mu   sync.Mutex
	run  *doubleRun
	want map[string]shellCall
}

func (a *recordingAgents) Provision(ctx context.Context, req jenkinstest.NodeRequest, log io.Writer) (jenkinstest.Agent, error) {
	a.mu.Lock()
	a.run.template = req.Template
	a.mu.Unlock()
	return a.Agents.Provision(ctx, req, log)
}

func (a *recordingAgents) shell(_ context.Context, c jenkinstest.Command) jenkinstest.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	env := map[string]string{}
	for _, e := range c.Env {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	// a stage may have its STAGE_NAME overridden; its label and script find it then
	stage := env["STAGE_NAME"]
	for name, w := range a.want {
		if _, known := a.want[stage]; !known && w.Label == c.Label && w.Script == c.Script {
			stage = name
		}
	}
	s := shellCall{Stage: stage, Container: c.Container, Label: c.Label, Script: c.Script, Tries: a.run.shells[stage].Tries + 1}
	for _, e := range a.want[stage].Env {
		name, _, _ := strings.Cut(e, "=")
		s.Env = append(s.Env, name+"="+env[name])
	}
	if s.Tries == 1 {
		a.run.order = append(a.run.order, stage)
	}
	a.run.shells[stage] = s
	if s.Tries < a.want[stage].Tries {
		return jenkinstest.Result{Exit: 1}
	}
	return jenkinstest.Result{}
}

// runInDouble gives a Jenkinsfile to the double as the controller does, through pkg/jenkins, and lets it run to its end.
func runInDouble(t *testing.T, jenkinsfile string, want map[string]shellCall) doubleRun {
	t.Helper()
	ctx := t.Context()
	run := doubleRun{shells: map[string]shellCall{}}
	agents := &recordingAgents{run: &run, want: want}
	agents.Agents = jenkinstest.ScriptedAgents(agents.shell)
	double := jenkinstest.New(jenkinstest.Options{Agents: agents})
	defer double.Close()
	server := httptest.NewServer(double)
	defer server.Close()
	client, err := jenkins.New(jenkins.Config{BaseURL: server.URL, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ref := jenkins.JobRef{Folder: "shop", Name: "app-42"}
	if _, err := client.EnsureJob(ctx, jenkins.Job{Ref: ref, UID: "uid", Script: jenkinsfile, Description: "shop/app-42"}); err != nil {
		t.Fatal(err)
	}
	run.config = double.Config("shop/app-42")
	if _, err := client.Start(ctx, ref, jenkins.Params{UID: "uid", Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	deadline, tick := time.NewTimer(5*time.Minute), time.NewTicker(time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		builds := double.Builds("shop/app-42")
		if len(builds) == 1 && !builds[0].Building {
			if run.log = builds[0].Log; builds[0].Result != "SUCCESS" {
				t.Fatalf("the double: %s\n%.4000s", builds[0].Result, run.log)
			}
			agents.mu.Lock()
			defer agents.mu.Unlock()
			return run
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("the build did not end within 5 minutes: %+v", builds)
		}
	}
}

// agree compares the testimony of Groovy with what the double did with the same Jenkinsfile.
func agree(t *testing.T, calls []groovyCall, run doubleRun) {
	t.Helper()
	pod := calls[0].Args
	template := jenkinstest.PodTemplate{
		Cloud: pod["cloud"].(string), Namespace: pod["namespace"].(string), YAML: pod["yaml"].(string), ShowRawYAML: pod["showRawYaml"].(bool),
		ConnectTimeout: time.Duration(pod["slaveConnectTimeout"].(float64)) * time.Second,
	}
	if diff := cmp.Diff(template, run.template); diff != "" {
		t.Errorf("podTemplate (-Groovy +double):\n%s", diff)
	}
	want := shellCalls(calls)
	for stage, s := range want {
		for i, e := range s.Env {
			s.Env[i] = strings.ReplaceAll(e, "$$", "$")
		}
		want[stage] = s
	}
	if diff := cmp.Diff(want, run.shells); diff != "" {
		t.Errorf("shells (-Groovy +double):\n%s", diff)
	}
	if diff := cmp.Diff(phases(calls), phasesOf(run.order)); diff != "" {
		t.Errorf("order of stages (-Groovy +double):\n%s", diff)
	}
	if diff := cmp.Diff(stepCounts(calls), loggedSteps(run.log)); diff != "" {
		t.Errorf("how often each step begins (-Groovy +double):\n%s", diff)
	}
}

// phases are the steps in the order of their stages; those of one stage run beside each other, so that their order is no order.
func phases(calls []groovyCall) []string {
	var stages []string
	for _, c := range calls {
		if c.Step == "stage" && strings.Contains(strings.SplitN(c.Args["name"].(string), " ", 2)[0], ".") {
			stages = append(stages, c.Args["name"].(string))
		}
	}
	return phasesOf(stages)
}

func phasesOf(stages []string) []string {
	var out []string
	last := -1
	for i, s := range stages {
		number, _, _ := strings.Cut(s, ".")
		if last >= 0 && !strings.HasPrefix(stages[last], number+".") {
			slices.Sort(out[last:])
			last = i
		}
		last = max(last, 0)
		out = append(out, s)
	}
	if last >= 0 {
		slices.Sort(out[last:])
	}
	return out
}

var (
	logStep    = regexp.MustCompile(`(?m)^\[Pipeline\] (podTemplate|node|timeout|stage|parallel|retry|container|withEnv|sh)( \(.*\))?$`)
	logTimeout = regexp.MustCompile(`(?m)^Timeout set to expire in (.*)$`)
)

// loggedSteps counts the steps that the double's log shows, and its timeouts by their length.
func loggedSteps(log string) map[string]int {
	out := map[string]int{}
	for _, m := range logStep.FindAllStringSubmatch(log, -1) {
		out[m[1]]++
	}
	for _, m := range logTimeout.FindAllStringSubmatch(log, -1) {
		out["timeout of "+m[1]]++
	}
	return out
}

// stepCounts are the same of Groovy's calls; what is inside a retry begins with each try.
func stepCounts(calls []groovyCall) map[string]int {
	out := map[string]int{}
	var around []groovyCall
	for _, c := range calls {
		around = append(around[:c.Depth:c.Depth], c)
		times := 1
		for _, outer := range around[:len(around)-1] {
			if outer.Step == "retry" {
				times *= int(outer.Args["count"].(float64))
			}
		}
		if c.Step != "branch" {
			out[c.Step] += times
		}
		if c.Step == "timeout" {
			d := time.Duration(c.Args["time"].(float64)) * time.Second
			if c.Args["unit"] == "MINUTES" {
				d *= 60
			}
			out["timeout of "+inWords(d)] += times
		}
	}
	return out
}

// inWords is a duration as Jenkins writes it.
func inWords(d time.Duration) string {
	h, m, s := int(d/time.Hour), int(d%time.Hour/time.Minute), int(d%time.Minute/time.Second)
	switch {
	case h > 0:
		return fmt.Sprintf("%d hr %d min", h, m)
	case m > 0:
		return fmt.Sprintf("%d min %d sec", m, s)
	}
	return fmt.Sprintf("%d sec", s)
}

// TestGroovyAndTheDoubleAgree: the double interprets Jenkinsfiles in all other tests; here real Groovy vouches for the double.
func TestGroovyAndTheDoubleAgree(t *testing.T) {
	w := realGroovy(t)
	cases := goldenCases(t)
	cases["sequence"] = compileInput(t, sequenceConfig)
	cases["variables"] = compileInput(t, variablesConfig)
	for _, name := range sortedKeys(cases) {
		t.Run(name, func(t *testing.T) {
			c, err := Compile(cases[name])
			if err != nil {
				t.Fatal(err)
			}
			calls := w.run(t, c.Jenkinsfile).Calls
			agree(t, calls, runInDouble(t, c.Jenkinsfile, shellCalls(calls)))
		})
	}
}
