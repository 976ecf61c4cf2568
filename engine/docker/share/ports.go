package share

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

// ports are the published ports that are forwarded into the build's network.
type ports struct {
	mu          sync.Mutex
	byContainer map[string]forwarded // by container ID
	// closing is held while ports are being freed: a container that is started next may
	// need one of them.
	closing sync.Mutex
}

// published is a port of this host. With --publish, the engine opens the port on its own host,
// where the build does not see it.
type published struct{ address, port string }

// forwarded are the ports of a container.
type forwarded struct {
	name  string // of the container
	ports []published
	relay string // ID of the relay that listens for them; empty until it is started
}

// forward makes the published ports of a container, which were opened on this host, also
// available at localhost in the build, as they would be with an engine of the build's own.
// Ports that cannot be forwarded are reported.
func (s *Socket) forward(ctx context.Context, name string) {
	got, err := s.conn.API.ContainerInspect(ctx, name)
	if err != nil || got.NetworkSettings == nil || got.State == nil || !got.State.Running {
		return // the build sees the reason itself
	}
	name = strings.TrimPrefix(got.Name, "/")
	// The relay forwards TCP only.
	if other := notTCP(got.NetworkSettings.Ports); len(other) > 0 {
		s.spec.Hooks.Warnf("Ports of %s are not forwarded to localhost in the build, because they are not TCP: %s.",
			name, strings.Join(other, ", "))
	}
	ports := s.newPorts(got.ID, name, got.NetworkSettings.Ports)
	if len(ports) == 0 {
		return
	}
	inUse, err := s.forwardAll(ctx, got.ID, ports)
	if err != nil {
		s.closePorts(ctx, func(id, _ string) bool { return id == got.ID })
	}
	s.unforward(ctx, got.ID) // if the container ended before newPorts noted it
	switch {
	case err != nil:
		s.spec.Hooks.Warnf("Ports of %s are not forwarded to localhost in the build: %v.", name, err)
	case len(inUse) > 0:
		s.spec.Hooks.Warnf("Ports of %s are not forwarded to localhost in the build, because they are in use there: %s.",
			name, strings.Join(inUse, ", "))
	}
}

// notTCP returns the published ports that cannot be forwarded.
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

// watchEnds frees the ports of containers that end without a request of the build.
func (s *Socket) watchEnds(ctx context.Context) {
	filter := s.filter()
	filter.Add("type", string(events.ContainerEventType))
	filter.Add("event", string(events.ActionDie))
	ended, failed := s.conn.API.Events(ctx, events.ListOptions{Filters: filter})
	for {
		select {
		case e := <-ended:
			s.unforward(ctx, e.Actor.ID)
		case <-failed:
			return
		}
	}
}

// newPorts notes and returns the ports of a container that are not forwarded yet. A port
// may be published at several addresses of this host; one is enough.
func (s *Socket) newPorts(id, name string, all nat.PortMap) []published {
	s.ports.mu.Lock()
	defer s.ports.mu.Unlock()
	// Two containers cannot publish the same port, but one may publish it at several addresses.
	taken := map[string]bool{}
	for _, f := range s.ports.byContainer {
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
			// 0.0.0.0 and :: are every address of this host; the loopback address is among them.
			if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			taken[b.HostPort] = true
			found = append(found, published{net.JoinHostPort(host, b.HostPort), b.HostPort})
		}
	}
	slices.SortFunc(found, func(a, b published) int { return strings.Compare(a.port, b.port) })
	if s.ports.byContainer == nil {
		s.ports.byContainer = map[string]forwarded{}
	}
	if len(found) > 0 {
		s.ports.byContainer[id] = forwarded{name: name, ports: found}
	}
	return found
}

// unforward frees the ports of a container, given by ID or name, unless it still runs: it
// may ignore the signal that the build has sent.
func (s *Socket) unforward(ctx context.Context, name string) {
	id := name
	if got, err := s.conn.API.ContainerInspect(ctx, name); err == nil {
		if id = got.ID; got.State != nil && got.State.Running {
			return
		}
	}
	s.closePorts(ctx, func(known, called string) bool {
		return known == id || called == name || len(name) >= minShortID && strings.HasPrefix(known, name)
	})
}

// minShortID is the length from which a prefix of an ID is not taken for a name.
const minShortID = 12

// closePorts frees the ports of the containers that match, and returns when they are free.
func (s *Socket) closePorts(ctx context.Context, matches func(id, name string) bool) {
	s.ports.closing.Lock()
	defer s.ports.closing.Unlock()
	s.ports.mu.Lock()
	var relays []string
	for known, f := range s.ports.byContainer {
		if matches(known, f.name) {
			relays = append(relays, f.relay)
			delete(s.ports.byContainer, known)
		}
	}
	s.ports.mu.Unlock()
	for _, relay := range relays {
		if relay != "" {
			_ = s.conn.RemoveContainer(context.WithoutCancel(ctx), relay)
		}
	}
}

// forwardAll starts a relay for ports of a container. It returns the ports that are in use
// in the build's network.
func (s *Socket) forwardAll(ctx context.Context, id string, ports []published) (inUse []string, err error) {
	var addresses []string
	for _, p := range ports {
		addresses = append(addresses, "127.0.0.1:"+p.port)
	}
	r, err := s.target.Listen(ctx, "port-"+ports[0].port, addresses)
	if err != nil {
		return nil, err
	}
	s.ports.mu.Lock()
	f, wanted := s.ports.byContainer[id]
	if wanted {
		f.relay = r.ID
		s.ports.byContainer[id] = f
	}
	s.ports.mu.Unlock()
	if !wanted { // the container has ended in the meantime
		return nil, s.conn.RemoveContainer(context.WithoutCancel(ctx), r.ID)
	}
	for i, p := range ports {
		if r.Addresses[i] != addresses[i] { // the relay has fallen back to another port, which is of no use
			inUse = append(inUse, p.port)
		}
		go forwardConns(r.Listeners[i], p.address)
	}
	return inUse, nil
}

// forwardConns forwards the connections of a listener to an address of this host. A connection that
// cannot be made is closed, as by a container that does not listen.
func forwardConns(l net.Listener, address string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			// The connection is opened by this process, on the host of the engine.
			to, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer to.Close()
			var group sync.WaitGroup
			group.Go(func() { copyHalf(to, from) })
			group.Go(func() { copyHalf(from, to) })
			group.Wait()
		}()
	}
}

// copyHalf copies one direction, and then closes it at the receiver. Connections of a relay
// cannot be closed by halves.
func copyHalf(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, can := to.(interface{ CloseWrite() error }); can {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
}
