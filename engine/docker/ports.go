package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"

	"github.com/docker/go-connections/nat"
)

// forward makes the ports that a container has published on this machine reachable at
// localhost in the build too, as they are where the engine is the build's own. What
// cannot be had is told.
func (c *Container) forward(ctx context.Context, name string) {
	got, err := c.engine.api.ContainerInspect(ctx, name)
	if err != nil || got.NetworkSettings == nil {
		return // the build hears of that
	}
	ports := c.newPorts(got.NetworkSettings.Ports)
	if len(ports) == 0 {
		return
	}
	if err := c.forwardAll(ctx, ports); err != nil && c.spec.Say != nil {
		c.spec.Say("The ports of %s are not at localhost in the build, only on this machine: %v.", got.Name[1:], err)
	}
}

// published is a port of this machine: where it is reached, and its number.
type published struct{ address, port string }

// newPorts returns those that do not lead to this machine yet.
func (c *Container) newPorts(all nat.PortMap) []published {
	c.socket.mu.Lock()
	defer c.socket.mu.Unlock()
	var found []published
	for port, bindings := range all {
		for _, b := range bindings {
			if port.Proto() != "tcp" || b.HostPort == "" || c.socket.ports[b.HostPort] {
				continue
			}
			host := b.HostIP
			if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			if c.socket.ports == nil {
				c.socket.ports = map[string]bool{}
			}
			c.socket.ports[b.HostPort] = true
			found = append(found, published{net.JoinHostPort(host, b.HostPort), b.HostPort})
		}
	}
	slices.SortFunc(found, func(a, b published) int { return len(a.port) - len(b.port) })
	return found
}

func (c *Container) forwardAll(ctx context.Context, ports []published) error {
	image, err := c.engine.relayImage(ctx, c.spec.Say)
	if err != nil {
		return err
	}
	var addresses []string
	for _, p := range ports {
		addresses = append(addresses, "127.0.0.1:"+p.port)
	}
	listeners, at, err := c.listenInside(context.WithoutCancel(ctx), "port-"+ports[0].port, image, addresses)
	if err != nil {
		return err
	}
	var errs []error
	for i, p := range ports {
		if at[i] != addresses[i] {
			_ = listeners[i].Close()
			errs = append(errs, errors.New("something in the build listens at port "+p.port))
			continue
		}
		go carry(listeners[i], p.address)
	}
	return errors.Join(errs...)
}

// carry carries connections to an address of this machine.
func carry(l net.Listener, address string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			to, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer to.Close()
			var group sync.WaitGroup
			group.Go(func() { pump(to, from) })
			group.Go(func() { pump(from, to) })
			group.Wait()
		}()
	}
}

// pump copies one way, and tells the other end when that is all.
func pump(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, can := to.(interface{ CloseWrite() error }); can {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
}
