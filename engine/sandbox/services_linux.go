package sandbox

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

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
	for i, service := range s.Network.Services {
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
	for i, service := range s.Network.Services {
		if !watched && service.OnFallback != nil {
			service.OnFallback(c.services[i].Addr().String())
		}
		var l net.Listener = c.services[i]
		if watched { // only the process that watches connects here, as ourselves
			l = ownListener{l}
		}
		go func() { _ = service.Serve(l) }()
	}
}

// unlisten closes the ports.
func (c *Container) unlisten() {
	for _, l := range c.services {
		_ = l.Close()
	}
	c.services = nil
}

// ownListener takes connections of this user's processes only: other users of this
// machine reach its port too.
type ownListener struct{ net.Listener }

// Accept waits for a connection of this user's.
func (l ownListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if ownerOf(c.RemoteAddr().(*net.TCPAddr).Port) == os.Getuid() {
			return c, nil
		}
		_ = c.Close()
	}
}

// ownerOf returns the number of the user whose socket of 127.0.0.1 has a port, or -1.
func ownerOf(port int) int {
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return -1
	}
	const local, owner = 1, 7 // columns
	want := fmt.Sprintf("0100007F:%04X", port)
	for line := range strings.Lines(string(text)) {
		if columns := strings.Fields(line); len(columns) > owner && columns[local] == want {
			if number, err := strconv.Atoi(columns[owner]); err == nil {
				return number
			}
		}
	}
	return -1
}
