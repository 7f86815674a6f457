package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// serviceCIDR is where Services get addresses. Nothing routes them: no kube-proxy
// runs, pods reach servers by the node's address.
const serviceCIDR, serviceIP = "10.96.0.0/16", "10.96.0.1"

// addresses are the cluster's addresses on this machine.
type addresses struct {
	// host is where servers of this process are reached from pods.
	host string
	// Ports; kubelet is where logs and exec of simulated nodes are served.
	api, etcd, etcdPeer, kubelet, kwok int
}

func (n addresses) url() string {
	return "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(n.api))
}

func (n addresses) etcdURL() string { return fmt.Sprintf("http://127.0.0.1:%d", n.etcd) }

// freePorts finds ports that nothing listens on now.
//
// They lie below the range that Linux and macOS take for outgoing connections. A
// port from that range could be taken while the API server is stopped, even by a
// client that dials it: TCP lets such a client connect to itself.
func freePorts(n int) ([]int, error) {
	const low, high = 20000, 32000
	var ports []int
	for range 1000 {
		port := low + rand.IntN(high-low)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer l.Close() // held until all are found, so that none is found twice
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports between %d and %d", n, low, high)
}
