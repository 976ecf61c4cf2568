package docker

import (
	"context"
	"net"
	"slices"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/buildlocal/buildlocal/engine"
)

// linkLocal returns the metadata addresses that a container can have as its own. Others
// cannot be kept from it: they are not link-local, or of IPv6, which the engine's usual
// network does not have.
func linkLocal() []string {
	var own []string
	for _, m := range engine.MetadataAddresses() {
		if m.LinkLocal {
			own = append(own, m.Address)
		}
	}
	return own
}

// metadata is what linkLocal returns.
var metadata = linkLocal()

// bridge is the network that containers are in by default.
const bridge = "bridge"

// reach is what a container has in its network besides what every container has.
type reach struct {
	// own are addresses that lead to the container itself: those of its services, and
	// those that would lead to the machine's metadata. What it asks there ends in
	// itself, and in no container inside it is it otherwise.
	own   []string
	given bool           // the engine gives it those; else the relay does
	relay func() relayed // waits for its image; nil where there is nothing for a relay to do
}

// reachOf finds out what a container is to have; a relay for its services is looked for
// meanwhile.
func (e *Engine) reachOf(ctx context.Context, s engine.Spec) reach {
	r := reach{own: metadata}
	if s.Network.Metadata {
		r.own = nil
		for _, service := range s.Network.Services {
			if host, _, err := net.SplitHostPort(service.Address); err == nil {
				r.own = append(r.own, host)
			}
		}
	}
	if len(s.Network.Services) > 0 {
		r.relay = e.findRelay(ctx, s)
	}
	return r
}

// create makes the container, with its own addresses where the engine gives them.
func (c *Container) create(ctx context.Context, config *container.Config, host *container.HostConfig, r *reach) (container.CreateResponse, error) {
	if r.given = len(r.own) == 0; r.given {
		return c.engine.create(ctx, c.spec, config, host, nil)
	}
	made, err := c.engine.create(ctx, c.spec, config, host, &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		bridge: {IPAMConfig: &network.EndpointIPAMConfig{LinkLocalIPs: r.own}},
	}})
	if err == nil {
		r.given = c.engine.gives(ctx, made.ID, r.own)
	}
	if err == nil || isTaken(err) {
		return made, err
	}
	// It may be for these that the engine refused it, as podman does.
	plain, again := c.engine.create(ctx, c.spec, config, host, nil)
	if again != nil {
		return made, err
	}
	return plain, nil
}

// gives reports whether a container is to have addresses that were asked for: an engine
// may pass over them in silence.
func (e *Engine) gives(ctx context.Context, id string, own []string) bool {
	got, err := e.api.ContainerInspect(ctx, id)
	if err != nil || got.NetworkSettings == nil {
		return false
	}
	has := got.NetworkSettings.Networks[bridge]
	return has != nil && has.IPAMConfig != nil && slices.Equal(has.IPAMConfig.LinkLocalIPs, own)
}

// prepare waits for the relay where a container needs one to be kept from the machine's
// metadata: it is to start at once when the container has.
func (c *Container) prepare(ctx context.Context, r *reach) {
	if r.given {
		return
	}
	if r.relay == nil {
		r.relay = c.engine.findRelay(ctx, c.spec)
	}
	r.relay()
}

// connect gives a container that runs what the engine did not.
func (c *Container) connect(ctx context.Context, r reach) error {
	if r.relay == nil {
		return nil
	}
	image := r.relay()
	if r.given {
		return c.serve(ctx, image, nil)
	}
	err := c.serve(ctx, image, r.own)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if !c.spec.Network.Metadata {
		c.spec.Hooks.Warnf("The build can reach metadata endpoints: the engine does not block them (%v).", err)
	}
	if len(c.spec.Network.Services) == 0 {
		return nil
	}
	return c.serve(ctx, image, nil)
}
