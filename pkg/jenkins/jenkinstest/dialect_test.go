package jenkinstest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// steps is a scripted agent: a script is "exit N", "say TEXT" or "hang", which ends when it is interrupted.
type steps struct {
	mu   sync.Mutex
	runs []jenkinstest.Command
}

func (s *steps) run(ctx context.Context, c jenkinstest.Command) jenkinstest.Result {
	s.mu.Lock()
	s.runs = append(s.runs, c)
	s.mu.Unlock()
	verb, arg, _ := strings.Cut(c.Script, " ")
	switch verb {
	case "exit":
		var res jenkinstest.Result
		_, _ = fmt.Sscan(arg, &res.Exit)
		return res
	case "say":
		return jenkinstest.Result{Output: arg + "\n"}
	case "lose":
		return jenkinstest.Result{Err: fmt.Errorf("the node is gone")}
	case "hang":
		<-ctx.Done()
		return jenkinstest.Result{Exit: 143}
	}
	return jenkinstest.Result{}
}

func (s *steps) scripts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, c := range s.runs {
		all = append(all, c.Script)
	}
	return all
}

func inPod(body string) string {
	return "podTemplate(yaml: 'kind: Pod\\n') {\nnode(POD_LABEL) {\n" + body + "\n}\n}\n"
}

func stage(name string, body string) string { return "stage('" + name + "') {\n" + body + "\n}\n" }

