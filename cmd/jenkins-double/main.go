// Command jenkins-double serves pkg/jenkins/jenkinstest, the Jenkins double, as a program of its own: for tests in which Jenkins must be
// another process than the test, and to try the project without a Jenkins. It is not Jenkins, is not released, and must not be given
// secrets that matter: whoever reaches it, its control or its agents' processes has them.
//
// It parses flags and wires; how the double behaves, and what --control offers, is said in pkg/jenkins/jenkinstest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// Secrets come from the environment: flags are seen by everybody on the machine.
const (
	envToken    = "JENKINS_DOUBLE_TOKEN"
	envPassword = "JENKINS_DOUBLE_PASSWORD"
	envControl  = "JENKINS_DOUBLE_CONTROL_SECRET"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:], os.Getenv, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err == nil:
		err = run(ctx, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "jenkins-double:", err)
		os.Exit(1)
	}
}

// options are the flags and what the environment adds.
type options struct {
	listen, control, controlSecret string
	agents, kubeconfig             string
	jenkins                        jenkinstest.Options
	pods                           jenkinstest.AgentOptions
}

func parse(args []string, getenv func(string) string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("jenkins-double", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` of Jenkins")
	f.StringVar(&o.control, "control", "", "loopback `address` of the control; needs $"+envControl+"; default: none")
	f.StringVar(&o.jenkins.User, "user", "", "`name` of the account, whose token is $"+envToken+" and password $"+envPassword+"; default: no security")
	f.BoolVar(&o.jenkins.Crumbs, "crumbs", false, "protect against forged requests")
	f.StringVar(&o.jenkins.ContextPath, "prefix", "", "context `path`, as Jenkins' --prefix")
	f.StringVar(&o.jenkins.RootURL, "root-url", "", "the `URL` that Jenkins believes it has")
	f.StringVar(&o.jenkins.Version, "version", "", "the `version` of Jenkins to be")
	f.BoolVar(&o.jenkins.NoStageREST, "no-stage-rest", false, "without the plugin pipeline-rest-api")
	f.BoolVar(&o.jenkins.NoGraphView, "no-graph-view", false, "without the plugin pipeline-graph-view")
	f.DurationVar(&o.jenkins.LeftTick, "left-tick", 0, "how `long` an item is out of the queue before its build exists")
	f.StringVar(&o.agents, "agents", "none", "what sh runs on: none (every sh succeeds), local (this machine) or kubernetes")
	f.StringVar(&o.pods.WorkspaceRoot, "workspaces", "", "`directory` of workspaces: of local agents, and of pods on simulated nodes")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `file` of --agents=kubernetes; default: the usual places")
	f.StringVar(&o.pods.Namespace, "namespace", "", "`namespace` of pods whose podTemplate names none")
	f.StringVar(&o.pods.AgentImage, "agent-image", "", "`image` of the container jnlp")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.jenkins.Token, o.jenkins.Password, o.controlSecret = getenv(envToken), getenv(envPassword), getenv(envControl)
	host, _, err := net.SplitHostPort(o.control)
	ip := net.ParseIP(host)
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.jenkins.User != "" && o.jenkins.Token == "" && o.jenkins.Password == "":
		return o, fmt.Errorf("--user needs $%s or $%s", envToken, envPassword)
	case o.agents == "local" && o.pods.WorkspaceRoot == "":
		return o, errors.New("--agents=local needs --workspaces")
	case o.control == "":
		return o, nil
	case err != nil:
		return o, fmt.Errorf("--control: %w", err)
	case ip == nil || !ip.IsLoopback():
		return o, fmt.Errorf("--control %s: want the number of a loopback address", o.control)
	case o.controlSecret == "":
		return o, fmt.Errorf("--control needs $%s", envControl)
	}
	return o, nil
}
