package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/rest"
)

// writeCredentials makes the authority, the certificates and the kubeconfig files
// of the control plane.
func (c *Cluster) writeCredentials() error {
	pki := c.path("pki")
	if err := os.MkdirAll(pki, 0o700); err != nil {
		return err
	}
	var err error
	if c.ca, err = newAuthority(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(pki, "ca.crt"), c.ca.pem, 0o644); err != nil {
		return err
	}
	private, public, err := signingKey()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(pki, "sa.key"), private, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(pki, "sa.pub"), public, 0o644); err != nil {
		return err
	}
	for name, issue := range map[string]func() (pair, error){
		"apiserver": func() (pair, error) {
			return c.ca.server("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1", serviceIP, c.net.host())
		},
		"kubelet-client": func() (pair, error) { return c.ca.client("kube-apiserver-kubelet-client", adminGroup) },
		"kwok":           func() (pair, error) { return c.ca.server("kwok", "127.0.0.1", c.net.host()) },
	} {
		p, err := issue()
		if err != nil {
			return err
		}
		if err := p.write(pki, name); err != nil {
			return err
		}
	}
	if c.admin, err = c.UserConfig("admin", adminGroup); err != nil {
		return err
	}
	if err := writeKubeconfig(c.Kubeconfig(), c.admin, ""); err != nil {
		return err
	}
	scheduler, err := c.UserConfig("system:kube-scheduler")
	if err != nil {
		return err
	}
	return c.writeOwnKubeconfig("scheduler", scheduler)
}

func (c *Cluster) writeOwnKubeconfig(name string, config *rest.Config) error {
	return writeKubeconfig(c.path("pki", name+".kubeconfig"), config, "")
}

func (c *Cluster) startEtcd() error {
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.net.etcdPeer)
	return c.run("etcd",
		"--data-dir="+c.path("etcd"),
		"--unsafe-no-fsync", // a test's data need not survive a power failure
		"--listen-client-urls="+c.net.etcdURL(),
		"--advertise-client-urls="+c.net.etcdURL(),
		"--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer,
		"--log-level=warn",
	)
}

func (c *Cluster) runAPIServer() error {
	pki := func(name string) string { return c.path("pki", name) }
	// Only this machine reaches the API server; in a sandbox, pods do too.
	bind, advertise := "127.0.0.1", "192.0.2.1" // it refuses loopback here; nothing uses it
	if Sandboxed() {
		bind, advertise = "0.0.0.0", c.net.host()
	}
	args := []string{
		"--etcd-servers=" + c.net.etcdURL(),
		"--bind-address=" + bind,
		"--advertise-address=" + advertise,
		"--secure-port=" + strconv.Itoa(c.net.api),
		"--tls-cert-file=" + pki("apiserver.crt"),
		"--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--service-account-key-file=" + pki("sa.pub"),
		"--service-account-signing-key-file=" + pki("sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=" + serviceCIDR,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--kubelet-client-certificate=" + pki("kubelet-client.crt"),
		"--kubelet-client-key=" + pki("kubelet-client.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		// The default is the host name first, which no DNS knows here.
		"--kubelet-preferred-address-types=InternalIP",
		"--allow-privileged",
		"--profiling=false",
	}
	return c.run("kube-apiserver", append(args, c.opts.APIServerArgs...)...)
}

// startControllerManager runs the controllers as an administrator: with an account
// for each (--use-service-account-credentials) a new namespace's default account
// takes 5 s longer.
func (c *Cluster) startControllerManager() error {
	return c.run("kube-controller-manager", append([]string{
		"--kubeconfig=" + c.Kubeconfig(),
		"--authentication-kubeconfig=" + c.Kubeconfig(),
		"--authorization-kubeconfig=" + c.Kubeconfig(),
		"--service-account-private-key-file=" + c.path("pki", "sa.key"),
		"--root-ca-file=" + c.path("pki", "ca.crt"),
		"--secure-port=0",
		"--leader-elect=false",
		"--pvclaimbinder-sync-period=2s",
		// A busy machine renews leases late; a node must not lose its pods for that.
		"--node-monitor-grace-period=2m",
	}, c.opts.ControllerManagerArgs...)...)
}

func (c *Cluster) startScheduler() error {
	kubeconfig := c.path("pki", "scheduler.kubeconfig")
	return c.run("kube-scheduler", append([]string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--secure-port=0",
		"--leader-elect=false",
	}, c.opts.SchedulerArgs...)...)
}
