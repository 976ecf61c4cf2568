package enginetest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/engine"
)

// get requests a path from an address in the form ADDRESS/PORT, with only bash.
const get = `exec 3<>/dev/tcp/%s || exit 9; printf 'GET %s HTTP/1.0\r\n\r\n' >&3; cat <&3`

// ask runs get in a container. Exit status 9 means that the connection was refused or timed out.
func ask(t *testing.T, c engine.Container, address, path string) (int, string) {
	t.Helper()
	script := strings.Replace(strings.Replace(get, "%s", address, 1), "%s", path, 1)
	exit, out, errs := sh(t, c, "timeout 20 bash -c '"+strings.ReplaceAll(script, "'", `'\''`)+"'")
	return exit, out + errs
}

// It is the address of the credentials endpoint of ECS and CodeBuild (documented).
const credentialsAddress = "169.254.170.2/80"

// services checks that requests of a container to the address of a service reach it, from
// any number of processes, and that those of another container do not.
func (s Suite) services(t *testing.T) {
	spec := s.spec(t)
	served := make(chan error, 1)
	spec.Network.Services = []engine.Service{{
		Address: "169.254.170.2:80",
		Serve: func(l net.Listener) error {
			err := http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				// get reads to the end of the connection.
				w.Header().Set("Connection", "close")
				_, _ = io.WriteString(w, "served "+r.URL.Path)
			}))
			served <- err
			return err
		},
		// A fallback would be a service at another address, which is correct for some engines but not for
		// those under test.
		OnFallback: func(address string) { t.Errorf("the service is at %s", address) },
	}}
	c := s.start(t, spec)
	var group sync.WaitGroup
	// Concurrent connections share one stream to this process.
	for range 5 {
		group.Go(func() {
			if exit, out := ask(t, c, credentialsAddress, "/a/path"); exit != 0 || !strings.HasSuffix(out, "served /a/path") {
				t.Errorf("exit %d: %s", exit, out)
			}
		})
	}
	group.Wait()
	// The address is link-local and the same in all containers. Credentials of one build must not be
	// available to another.
	other := s.start(t, s.spec(t))
	if exit, out := ask(t, other, credentialsAddress, "/"); exit != 9 {
		t.Errorf("another container reaches the service: %d %s", exit, out)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	// The listener must be closed by Close, or the server of each build would stay.
	case err := <-served:
		if err == nil {
			t.Error("a closed listener served in silence")
		}
	// The limit only prevents a hanging test.
	case <-time.After(20 * time.Second):
		t.Error("the service is still served after Close")
	}
}

// clients checks clients that handle sockets differently: bash blocks on each read, others
// do not.
func (s Suite) clients(t *testing.T) {
	spec := s.spec(t)
	spec.Network.Services = []engine.Service{{Address: "169.254.170.2:80", Serve: func(l net.Listener) error {
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("served ", 10_000))
		})}
		// Clients would otherwise wait for a further response.
		server.SetKeepAlivesEnabled(false)
		return server.Serve(l)
	}}}
	c := s.start(t, spec)
	// The response is long enough to fill the buffers of every socket on the way.
	for name, args := range map[string][]string{
		"curl":   {"curl", "-sS", "--noproxy", "*", "http://169.254.170.2/"},
		"python": {"python3", "-c", asyncPython},
		"python3": {"python3", "-c", "import urllib.request as u; " +
			"print(u.build_opener(u.ProxyHandler({})).open('http://169.254.170.2/', timeout=10).read().decode())"},
		"node": {"node", "-e", "require('http').get('http://169.254.170.2/', r => r.pipe(process.stdout))"},
	} {
		if _, err := exec.LookPath(args[0]); errors.Is(err, exec.ErrNotFound) {
			// A missing client would silently reduce what is tested.
			if args[0] != "node" { // not installed by the set-up of the tests
				t.Errorf("this host has no %s", args[0])
			}
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var out strings.Builder
		exit, err := c.Exec(ctx, engine.Process{Args: args, Stdout: &out})
		cancel()
		if err != nil || exit != 0 || strings.Count(out.String(), "served ") != 10_000 {
			t.Errorf("%s: exit %d, %v: %d bytes", name, exit, err, out.Len())
		}
	}
}

// asyncPython uses a non-blocking socket, and checks that its options do not change. Network code
// of event loops depends on both: a relay that replaces the socket must keep them.
const asyncPython = `
import asyncio, fcntl, os, socket
s = socket.socket()
s.setblocking(False)
async def ask():
    await asyncio.get_running_loop().sock_connect(s, ("169.254.170.2", 80))
    assert fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK and fcntl.fcntl(s, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    try:
        s.recv(1)
        assert False
    except BlockingIOError:
        pass
    reader, writer = await asyncio.open_connection(sock=s)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    print((await reader.read()).decode())
asyncio.run(ask())
u = socket.socket(type=socket.SOCK_DGRAM)
try:
    u.connect(("169.254.170.2", 80))
except OSError:
    pass
assert u.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_DGRAM
`

// metadata checks that a container cannot reach metadata addresses.
func (s Suite) metadata(t *testing.T) {
	c := s.start(t, s.spec(t))
	for _, address := range []string{"169.254.169.254/80", credentialsAddress} {
		if exit, out := ask(t, c, address, "/"); exit != 9 {
			t.Errorf("%s: exit %d: %s", address, exit, out)
		}
	}
	spec := s.spec(t)
	// With Metadata allowed, nothing is blocked and there is nothing to warn about.
	spec.Network.Metadata, spec.Hooks.OnWarning = true, func(format string, args ...any) { t.Errorf(format, args...) }
	s.start(t, spec)
}
