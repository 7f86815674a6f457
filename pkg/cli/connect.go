package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/pflag"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubeconfigs with auth-provider stanzas work, or say what replaced them
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/version"
)

// connection is how to reach the API server: the flags that every kubectl command
// has, kept in step with them by a test. Nothing is read before a command asks.
type connection struct {
	kubeconfig string
	overrides  clientcmd.ConfigOverrides
	userExtra  []string
}

// bind adds the flags. Most are hidden from help: `kubectl options` documents them, and
// they would bury our own.
func (c *connection) bind(fs *pflag.FlagSet) {
	names := clientcmd.RecommendedConfigOverrideFlags("")
	names.ClusterOverrideFlags.APIServer.ShortName = "s"
	names.AuthOverrideFlags.Username.LongName = "" // API servers dropped basic authentication in 1.19
	names.AuthOverrideFlags.Password.LongName = ""
	names.ContextOverrideFlags.Namespace.Description = "Namespace of the project; default: the context's"
	own := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	own.StringVar(&c.kubeconfig, "kubeconfig", "", "Path to the kubeconfig file to use for CLI requests")
	clientcmd.BindOverrideFlags(&c.overrides, own, names)
	own.StringArrayVar(&c.userExtra, "as-user-extra", nil, "User extras to impersonate for the operation as KEY=VALUE, this flag can be repeated")
	own.VisitAll(func(f *pflag.Flag) {
		f.Hidden = f.Name != "namespace" && f.Name != "context" && f.Name != "kubeconfig"
	})
	fs.AddFlagSet(own)
}

func (c *connection) clientConfig() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &c.overrides)
}

// project is the namespace a command works in and the clients to do it with.
type project struct {
	*kube.Clients
	namespace string
	// user is the kubeconfig's name for whoever is asking: a guess, for when the API
	// server cannot be asked.
	user string
}

// connect reads the kubeconfig; no request is sent.
func (a *app) connect() (*project, error) {
	for _, kv := range a.conn.userExtra {
		k, v, ok := strings.Cut(kv, "=")
		if !ok {
			return nil, fmt.Errorf("--as-user-extra %q: wanted KEY=VALUE", kv)
		}
		if a.conn.overrides.AuthInfo.ImpersonateUserExtra == nil {
			a.conn.overrides.AuthInfo.ImpersonateUserExtra = map[string][]string{}
		}
		extra := a.conn.overrides.AuthInfo.ImpersonateUserExtra
		extra[k] = append(extra[k], v)
	}
	cc := a.conn.clientConfig()
	cfg, err := cc.ClientConfig()
	if err != nil {
		return nil, a.conn.explain(err)
	}
	ns, _, err := cc.Namespace()
	if err != nil {
		return nil, err
	}
	// The API server's priority and fairness bounds us; a limit of our own would only
	// make a burst of requests slow for no reason that anybody can see.
	cfg.QPS = -1
	cfg.UserAgent = "kubectl-pipeline/" + version.Version
	cfg.WarningHandler = rest.NewWarningWriter(a.ErrOut, rest.WarningWriterOptions{Deduplicate: true, Color: a.style(a.ErrOut).color})
	clients, err := kube.NewClients(cfg)
	if err != nil {
		return nil, err
	}
	return &project{Clients: clients, namespace: ns, user: kubeconfigUser(cc, a.conn.overrides)}, nil
}

// explain adds what to do about the errors of clientcmd that have no type.
func (c *connection) explain(err error) error {
	missing, ok := errors.AsType[*fs.PathError](err)
	switch {
	case ok && missing.Path == c.kubeconfig:
		return hinted(fmt.Errorf("read kubeconfig: %w", err), "leave --kubeconfig out for $KUBECONFIG and ~/.kube/config")
	case strings.HasPrefix(err.Error(), "context "):
		return hinted(err, "kubectl config get-contexts")
	}
	return err
}

func kubeconfigUser(cc clientcmd.ClientConfig, o clientcmd.ConfigOverrides) string {
	if o.AuthInfo.Impersonate != "" {
		return o.AuthInfo.Impersonate
	}
	if o.Context.AuthInfo != "" {
		return o.Context.AuthInfo
	}
	raw, err := cc.RawConfig()
	if err != nil {
		return ""
	}
	name := raw.CurrentContext
	if o.CurrentContext != "" {
		name = o.CurrentContext
	}
	if c := raw.Contexts[name]; c != nil {
		return c.AuthInfo
	}
	return ""
}
