package docker

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/go-connections/nat"

	"github.com/buildlocal/buildlocal/engine"
)

// binds returns the mounts of the host's files and directories.
func binds(s engine.Spec) []mount.Mount {
	var all []mount.Mount
	for _, b := range s.Mounts.Binds {
		all = append(all, mount.Mount{Type: mount.TypeBind, Source: b.Host, Target: b.Path, ReadOnly: b.ReadOnly})
	}
	return all
}

// join sets the network of a container, the names that it resolves, and its published ports.
func join(n engine.Network, config *container.Config, host *container.HostConfig) {
	host.NetworkMode = container.NetworkMode(n.Name)
	for _, h := range n.Hosts {
		host.ExtraHosts = append(host.ExtraHosts, h.Name+":"+h.IP)
	}
	for _, p := range n.Ports {
		port := nat.Port(fmt.Sprintf("%d/tcp", p.Container))
		if config.ExposedPorts == nil {
			config.ExposedPorts, host.PortBindings = nat.PortSet{}, nat.PortMap{}
		}
		config.ExposedPorts[port] = struct{}{}
		host.PortBindings[port] = append(host.PortBindings[port], binding(p.Host))
	}
}

// networkErr returns the fault of a container whose network the engine does not have, if err is about
// that, else nil.
func (c *Container) networkErr(err error) error {
	name := c.spec.Network.Name
	if err == nil || name == "" || !strings.Contains(err.Error(), "network "+name+" not found") {
		return nil
	}
	return &engine.Fault{Kind: engine.Refused, Err: err, Message: "there is no Docker network " + name,
		Hint: "Create it with docker network create, or name one that docker network ls lists."}
}

// binding returns the place of a published port on the engine's host.
func binding(place string) nat.PortBinding {
	address, port, err := net.SplitHostPort(place)
	if err != nil {
		return nat.PortBinding{HostPort: place}
	}
	if ip, err := netip.ParseAddr(address); err == nil {
		address = ip.String()
	}
	return nat.PortBinding{HostIP: address, HostPort: port}
}
