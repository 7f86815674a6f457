// Command cluster runs a test cluster for a person or for a script:
//
//	cluster build                     build what clusters run
//	cluster up [flags]                run one until Ctrl-C; prints its kubeconfig
//	cluster run [flags] -- command …  run one for a command, with KUBECONFIG set
//	cluster apt                       print the Debian packages that real nodes need
//
// It only reads arguments: the work is done by package cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

const usage = `usage:
  cluster build                     build what clusters run (minutes, the first time)
  cluster up [flags]                run a cluster until Ctrl-C; prints its kubeconfig
  cluster run [flags] -- command …  run a cluster for a command, with KUBECONFIG set
  cluster apt                       print the Debian packages that real nodes need
flags of up and run:
  --simulated N   nodes that are simulated (2)
  --real N        nodes with a kubelet and containers (0); root on Linux only
`

func main() {
	code, err := run(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run returns the exit code: that of the command, 2 for wrong arguments.
func run(ctx context.Context, args []string) (int, error) {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2, nil
	}
	switch verb, args := args[0], args[1:]; verb {
	case "build":
		return 0, cluster.Build(ctx, os.Stderr)
	case "apt":
		fmt.Println(strings.Join(cluster.AptPackages(), "\n"))
		return 0, nil
	case "up", "run":
		flags := flag.NewFlagSet(verb, flag.ContinueOnError)
		flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
		opts := cluster.Options{LogTo: os.Stderr}
		flags.IntVar(&opts.Simulated, "simulated", 2, "")
		flags.IntVar(&opts.Real, "real", 0, "")
		if err := flags.Parse(args); err != nil {
			return 2, nil
		}
		if (verb == "run") != (flags.NArg() > 0) {
			fmt.Fprint(os.Stderr, usage)
			return 2, nil
		}
		// A person's cluster has to be reachable from another terminal; a command's
		// has not, and leaves nothing behind in a sandbox.
		if opts.Real > 0 || verb == "run" {
			if err := cluster.EnterSandbox(ctx); err != nil {
				return 1, err
			}
		}
		return runCluster(ctx, opts, flags.Args())
	default:
		fmt.Fprint(os.Stderr, usage)
		return 2, nil
	}
}

// runCluster runs a cluster for a command, or without one until a signal.
func runCluster(ctx context.Context, opts cluster.Options, command []string) (code int, err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := cluster.Start(ctx, opts)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	if len(command) == 0 {
		fmt.Printf("export KUBECONFIG=%s\n", c.Kubeconfig())
		fmt.Fprintln(os.Stderr, "cluster: Ctrl-C ends it")
		<-ctx.Done()
		return 0, nil
	}
	// The terminal's Ctrl-C reaches the command too; it is waited for, so that it
	// ends while its cluster is still there.
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}