func TestDialect(t *testing.T) {
	type stages = []jenkinstest.StageInfo
	for name, tc := range map[string]struct {
		script  string
		result  string
		log     []string // all of them
		stages  stages
		scripts []string // that were run
	}{
		"stages in order, a failure skips what follows": {
			script: inPod(stage("a", "sh(script: 'say one')") + stage("b", "sh(script: 'exit 3')\nsh(script: 'never')") + stage("c", "sh(script: 'never')")),
			result: "FAILURE", log: []string{"[Pipeline] { (a)\n", "\none\n", "\nERROR: script returned exit code 3\nFinished: FAILURE\n"},
			stages: stages{{"a", "SUCCESS"}, {"b", "FAILED"}}, scripts: []string{"say one", "exit 3"},
		},
		"a stage around stages fails with them": {
			script: inPod(stage("1 x", stage("1.1 y", "sh(script: 'exit 1')"))),
			result: "FAILURE", stages: stages{{"1 x", "FAILED"}, {"1.1 y", "FAILED"}}, scripts: []string{"exit 1"},
		},
		"methods": {
			script: "def a() {\n b()\n}\ndef b() {\n echo('deep')\n}\na()\n", result: "SUCCESS", log: []string{"\ndeep\n"},
		},
		"a method that calls itself": {
			script: "def a() {\n a()\n}\na()\n", result: "FAILURE", log: []string{"java.lang.StackOverflowError"},
		},
		"parallel fails fast": {
			script: inPod("parallel(\n'p': {\n" + stage("p", "sh(script: 'hang')") + "},\n'q': {\n" + stage("q", "sh(script: 'exit 2')") + "},\nfailFast: true\n)\nsh(script: 'never')"),
			result: "FAILURE", log: []string{"[Pipeline] { (Branch: q)\n", "Failed in branch q\n", "ERROR: script returned exit code 2\n"},
		},
		"parallel without failFast lets the others end": {
			script: inPod("parallel('p': {\nsh(script: 'say p')\n}, 'q': {\nsh(script: 'exit 2')\n})"), result: "FAILURE", log: []string{"\np\n", "exit code 2"},
		},
		"retry until it works or was tried often enough": {
			script: inPod("retry(3) {\nsh(script: 'exit 1')\n}"), result: "FAILURE",
			log: []string{"ERROR: script returned exit code 1\nRetrying\n"}, scripts: []string{"exit 1", "exit 1", "exit 1"},
		},
		"the number of the build, as asked for": {
			script: "if (env.BUILD_NUMBER != '1') {\nerror('twice')\n}\necho('on')\n", result: "SUCCESS", log: []string{"Start of Pipeline\n[Pipeline] echo\non\n"},
		},
		"another number of the build": {
			script: "if (env.BUILD_NUMBER != '2') {\nerror('twice')\n}\necho('on')\n", result: "FAILURE", log: []string{"\nERROR: twice\nFinished: FAILURE\n"},
		},
		"error": {script: "error('no\\nway')\n", result: "FAILURE", log: []string{"\nERROR: no\nway\nFinished: FAILURE\n"}},
		"an agent that goes away aborts": {
			script: inPod(stage("a", "retry(2) {\nsh(script: 'lose')\n}")), result: "ABORTED", log: []string{"the node is gone\nFinished: ABORTED\n"},
			stages: stages{{"a", "ABORTED"}}, scripts: []string{"lose"},
		},
		"a script that does not compile": {
			script: "node {", result: "FAILURE",
			log: []string{"org.codehaus.groovy.control.MultipleCompilationErrorsException: startup failed:\nWorkflowScript: 1: unexpected token: end of file @ line 1, column 7.\n\n1 error\nFinished: FAILURE\n"},
		},
		"an unknown step": {
			script: stage("a", "checkout(scm)"), result: "FAILURE", stages: stages{{"a", "FAILED"}},
			log: []string{"java.lang.NoSuchMethodError: No such DSL method 'checkout' found among steps [container, dir, echo, "},
		},
		"an unknown argument":    {script: inPod("sh(script: 'x', returnStatus: true)"), result: "FAILURE", log: []string{"step sh: unknown argument returnStatus"}},
		"a missing argument":     {script: inPod("sh(label: 'x')"), result: "FAILURE", log: []string{"step sh: argument script is missing"}},
		"a wrong argument":       {script: inPod("sh(script: 3)"), result: "FAILURE", log: []string{"step sh: argument script has the wrong type: int"}},
		"a missing body":         {script: "stage('a')\n", result: "FAILURE", log: []string{"There is no body to invoke"}},
		"a body too many":        {script: "echo('a') {\n}\n", result: "FAILURE", log: []string{"step echo takes no body"}},
		"sh without a node":      {script: "sh(script: 'x')\n", result: "FAILURE", log: []string{"MissingContextVariableException: Required context class hudson.FilePath is missing"}},
		"a label of nobody":      {script: "node(POD_LABEL) {\n}\n", result: "FAILURE", log: []string{"groovy.lang.MissingPropertyException: No such property: POD_LABEL"}},
		"an override of nothing": {script: inPod("withEnv(['x']) {\n}"), result: "FAILURE", log: []string{"x is not of the form VARIABLE=value"}},
		"parallel of nothing":    {script: "parallel(failFast: true)\n", result: "FAILURE", log: []string{"no branches to run"}},
		"an empty script":        {script: "", result: "FAILURE", log: []string{"ERROR: No flow definition, cannot run\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &steps{}
			f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
			f.run(t, "f/j", tc.script)
			b := f.wait(t, "f/j")
			if b.Result != tc.result {
				t.Errorf("result = %s, want %s\n%s", b.Result, tc.result, b.Log)
			}
			for _, want := range tc.log {
				if !strings.Contains(b.Log, want) {
					t.Errorf("the log lacks %q:\n%s", want, b.Log)
				}
			}
			if tc.stages != nil {
				if diff := cmp.Diff(tc.stages, b.Stages); diff != "" {
					t.Errorf("stages (-want +got):\n%s", diff)
				}
			}
			if tc.scripts != nil {
				if diff := cmp.Diff(tc.scripts, s.scripts()); diff != "" {
					t.Errorf("scripts (-want +got):\n%s", diff)
				}
			}
			if slices.Contains(s.scripts(), "never") {
				t.Error("a step ran after a failure")
			}
		})
	}
}

