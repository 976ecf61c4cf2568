// Package relay connects the network of a build's container with this program: it blocks
// the metadata addresses of clouds, and makes services of this program reachable.
//
// The mechanism is the same for both. The container gets link-local addresses as its own,
// from the engine if that supports it, and else from a relay: a helper container in the
// same network namespace, whose image contains only this program. Connections to a metadata
// address then end in the container itself. For services, the relay also listens there, and
// forwards each connection to this process over its standard streams (internal/relay).
package relay

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
)

// bridge is the name of the network that containers are in by default.
const bridge = "bridge"

// Network is the network of one container. Its methods up to Connect are called once, in
// the order of their declaration; Listen and Remove can be called concurrently afterwards.
type Network struct {
	conn   *conn.Engine
	images *Images
	spec   engine.Spec

	// addresses lead to the container itself: those of its services and, unless the spec
	// allows it to reach them, the metadata addresses. Containers inside it inherit them.
	addresses []string
	applied   bool // the engine has assigned addresses; otherwise a relay has to
	// image waits for the relay's image, which is looked for while the container is being
	// created. It is nil if no relay is needed.
	image func() imageResult

	container string // ID

	mu     sync.Mutex
	sealed bool
	relays []string // IDs of the running relays
}

type imageResult struct {
	name string
	err  error
}

// NewNetwork plans the network of a container, and starts to prepare the relay's image if
// the container has services.
func NewNetwork(ctx context.Context, images *Images, spec engine.Spec) *Network {
	n := &Network{conn: images.Conn, images: images, spec: spec, addresses: engine.LinkLocalMetadata()}
	if spec.Network.Metadata {
		n.addresses = nil
		for _, service := range spec.Network.Services {
			if host, _, err := net.SplitHostPort(service.Address); err == nil {
				n.addresses = append(n.addresses, host)
			}
		}
	}
	if spec.Network.Name == "none" { // no address is reachable, and none can be assigned
		n.addresses = nil
	}
	if len(spec.Network.Services) > 0 {
		n.findImage(ctx)
	}
	return n
}

// name returns the name of the container's network.
func (n *Network) name() string { return cmp.Or(n.spec.Network.Name, bridge) }

// findImage looks for the relay's image, or creates it, in the background.
func (n *Network) findImage(ctx context.Context) {
	found := make(chan imageResult, 1)
	go func() {
		name, err := n.images.Get(ctx, n.spec.Hooks.Warnf)
		found <- imageResult{name, err}
	}()
	n.image = sync.OnceValue(func() imageResult { return <-found })
}

// Create creates the container, with its addresses if the engine supports that.
func (n *Network) Create(ctx context.Context, c conn.Creation) (container.CreateResponse, error) {
	made, err := n.create(ctx, c)
	if err == nil {
		n.container = made.ID
	}
	return made, err
}

// create tries with addresses first. Docker assigns them, Podman refuses them, and other engines
// may ignore them.
func (n *Network) create(ctx context.Context, c conn.Creation) (container.CreateResponse, error) {
	if n.applied = len(n.addresses) == 0; n.applied {
		return n.conn.CreateContainer(ctx, c)
	}
	c.Network = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		n.name(): {IPAMConfig: &network.EndpointIPAMConfig{LinkLocalIPs: n.addresses}},
	}}
	made, err := n.conn.CreateContainer(ctx, c)
	if err == nil {
		n.applied = n.hasAddresses(ctx, made.ID)
	}
	if err == nil || conn.IsNameConflict(err) {
		return made, err
	}
	// The addresses may be the reason: Podman refuses them. If it fails without them too,
	// the first error is the better one.
	c.Network = nil
	plain, again := n.conn.CreateContainer(ctx, c)
	if again != nil {
		return made, err
	}
	return plain, nil
}

// hasAddresses reports whether the container will have the addresses. An engine may ignore
// them silently.
func (n *Network) hasAddresses(ctx context.Context, id string) bool {
	got, err := n.conn.API.ContainerInspect(ctx, id)
	if err != nil || got.NetworkSettings == nil {
		return false
	}
	has := got.NetworkSettings.Networks[n.name()]
	return has != nil && has.IPAMConfig != nil && slices.Equal(has.IPAMConfig.LinkLocalIPs, n.addresses)
}

// Adopt takes the network of a container that was created before.
func (n *Network) Adopt(ctx context.Context, id string) {
	n.container = id
	n.applied = len(n.addresses) == 0 || n.hasAddresses(ctx, id)
}

// Applied reports whether the engine assigns link-local addresses to containers.
func (n *Network) Applied() bool { return n.applied }

// Prepare waits for the relay's image before the container starts, if the relay has to
// block metadata addresses: the time in which the build could reach them must be short.
func (n *Network) Prepare(ctx context.Context) {
	if n.applied {
		return
	}
	if n.image == nil {
		n.findImage(ctx)
	}
	n.image()
}

// Connect starts the relay of a running container. If the relay cannot take the addresses,
// the services get ports of 127.0.0.1 instead, and a warning says that metadata addresses
// are not blocked.
func (n *Network) Connect(ctx context.Context) error {
	if n.image == nil {
		return nil
	}
	if n.applied {
		return n.serve(ctx, nil)
	}
	err := n.serve(ctx, n.addresses)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if !n.spec.Network.Metadata {
		n.spec.Hooks.Warnf("The build can reach metadata endpoints: the engine does not block them (%v).", err)
	}
	if len(n.spec.Network.Services) == 0 {
		return nil
	}
	return n.serve(ctx, nil)
}

// serve starts a relay that first takes addresses, and then listens for all services.
func (n *Network) serve(ctx context.Context, take []string) error {
	image := n.image()
	if image.err != nil {
		return image.err
	}
	var addresses []string
	for _, service := range n.spec.Network.Services {
		addresses = append(addresses, service.Address)
	}
	r, err := n.start(ctx, relaySpec{purpose: "services", image: image.name, take: take, addresses: addresses})
	if err != nil {
		return err
	}
	for i, service := range n.spec.Network.Services {
		if r.Addresses[i] != service.Address && service.OnFallback != nil {
			service.OnFallback(r.Addresses[i])
		}
		go func() { _ = service.Serve(r.Listeners[i]) }()
	}
	return nil
}

// Listen starts another relay that listens at addresses in the container's network. Its
// container is named after the purpose.
func (n *Network) Listen(ctx context.Context, purpose string, addresses []string) (Relay, error) {
	image, err := n.images.Get(ctx, n.spec.Hooks.Warnf)
	if err != nil {
		return Relay{}, err
	}
	// A relay that was created must be known, so that it is removed.
	return n.start(context.WithoutCancel(ctx), relaySpec{purpose: purpose, image: image, addresses: addresses})
}

// Seal returns the IDs of all relays, which the caller removes together with the container.
// No further ones can be started.
func (n *Network) Seal() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sealed = true
	return slices.Clone(n.relays)
}

// errSealed is the error of a relay that is started while the container is being removed.
var errSealed = errors.New("the container has been removed")

// add notes a relay. It returns false after Seal.
func (n *Network) add(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.sealed {
		n.relays = append(n.relays, id)
	}
	return !n.sealed
}

// remove removes a relay before the container is removed.
func (n *Network) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CleanupTimeout)
	defer cancel()
	if err := n.conn.RemoveContainer(ctx, id); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.relays = slices.DeleteFunc(n.relays, func(r string) bool { return r == id })
	return nil
}
