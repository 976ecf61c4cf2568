package sandbox

import (
	"fmt"
	"net"
	"strconv"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
)

// listenFor opens a port of this machine for each service, where the build's
// connections are led to.
func (c *Container) listenFor(services []engine.Service) error {
	for range services {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listen for a service of the build: %w", err)
		}
		c.services = append(c.services, l)
	}
	return nil
}

// detours are the ways from the addresses of services to where they are.
func (c *Container) detours(s engine.Spec) []inside.Detour {
	var all []inside.Detour
	for i, service := range s.Services {
		host, port, err := net.SplitHostPort(service.Address)
		number, err2 := strconv.Atoi(port)
		if err == nil && err2 == nil {
			all = append(all, inside.Detour{Address: host, Port: number, Local: c.services[i].Addr().(*net.TCPAddr).Port})
		}
	}
	return all
}

// reached begins to serve, and tells where services are that their addresses do not
// lead to: nothing watches the build's connections.
func (c *Container) reached(s engine.Spec, watched bool) {
	for i, service := range s.Services {
		if !watched && service.Elsewhere != nil {
			service.Elsewhere(c.services[i].Addr().String())
		}
		go func() { _ = service.Serve(c.services[i]) }()
	}
}

// unlisten closes the ports.
func (c *Container) unlisten() {
	for _, l := range c.services {
		_ = l.Close()
	}
	c.services = nil
}
