package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-pipeline/kubectl-pipeline/manifests"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/version"
)

// establishTimeout bounds the wait for the API server to serve a new kind; it takes
// well under a second.
const establishTimeout = time.Minute

func (a *app) installCommand() *cobra.Command {
	var export, force bool
	var image, externalURL string
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install what a cluster needs, or bring it up to date",
		Long: `Apply what a cluster needs to run pipelines: the CustomResourceDefinitions, roles, and
hookd. It can be repeated: what is as it should be stays untouched. -n names hookd's
namespace (default ` + manifests.Namespace + `), not the context's.

It needs the rights of a cluster administrator. --export prints the objects instead, for
whoever has them.`,
		Example: `  kubectl pipeline install --external-url https://hooks.example.com
  kubectl pipeline install --export | kubectl diff --server-side -f -`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := manifests.Options{Namespace: a.conn.overrides.Context.Namespace, Image: or(image, releaseImage(version.Version))}
			if externalURL != "" {
				if u, err := url.Parse(externalURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
					return fmt.Errorf("--external-url %q: wanted an address such as https://hooks.example.com", externalURL)
				}
				o.Args = append(o.Args, "--external-url="+externalURL)
			}
			docs, err := manifests.Objects(o)
			if err != nil {
				return err
			}
			if export {
				_, err := a.Out.Write(bytes.Join(docs, []byte("---\n")))
				return err
			}
			p, err := a.connect()
			if err != nil {
				return err
			}
			in := &installer{p: p, progress: a.ErrOut, pause: a.pause, force: force}
			if err := in.apply(cmd.Context(), docs); err != nil {
				return err
			}
			fmt.Fprintf(a.ErrOut, "hint: kubectl pipeline version%s tells when hookd is ready\n",
				suffix(o.Namespace != "" && o.Namespace != manifests.Namespace, " --hookd-namespace "+o.Namespace))
			return nil
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&export, "export", false, "Print the objects as YAML, without a request")
	fs.StringVar(&image, "image", "", "Image of hookd (default: the plugin's own release)")
	fs.StringVar(&externalURL, "external-url", "", "Address under which Git hosts reach hookd")
	fs.BoolVar(&force, "force-conflicts", false, "Take over fields that somebody else set")
	return cmd
}

