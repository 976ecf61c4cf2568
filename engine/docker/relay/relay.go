package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/buildlocal/buildlocal/engine/docker/conn"
	tunnel "github.com/buildlocal/buildlocal/internal/relay"
)

// Relay is a running relay.
type Relay struct {
	ID        string         // of its container
	Listeners []net.Listener // one for each address
	Addresses []string       // where each really is: another one if the address was not available
}

// relaySpec describes a relay to start.
type relaySpec struct {
	purpose   string   // the suffix of its name
	image     string   // that contains this program
	take      []string // addresses to add to the loopback interface
	addresses []string // to listen at
}

// start creates and starts a relay. It ends with this process, because its standard input
// ends then.
func (n *Network) start(ctx context.Context, r relaySpec) (Relay, error) {
	creation := n.creation(r)
	made, err := n.conn.CreateContainer(ctx, creation)
	if conn.IsNotFound(err) { // another version of this program has removed the image in the meantime
		if creation.Config.Image, err = n.images.Get(ctx, n.spec.Hooks.Warnf); err != nil {
			return Relay{}, err
		}
		made, err = n.conn.CreateContainer(ctx, creation)
	}
	if err != nil {
		return Relay{}, n.conn.Fault(err, "create a container for "+r.purpose)
	}
	if !n.add(made.ID) {
		return Relay{}, errors.Join(errSealed, n.conn.RemoveContainer(ctx, made.ID))
	}
	listeners, at, err := n.attach(ctx, made.ID, r)
	if err != nil { // the name must be free for another attempt
		err = errors.Join(err, n.remove(context.WithoutCancel(ctx), made.ID))
	}
	return Relay{ID: made.ID, Listeners: listeners, Addresses: at}, err
}

// creation returns a container in the network of the build's, with no more rights than it
// needs: the build may be able to exploit it.
func (n *Network) creation(r relaySpec) conn.Creation {
	rights := []string{"NET_BIND_SERVICE"}
	if len(r.take) > 0 {
		rights = append(rights, "NET_ADMIN")
	}
	return conn.Creation{
		Name: n.spec.Name + "-" + r.purpose,
		Config: &container.Config{
			Image: r.image, Cmd: slices.Concat(r.take, r.addresses), Labels: n.spec.Labels,
			OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		},
		Host: &container.HostConfig{
			NetworkMode: container.NetworkMode("container:" + n.container), CapDrop: []string{"ALL"}, CapAdd: rights,
			ReadonlyRootfs: true, SecurityOpt: []string{"no-new-privileges"},
			// The output is binary traffic, which a log driver would store.
			LogConfig: container.LogConfig{Type: "none"}, AutoRemove: true,
		},
	}
}

// attach starts the container of a relay and waits until it listens.
func (n *Network) attach(ctx context.Context, id string, r relaySpec) ([]net.Listener, []string, error) {
	stream, err := n.conn.API.ContainerAttach(
		ctx,
		id,
		container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true},
	)
	if err != nil {
		return nil, nil, n.conn.Fault(err, "attach to the container for "+r.purpose)
	}
	if err := n.conn.API.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		stream.Close()
		return nil, nil, n.conn.Fault(err, "start the container for "+r.purpose)
	}
	stderr := &conn.Head{To: io.Discard}
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := stdcopy.StdCopy(in, stderr, stream.Reader)
		in.CloseWithError(err)
	}()
	// The standard streams are the only connection to the container that works with every engine, also
	// a remote one.
	both := &stdioConn{out, stream.Conn}
	cancelled := context.AfterFunc(ctx, func() { _ = both.Close() })
	listeners, at, err := tunnel.Attach(both, len(r.addresses))
	if !cancelled() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = both.Close()
		// Its output explains the failure, such as a missing library.
		<-ended // stderr is complete
		return nil, nil, fmt.Errorf("start the container for %s: %w%s", r.purpose, err, suffix(string(stderr.Kept)))
	}
	return listeners, at, nil
}

// suffix returns the output of a failed program as a suffix of an error message.
func suffix(output string) string {
	if output = strings.TrimSpace(output); output != "" {
		return ": " + output
	}
	return ""
}

// stdioConn joins the standard streams of a container to one stream.
type stdioConn struct {
	*io.PipeReader // its output
	net.Conn       // its input
}

// Read reads the output.
func (d *stdioConn) Read(p []byte) (int, error) { return d.PipeReader.Read(p) }

// Close closes both.
func (d *stdioConn) Close() error { return errors.Join(d.PipeReader.Close(), d.Conn.Close()) }
