package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/version"
)

// serverTimeout bounds what is asked for information only.
const serverTimeout = 10 * time.Second

func (a *app) versionCommand() *cobra.Command {
	var client bool
	var hookdNamespace string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of the plugin and of what is installed",
		Long: `Show the plugin's version, the versions of the API that the cluster serves, and hookd's
image with how many of its replicas are ready.`,
		Example: `  kubectl pipeline version
  kubectl pipeline version --client`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintf(a.Out, "plugin:  %s (%s/%s, %s)\n", version.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			if client {
				return nil
			}
			p, err := a.connect()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), serverTimeout)
			defer cancel()
			served, err := p.servedVersions(ctx)
			if err != nil {
				return fmt.Errorf("ask for the API's versions: %w", err)
			}
			fmt.Fprintf(a.Out, "API:     %s\n", served)
			hookd, err := p.hookdImage(ctx, hookdNamespace)
			if err != nil {
				message, _ := explain(err)
				hookd = "unknown: " + message
			}
			fmt.Fprintf(a.Out, "hookd:   %s\n", hookd)
			return nil
		},
	}
	cmd.Flags().BoolVar(&client, "client", false, "Show the plugin's version only, without a request")
	bindHookdNamespace(cmd, &hookdNamespace)
	return cmd
}

// servedVersions are the versions of our group that the API server serves.
func (p *project) servedVersions(ctx context.Context) (string, error) {
	raw, err := rawDo(ctx, p.CoreREST().Get().AbsPath("/apis/"+v1alpha1.GroupName))
	if err != nil {
		return "", err
	}
	var group struct {
		Versions []struct {
			GroupVersion string `json:"groupVersion"`
		} `json:"versions"`
	}
	if err := json.Unmarshal(raw, &group); err != nil {
		return "", err
	}
	var names []string
	for _, v := range group.Versions {
		names = append(names, v.GroupVersion)
	}
	return strings.Join(names, ", "), nil
}

func (p *project) hookdImage(ctx context.Context, namespace string) (string, error) {
	raw, err := rawDo(ctx, p.CoreREST().Get().AbsPath("/apis/apps/v1/namespaces", namespace, "deployments", "hookd"))
	if err != nil {
		return "", err
	}
	var d struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Image string `json:"image"`
					} `json:"containers"`
				} `json:"spec"`
			} `json:"template"`
		} `json:"spec"`
		Status struct {
			Replicas      int `json:"replicas"`
			ReadyReplicas int `json:"readyReplicas"`
		} `json:"status"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return "", err
	}
	var images []string
	for _, c := range d.Spec.Template.Spec.Containers {
		images = append(images, c.Image)
	}
	return fmt.Sprintf("%s (%d of %d replicas ready)", strings.Join(images, ", "), d.Status.ReadyReplicas, d.Status.Replicas), nil
}
