package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
)

// serviceCIDR is where Services get addresses. Nothing routes them: no kube-proxy
// runs, pods reach servers by the node's address.
const serviceCIDR, serviceIP = "10.96.0.0/16", "10.96.0.1"

// addresses are the cluster's addresses on this machine.
type addresses struct {
	// block is the second byte of the cluster's addresses in a sandbox: its host is
	// 10.block.0.1, real node N is 10.block.0.(N+2), pods are 10.block.1.x. Outside
	// of a sandbox it is 0, and everything is 127.0.0.1.
	block byte
	// Ports; kubelet is where logs and exec of simulated nodes are served.
	api, etcd, etcdPeer, kubelet, kwok int
}

// findAddresses chooses ports, and in a sandbox a block of addresses, that nothing
// else uses.
func findAddresses() (addresses, error) {
	ports, err := freePorts(5)
	if err != nil {
		return addresses{}, err
	}
	n := addresses{api: ports[0], etcd: ports[1], etcdPeer: ports[2], kubelet: ports[3], kwok: ports[4]}
	if !Sandboxed() {
		return n, nil
	}
	taken, err := net.InterfaceAddrs()
	if err != nil {
		return addresses{}, err
	}
	for n.block = 123; n.block < 250; n.block++ {
		host := n.node(-1)
		if !slices.ContainsFunc(taken, func(a net.Addr) bool { return a.(*net.IPNet).IP.Equal(host) }) {
			return n, addAddress(fmt.Sprint(n.block), host)
		}
	}
	return addresses{}, errors.New("find a free block of addresses")
}

func (n addresses) host() string {
	if n.block == 0 {
		return "127.0.0.1"
	}
	return n.node(-1).String()
}

// node is the address of real node number i.
func (n addresses) node(i int) net.IP { return net.IPv4(10, n.block, 0, byte(i+2)) }

// pods is the network of all pods on real nodes.
func (n addresses) pods() string { return fmt.Sprintf("10.%d.1.0/24", n.block) }

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