var release = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`)

// releaseImage is hookd of the plugin's own release, or nothing in particular for a
// build that is none.
func releaseImage(v string) string {
	if !release.MatchString(v) {
		return ""
	}
	repository, _, _ := strings.Cut(manifests.Image, ":")
	return repository + ":" + v
}

// installer applies objects one after the other.
type installer struct {
	p        *project
	progress io.Writer
	pause    func(context.Context, time.Duration) error
	force    bool
}

// manifestObject is what the installer needs to know of an object.
type manifestObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
}

// plurals are the resource names of the kinds that the manifests hold, and whether they
// live in a namespace. Asking the server for them would cost two requests and fail for
// kinds that are being installed; a test keeps the table complete.
var plurals = map[string]struct {
	plural     string
	namespaced bool
}{
	"Namespace":                {"namespaces", false},
	"CustomResourceDefinition": {"customresourcedefinitions", false},
	"ClusterRole":              {"clusterroles", false},
	"ClusterRoleBinding":       {"clusterrolebindings", false},
	"Role":                     {"roles", true},
	"RoleBinding":              {"rolebindings", true},
	"ServiceAccount":           {"serviceaccounts", true},
	"Service":                  {"services", true},
	"ConfigMap":                {"configmaps", true},
	"Deployment":               {"deployments", true},
	"PodDisruptionBudget":      {"poddisruptionbudgets", true},
	"NetworkPolicy":            {"networkpolicies", true},
}

// path is where the API server keeps the object.
func (o *manifestObject) path() (string, error) {
	k, ok := plurals[o.Kind]
	if !ok {
		return "", fmt.Errorf("apply %s %s: the installer does not know the kind", o.Kind, o.Metadata.Name)
	}
	if !isPathSegment(o.Metadata.Name) || k.namespaced && !isPathSegment(o.Metadata.Namespace) {
		return "", fmt.Errorf("apply %s: bad name %q or namespace %q", o.Kind, o.Metadata.Name, o.Metadata.Namespace)
	}
	base := "/apis/" + o.APIVersion
	if !strings.Contains(o.APIVersion, "/") {
		base = "/api/" + o.APIVersion
	}
	if k.namespaced {
		base += "/namespaces/" + o.Metadata.Namespace
	}
	return base + "/" + k.plural + "/" + o.Metadata.Name, nil
}

// isPathSegment tells whether a name can be part of a request's path; unlike other
// names, those of roles may hold capitals and colons.
func isPathSegment(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/%?#")
}

func (in *installer) apply(ctx context.Context, docs [][]byte) error {
	var crds []string
	for _, doc := range docs {
		var o manifestObject
		if err := yaml.Unmarshal(doc, &o); err != nil {
			return fmt.Errorf("read a manifest: %w", err)
		}
		// The first object that is no definition may be of a kind that is defined.
		if o.Kind == "CustomResourceDefinition" {
			crds = append(crds, o.Metadata.Name)
		} else if err := in.established(ctx, &crds); err != nil {
			return err
		}
		if err := in.applyOne(ctx, &o, doc); err != nil {
			return err
		}
	}
	return in.established(ctx, &crds)
}

func (in *installer) applyOne(ctx context.Context, o *manifestObject, doc []byte) error {
	path, err := o.path()
	if err != nil {
		return err
	}
	name := strings.ToLower(o.Kind) + "/" + o.Metadata.Name
	var before metadataOnly
	if raw, err := rawDo(ctx, in.p.CoreREST().Get().AbsPath(path)); err == nil {
		_ = json.Unmarshal(raw, &before) // it only chooses a word
	} else if !apierrors.IsNotFound(err) {
		return fmt.Errorf("apply %s: %w", name, err)
	}
	raw, err := rawDo(ctx, in.p.CoreREST().Patch(types.ApplyYAMLPatchType).AbsPath(path).
		Param("fieldManager", fieldManager).Param("force", strconv.FormatBool(in.force)).Body(doc))
	if apierrors.IsConflict(err) {
		return hinted(fmt.Errorf("apply %s: %w", name, err), "--force-conflicts takes these fields over")
	}
	if err != nil {
		return fmt.Errorf("apply %s: %w", name, err)
	}
	var after metadataOnly
	_ = json.Unmarshal(raw, &after) // it only chooses a word
	word := "configured"
	switch before.Metadata.ResourceVersion {
	case "":
		word = "created"
	case after.Metadata.ResourceVersion:
		word = "unchanged"
	}
	fmt.Fprintf(in.progress, "%s %s\n", name, word)
	return nil
}

type metadataOnly struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
}

// established waits until the API server serves the kinds of crds, and empties it.
func (in *installer) established(ctx context.Context, crds *[]string) error {
	ctx, cancel := context.WithTimeout(ctx, establishTimeout)
	defer cancel()
	for _, name := range *crds {
		for attempt := 0; ; attempt++ {
			ok, err := in.isEstablished(ctx, name)
			if err != nil {
				return fmt.Errorf("wait for %s: %w", name, err)
			}
			if ok {
				break
			}
			if err := in.pause(ctx, retryAfter(nil, min(attempt, 2))); err != nil {
				return fmt.Errorf("wait for %s to be established: %w", name, err)
			}
		}
	}
	*crds = nil
	return nil
}

func (in *installer) isEstablished(ctx context.Context, name string) (bool, error) {
	raw, err := rawDo(ctx, in.p.CoreREST().Get().AbsPath("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", name))
	if err != nil {
		return false, err
	}
	var crd struct {
		Status struct {
			Conditions []struct {
				Type   string `json:"type"`
				Status string `json:"status"`
			} `json:"conditions"`
		} `json:"status"`
	}
	if err := json.Unmarshal(raw, &crd); err != nil {
		return false, err
	}
	for _, c := range crd.Status.Conditions {
		if c.Type == "Established" {
			return c.Status == "True", nil
		}
	}
	return false, nil
}
