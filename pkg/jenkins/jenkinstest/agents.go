package jenkinstest

import (
	"context"
	"io"
	"time"
)

// Agents makes what `node` runs on. Implementations: [ScriptedAgents] (nothing at all), [LocalAgents] (this host), [KubeAgents]
// (pods, as the Kubernetes plugin makes them).
type Agents interface {
	// Provision returns a connected agent, or why there will be none. It waits as long as Jenkins would and ends with ctx. What
	// Jenkins would write into the build's log on the way goes to log.
	Provision(ctx context.Context, req NodeRequest, log io.Writer) (Agent, error)
	// Close removes everything that is left of all agents.
	Close() error
}

// Agent is one connected agent.
type Agent interface {
	Name() string      // of the node in Jenkins: NODE_NAME
	Workspace() string // where `sh` starts, absolute
	// Run runs one `sh`. When ctx ends, it asks the process to end and returns after it has.
	Run(ctx context.Context, cmd Command) (exit int, err error)
	// Release removes the agent.
	Release()
}

// NodeRequest is what a `node` step asks for.
type NodeRequest struct {
	Template PodTemplate
	Label    string // POD_LABEL: sanitised build name and a random part
	JobName  string // full name, folder/job
	Number   int
	BuildURL string           // absolute, from Jenkins' configured root
	RunURL   string           // relative: job/folder/job/name/12/
	Waiting  func(why string) // tells the queue why the agent is not there yet
}

// PodTemplate is the argument list of a `podTemplate` step.
type PodTemplate struct {
	Cloud          string
	Namespace      string // "" : the agents' default
	YAML           string
	ShowRawYAML    bool
	ConnectTimeout time.Duration // slaveConnectTimeout
}

// Command is one `sh` step.
type Command struct {
	Job       string // full name
	Build     int
	Container string // "" : the agent's own
	Dir       string // absolute working directory
	Label     string
	Script    string   // byte-exact
	Env       []string // NAME=value, each name once
	Output    io.Writer
}

// Result is what a scripted step does.
type Result struct {
	Exit   int
	Output string // what the process writes; `sh -xe` would add its trace, a scripted step does not
	Err    error  // the agent is lost: ends the step as Jenkins would when a node goes away
}

// ScriptedAgents makes agents without a place: every `sh` is a call of run, which may block and should end with its ctx. A nil run
// succeeds silently. It costs nothing, so thousands of builds may run at once.
func ScriptedAgents(run func(ctx context.Context, cmd Command) Result) Agents {
	return scripted{run}
}

type scripted struct {
	run func(context.Context, Command) Result
}

func (s scripted) Provision(_ context.Context, req NodeRequest, _ io.Writer) (Agent, error) {
	return scriptedAgent{s.run, req}, nil
}

func (scripted) Close() error { return nil }

type scriptedAgent struct {
	run func(context.Context, Command) Result
	req NodeRequest
}

func (a scriptedAgent) Name() string      { return a.req.Label + "-agent" }
func (a scriptedAgent) Workspace() string { return workspaceOf("/home/jenkins/agent", a.req.JobName) }
func (a scriptedAgent) Release()          {}

func (a scriptedAgent) Run(ctx context.Context, cmd Command) (int, error) {
	if a.run == nil {
		return 0, nil
	}
	res := a.run(ctx, cmd)
	_, _ = io.WriteString(cmd.Output, res.Output)
	return res.Exit, res.Err
}
