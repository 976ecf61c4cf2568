package docker

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/go-connections/nat"
)

// forward makes the ports that a container has published on this machine reachable at
// localhost in the build too, as they are where the engine is the build's own. What
// cannot be had is told.
func (c *Container) forward(ctx context.Context, name string) {
	got, err := c.engine.api.ContainerInspect(ctx, name)
	if err != nil || got.NetworkSettings == nil || got.State == nil || !got.State.Running {
		return // the build hears of that
	}
	name = strings.TrimPrefix(got.Name, "/")
	if other := notTCP(got.NetworkSettings.Ports); len(other) > 0 {
		c.spec.Hooks.Warnf("Ports of %s are not at localhost in the build, only on this machine, for they are not TCP: %s.", name, strings.Join(other, ", "))
	}
	ports := c.newPorts(got.ID, name, got.NetworkSettings.Ports)
	if len(ports) == 0 {
		return
	}
	lost, err := c.forwardAll(ctx, got.ID, ports)
	if err != nil {
		c.drop(ctx, func(id, _ string) bool { return id == got.ID })
	}
	c.unforward(ctx, got.ID) // if it has ended before it was noted
	switch {
	case err != nil:
		c.spec.Hooks.Warnf("The ports of %s are not at localhost in the build, only on this machine: %v.", name, err)
	case len(lost) > 0:
		c.spec.Hooks.Warnf("Ports of %s are not at localhost in the build, only on this machine, for something in the build listens there: %s.", name, strings.Join(lost, ", "))
	}
}

// notTCP returns published ports that are not carried.
func notTCP(all nat.PortMap) []string {
	var found []string
	for port, bindings := range all {
		if port.Proto() != "tcp" && len(bindings) > 0 {
			found = append(found, string(port))
		}
	}
	slices.Sort(found)
	return found
}

// watchEnds frees the ports of containers that end by themselves.
func (c *Container) watchEnds(ctx context.Context) {
	filter := c.socket.own()
	filter.Add("type", string(events.ContainerEventType))
	filter.Add("event", string(events.ActionDie))
	ended, failed := c.engine.api.Events(ctx, events.ListOptions{Filters: filter})
	for {
		select {
		case e := <-ended:
			c.unforward(ctx, e.Actor.ID)
		case <-failed:
			return
		}
	}
}

// published is a port of this machine: where it is reached, and its number.
type published struct{ address, port string }

// forwarded are the ports of a container, and the container of ours that listens for them.
type forwarded struct {
	name  string // of the container whose they are
	ports []published
	relay string
}

// newPorts returns those that do not lead to this machine yet, and notes them.
func (c *Container) newPorts(id, name string, all nat.PortMap) []published {
	c.socket.mu.Lock()
	defer c.socket.mu.Unlock()
	taken := map[string]bool{}
	for _, f := range c.socket.forwarded {
		for _, p := range f.ports {
			taken[p.port] = true
		}
	}
	var found []published
	for port, bindings := range all {
		for _, b := range bindings {
			if port.Proto() != "tcp" || b.HostPort == "" || taken[b.HostPort] {
				continue
			}
			host := b.HostIP
			if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			taken[b.HostPort] = true
			found = append(found, published{net.JoinHostPort(host, b.HostPort), b.HostPort})
		}
	}
	slices.SortFunc(found, func(a, b published) int { return strings.Compare(a.port, b.port) })
	if c.socket.forwarded == nil {
		c.socket.forwarded = map[string]forwarded{}
	}
	if len(found) > 0 {
		c.socket.forwarded[id] = forwarded{name: name, ports: found}
	}
	return found
}

// unforward frees the ports of a container that was told to end.
func (c *Container) unforward(ctx context.Context, name string) {
	id := name
	if got, err := c.engine.api.ContainerInspect(ctx, name); err == nil {
		if id = got.ID; got.State != nil && got.State.Running {
			return // it does not listen to that
		}
	}
	c.drop(ctx, func(known, called string) bool {
		return known == id || called == name || len(name) >= shortID && strings.HasPrefix(known, name)
	})
}

// drop frees the ports of containers, chosen by ID and name.
func (c *Container) drop(ctx context.Context, which func(id, name string) bool) {
	c.socket.dropping.Lock()
	defer c.socket.dropping.Unlock()
	c.socket.mu.Lock()
	var relays []string
	for known, f := range c.socket.forwarded {
		if which(known, f.name) {
			relays = append(relays, f.relay)
			delete(c.socket.forwarded, known)
		}
	}
	c.socket.mu.Unlock()
	for _, relay := range relays {
		if relay != "" {
			_ = c.engine.removeContainer(context.WithoutCancel(ctx), relay)
		}
	}
}

// shortID is how short an ID may be that is not taken for a name, in characters.
const shortID = 12

// forwardAll returns those that something in the build has already.
func (c *Container) forwardAll(ctx context.Context, id string, ports []published) (lost []string, err error) {
	image, err := c.engine.relayImage(ctx, c.spec.Hooks.Warnf)
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, p := range ports {
		addresses = append(addresses, "127.0.0.1:"+p.port)
	}
	relay, listeners, at, err := c.listenInside(context.WithoutCancel(ctx), "port-"+ports[0].port, image, nil, addresses)
	if err != nil {
		return nil, err
	}
	c.socket.mu.Lock()
	f, wanted := c.socket.forwarded[id]
	if wanted {
		f.relay = relay
		c.socket.forwarded[id] = f
	}
	c.socket.mu.Unlock()
	if !wanted { // it has ended meanwhile
		return nil, c.engine.removeContainer(context.WithoutCancel(ctx), relay)
	}
	for i, p := range ports {
		if at[i] != addresses[i] { // it is at another port instead, where nobody looks
			lost = append(lost, p.port)
		}
		go carry(listeners[i], p.address)
	}
	return lost, nil
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
