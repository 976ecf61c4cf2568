// Package share gives a build's container access to the engine that runs it, at a socket of
// its own: --docker socket.
//
// Package apiproxy decides what the build may request. This package has the other half,
// which needs the engine and the container: it translates the paths of bind mounts, forwards
// published ports to localhost of the build, and removes everything that was created.
package share

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/apiproxy"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
)

// InsideLabel is the label of everything that was created at the socket. Its value is the
// name of the build's container.
const InsideLabel = "dev.buildlocal.inside"

// Socket is the socket of one container. Its methods do nothing on a nil Socket, which is
// that of a container without one.
type Socket struct {
	conn     *conn.Engine
	spec     engine.Spec
	listener net.Listener
	host     string // the socket's file on this host
	label    string // NAME=VALUE of InsideLabel

	// The state of the engine's images before the build.
	tags   map[string]string // IDs by name
	images map[string]bool   // all IDs

	target  Target // set by Serve, as are the following
	proxy   *apiproxy.Proxy
	unwatch context.CancelFunc

	// ports has the state of forwarded ports, with a lock of its own.
	ports ports

	inspectMu sync.Mutex // protects the following
	inspected bool
	mounts    []container.MountPoint
	rootDir   string // the container's root directory on the engine's host; empty if unknown
}

// Target is the container that has the socket. It has functions rather than the driver's container,
// because packages of one layer do not know each other.
type Target struct {
	ID   string
	Exec func(ctx context.Context, p engine.Process) (int, error)
	// Listen starts a relay that listens at addresses in the container's network.
	Listen func(ctx context.Context, purpose string, addresses []string) (Relay, error)
	// BlocksMetadata is set if the engine assigns link-local addresses to containers, which
	// keeps them from metadata endpoints.
	BlocksMetadata bool
}

// Relay is a running relay.
type Relay struct {
	ID        string         // of its container
	Listeners []net.Listener // one for each address
	Addresses []string       // where each really is: another one if the address was not available
}

// Open creates the socket and returns its mount. It must be called before the container is
// created, which mounts it. Both results are nil if the spec has no socket.
func Open(ctx context.Context, c *conn.Engine, spec engine.Spec) (*Socket, []mount.Mount, error) {
	if spec.Network.Socket == nil {
		return nil, nil, nil
	}
	// The socket is a file of this host, which the engine must be able to mount.
	if err := c.CheckSharedFiles(); err != nil {
		return nil, nil, &engine.Fault{Kind: engine.Refused, Err: err,
			Message: fmt.Sprintf("give the build access to the engine: %v", err),
			Hint:    "Run with --privileged and --docker nested: only an engine that runs as root on this host can be shared."}
	}
	host := filepath.Join(spec.Mounts.Temp, "docker.sock")
	if err := os.Remove(host); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an earlier, failed start
		return nil, nil, err
	}
	l, err := listenAt(host)
	if err != nil {
		return nil, nil, fmt.Errorf("create the build's socket: %w", err)
	}
	s := &Socket{conn: c, spec: spec, listener: l, host: host, label: InsideLabel + "=" + spec.Name}
	if err := s.recordImages(ctx); err != nil {
		return s, nil, err
	}
	return s, []mount.Mount{{Type: mount.TypeBind, Source: host, Target: spec.Network.Socket.Path}}, nil
}

// listenAt listens at a Unix socket. Its name may be longer than the 108 bytes of an
// address, so on Linux it is reached through its directory.
func listenAt(name string) (net.Listener, error) {
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(name))
	if _, err := os.Stat(filepath.Dir(short)); err != nil { // no /proc: not Linux
		short = name
	}
	l, err := net.Listen("unix", short)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // short is stale; the directory is removed anyway
	// Only this user and root may connect from the host. In the container root is the usual user.
	return l, os.Chmod(name, 0o600)
}

// recordImages notes which images the engine has before the build.
func (s *Socket) recordImages(ctx context.Context) error {
	// All includes the intermediate images of the classic builder.
	images, err := s.conn.API.ImageList(ctx, image.ListOptions{All: true})
	if err != nil {
		return s.conn.Fault(err, "list images")
	}
	s.tags, s.images = map[string]string{}, map[string]bool{}
	for _, i := range images {
		s.images[i.ID] = true
		for _, name := range i.RepoTags {
			s.tags[name] = i.ID
		}
	}
	return nil
}

// Serve serves the socket of a container that was created.
func (s *Socket) Serve(target Target) {
	if s == nil {
		return
	}
	s.target = target
	labels := maps.Clone(s.spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[InsideLabel] = s.spec.Name
	s.proxy = &apiproxy.Proxy{
		Dial: s.conn.API.Dialer(), Started: s.forward, Ended: s.unforward, Tags: s.tags,
		Labels: labels, Label: s.label, Container: target.ID, Privileged: s.spec.Resources.Privileged,
		Paths: s.hostPaths, KeepImages: s.spec.Network.Socket.KeepImages,
		Note: func(text string) { s.spec.Hooks.Warnf("%s", text) },
	}
	switch {
	case s.spec.Network.Metadata:
	case target.BlocksMetadata:
		s.proxy.Unreachable = engine.LinkLocalMetadata()
	default:
		s.spec.Hooks.Warnf("Containers that the build starts can reach metadata endpoints: the engine does not block them.")
	}
	var watching context.Context
	// The watcher lives as long as the socket, and not only as long as the call that starts it.
	watching, s.unwatch = context.WithCancel(context.Background())
	go s.watchEnds(watching)
	go func() { _ = s.proxy.Serve(s.listener) }()
}
