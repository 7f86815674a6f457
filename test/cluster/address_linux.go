package cluster

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// addAddress gives the sandbox's loopback interface another address: nodes have
// one each, which may not be in 127.0.0.0/8.
func addAddress(label string, ip net.IP) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, set := range []struct {
		request uint
		value   net.IP
	}{{unix.SIOCSIFADDR, ip}, {unix.SIOCSIFNETMASK, net.IPv4bcast}} {
		ifr, err := unix.NewIfreq("lo:" + label)
		if err != nil {
			return err
		}
		if err := ifr.SetInet4Addr(set.value.To4()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, set.request, ifr); err != nil {
			return fmt.Errorf("add address %s: %w", ip, err)
		}
	}
	return nil
}