func TestTheLogIsThatOfJenkins(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
	f.run(t, "f/j", inPod(stage("1 Build", "container('go') {\nwithEnv(['A=b']) {\nsh(label: 'x', script: 'say hello')\n}\n}")))
	agent := strings.Split(f.wait(t, "f/j").Log, "Running on ")[1]
	agent, _, _ = strings.Cut(agent, " ")
	want := `Started by user anonymous
[Pipeline] Start of Pipeline
[Pipeline] podTemplate
[Pipeline] {
[Pipeline] node
Running on ` + agent + ` in /home/jenkins/agent/workspace/f_j
[Pipeline] {
[Pipeline] stage
[Pipeline] { (1 Build)
[Pipeline] container
[Pipeline] {
[Pipeline] withEnv
[Pipeline] {
[Pipeline] sh
hello
[Pipeline] }
[Pipeline] // withEnv
[Pipeline] }
[Pipeline] // container
[Pipeline] }
[Pipeline] // stage
[Pipeline] }
[Pipeline] // node
[Pipeline] }
[Pipeline] // podTemplate
[Pipeline] End of Pipeline
Finished: SUCCESS
`
	if diff := cmp.Diff(want, f.get(t, "/job/f/job/j/1/consoleText").body); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestEnvironmentOfAStep(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), RootURL: "https://ci.example.org/"})
	f.run(t, "f/j", inPod("withEnv(['A=1', 'B=x=y', 'BUILD_TAG=', 'CI+X=/bin']) {\nwithEnv(['A=2', 'C=', 'D=$$A ${A} $JOB_NAME$ $none ${none} $$$$ $(A)']) {\ndir('sub') {\ncontainer('go') {\nsh(script: 'x')\n}\n}\n}\n}"))
	f.wait(t, "f/j")
	c := s.runs[0]
	env := map[string]string{}
	for _, e := range c.Env {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"A": "2", "B": "x=y", "D": "$A 2 f/j$ $none ${none} $$ $(A)", "CI": "/bin:true", "BUILD_NUMBER": "1", "JOB_NAME": "f/j", "JOB_BASE_NAME": "j", "EXECUTION_UID": "uid",
		"BUILD_URL": "https://ci.example.org/job/f/job/j/1/", "WORKSPACE": "/home/jenkins/agent/workspace/f_j", "POD_CONTAINER": "go",
	} {
		if env[name] != want {
			t.Errorf("%s = %q, want %q", name, env[name], want)
		}
	}
	for _, name := range []string{"C", "BUILD_TAG"} {
		if v, set := env[name]; set {
			t.Errorf("%s = %q, want it unset: an empty override removes", name, v)
		}
	}
	if c.Dir != "/home/jenkins/agent/workspace/f_j/sub" || c.Container != "go" || c.Job != "f/j" || c.Build != 1 {
		t.Errorf("command = %+v", c)
	}
}

func TestTimeout(t *testing.T) {
	for name, tc := range map[string]struct {
		script, result string
		runs           int
		log            string
	}{
		"ends the build as aborted":       {"timeout(time: 10, unit: 'MINUTES') {\nsh(script: 'hang')\n}", "ABORTED", 1, "Timeout set to expire in 10 min 0 sec\n"},
		"inside retry is an error":        {"retry(2) {\ntimeout(time: 600, unit: 'SECONDS') {\nsh(script: 'hang')\n}\n}", "ABORTED", 2, "Timeout has been exceeded\nRetrying\n"},
		"outside retry ends the attempts": {"timeout(time: 10) {\nretry(2) {\nsh(script: 'hang')\n}\n}", "ABORTED", 1, "Cancelling nested steps due to timeout\n"},
	} {
		t.Run(name, func(t *testing.T) {
			clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
			s := &steps{}
			f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Clock: clock})
			f.run(t, "f/j", inPod(tc.script))
			for n := 1; n <= tc.runs; n++ {
				eventually(t, "the step", func() bool { return len(s.scripts()) == n })
				clock.Step(10 * time.Minute)
			}
			b := f.wait(t, "f/j")
			if b.Result != tc.result || !strings.Contains(b.Log, tc.log) || !strings.HasSuffix(b.Log, "Timeout has been exceeded\nFinished: ABORTED\n") {
				t.Errorf("result = %s\n%s", b.Result, b.Log)
			}
			if len(s.scripts()) != tc.runs {
				t.Errorf("%d runs, want %d", len(s.scripts()), tc.runs)
			}
		})
	}
}

func TestLocalAgentsRunRealShells(t *testing.T) {
	dir := t.TempDir()
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.LocalAgents(dir)})
	f.run(t, "f/j", inPod("withEnv(['V=a \\'b\\'']) {\nsh(script: 'echo \"$V\"; echo err >&2; echo x > f')\nsh(script: '#!/bin/cat\\nraw\\n')\nsh(script: 'cat f; kill -9 $$')\n}"))
	b := f.wait(t, "f/j")
	for _, want := range []string{"+ echo a 'b'\na 'b'\n+ echo err\nerr\n+ echo x\n", "#!/bin/cat\nraw\n", "+ cat f\nx\n", "script returned exit code 137\n"} {
		if !strings.Contains(b.Log, want) {
			t.Errorf("the log lacks %q:\n%s", want, b.Log)
		}
	}
	f.run(t, "f/k", inPod("sh(script: 'echo begun; sleep 99995 & sleep 99996')"))
	f.logged(t, "f/k", "begun\n")
	f.post(t, "/job/f/job/k/1/stop")
	if b := f.wait(t, "f/k"); b.Result != "ABORTED" {
		t.Errorf("result = %s\n%s", b.Result, b.Log)
	}
	f.close()
	if n := processes("sleep", "9999"); n > 0 {
		t.Errorf("%d processes are left", n)
	}
}
