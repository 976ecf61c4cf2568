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

// listenFor opens a port of the host for each service. Connections of the build are redirected
// to it. Port 0 is any free one: several builds run at the same time.
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

// redirects returns the redirections from the addresses of services to those ports.
func (c *Container) redirects(s engine.Spec) []inside.Redirect {
	var all []inside.Redirect
	for i, service := range s.Network.Services {
		host, port, err := net.SplitHostPort(service.Address)
		number, err2 := strconv.Atoi(port)
		if err == nil && err2 == nil {
			all = append(all, inside.Redirect{Address: host, Port: number, Local: c.services[i].Addr().(*net.TCPAddr).Port})
		}
	}
	return all
}

// listenServices begins to serve. If the connections of the build cannot be redirected,
// because watched is false, it reports the fallback addresses.
func (c *Container) listenServices(s engine.Spec, watched bool) {
	for i, service := range s.Network.Services {
		if !watched && service.OnFallback != nil {
			service.OnFallback(c.services[i].Addr().String())
		}
		var l net.Listener = c.services[i]
		if watched { // only the server connects here, with our user ID
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

// ownListener accepts connections of this user's processes only. Its port of 127.0.0.1 is
// open to all users of the host.
type ownListener struct{ net.Listener }

// Accept waits for a connection of this user.
func (l ownListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		// The services include the one that returns AWS credentials. There is no other way to
		// identify the peer: SO_PEERCRED is for Unix sockets.
		if ownerOf(c.RemoteAddr().(*net.TCPAddr).Port) == os.Getuid() {
			return c, nil
		}
		_ = c.Close()
	}
}

// ownerOf returns the ID of the user whose socket of 127.0.0.1 has a port, or -1.
//
// The kernel lists both ends of a connection; the remote port of this one is the local port of
// the other.
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
