package relay

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// take adds IPv4 addresses to the loopback interface, each as an alias. The interface has one
// address without an alias, 127.0.0.1, which stays. The ioctls are those of ifconfig, see
// netdevice(7).
func take(addresses []string) error {
	if len(addresses) == 0 {
		return nil
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("take addresses: %w", err)
	}
	defer unix.Close(socket)
	for i, address := range addresses {
		if err := alias(socket, fmt.Sprintf("lo:%d", i+1), net.ParseIP(address).To4()); err != nil {
			return fmt.Errorf("take the address %s: %w", address, err)
		}
	}
	return nil
}

// alias creates an alias of an interface with a single address.
func alias(socket int, name string, address net.IP) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := request.SetInet4Addr(address); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFADDR, request); err != nil {
		return err
	}
	// The mask /32 instead of that of the address class keeps other link-local addresses on
	// their usual route.
	if err := request.SetInet4Addr(net.IPv4bcast.To4()); err != nil {
		return err
	}
	return unix.IoctlIfreq(socket, unix.SIOCSIFNETMASK, request)
}
