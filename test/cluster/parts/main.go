// Command parts is every Kubernetes program that the test cluster runs, in one
// binary that switches on the name it is called by: one link and one build
// cache instead of six. It must not be used for anything but tests.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	nodeheartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwoksignals "sigs.k8s.io/kwok/pkg/utils/signals"
)

func main() {
	var c *cobra.Command
	switch name := filepath.Base(os.Args[0]); name {
	case "etcd":
		etcdmain.Main(os.Args)
		return
	case "kube-apiserver":
		c = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		c = controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		c = scheduler.NewSchedulerCommand()
	case "kubelet":
		c = kubelet.NewKubeletCommand(context.Background())
	case "kwok":
		if err := runKwok(); err != nil {
			fmt.Fprintln(os.Stderr, "kwok:", err)
			os.Exit(1)
		}
		return
	case "simulated-kubelet":
		if err := simulatedKubelet(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "simulated-kubelet:", err)
			os.Exit(1)
		}
		return
	case "kwok-stages":
		printStages()
		return
	default:
		fmt.Fprintf(os.Stderr, "parts: called as %q; want etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kwok, kwok-stages or simulated-kubelet\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(c))
}

// runKwok is kwok's own main: it reads its configuration file before the flags.
func runKwok() error {
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ := kwoklog.InitFlags(kwoksignals.SetupSignalContext(), flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	c := kwok.NewCommand(ctx)
	c.Version = "" // Kubernetes' --version flag is in this binary already, and cobra refuses to have two
	c.PersistentFlags().AddFlagSet(flags)
	return c.ExecuteContext(ctx)
}

// printStages writes kwok's own rules of how simulated nodes and pods live, as
// YAML documents: kwok refuses to start without any.
func printStages() {
	for _, stage := range []string{
		nodefast.DefaultNodeInit,
		nodeheartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady,
		podfast.DefaultPodComplete,
		podfast.DefaultPodDelete,
	} {
		fmt.Printf("---\n%s\n", stage)
	}
}
