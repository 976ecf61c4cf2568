package apiproxy

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
)

// buildKitNote warns about BuildKit.
const buildKitNote = "docker build with BuildKit runs in the host's engine, outside the build's network: " +
	"its steps, and ADD of a URL, can reach the host's metadata service."

// buildKit warns once that steps of BuildKit run in the host's network.
func (g *Proxy) buildKit(*call) error {
	if g.Note != nil && len(g.Unreachable) > 0 {
		g.noteOnce.Do(func() { g.Note(buildKitNote) })
	}
	return nil
}

// build labels built images, and runs the steps of the classic builder in the network of
// the build.
func (g *Proxy) build(c *call) error {
	if err := g.labelBuild(c); err != nil {
		return err
	}
	c.query.Set("forcerm", "1") // containers of failed steps would remain without labels
	for _, name := range c.query["t"] {
		if strings.Contains(name, "@") {
			return badRequest("invalid image name %s", name)
		}
		g.names.given(name)
	}
	// These two apply to the containers of the build's steps.
	for key, flag := range map[string]string{"cgroupparent": "--cgroup-parent", "securityopt": "--security-opt"} {
		if err := booleanRight(flag)(g, c.query.Get(key)); err != nil {
			return err
		}
	}
	switch version := c.query.Get("version"); version {
	// The version is the builder's: 1 is the classic one, 2 is BuildKit.
	case "2":
		return g.buildWithKit(c)
	case "", "1":
		return g.buildClassic(c)
	default:
		return badRequest("invalid builder version %q", version)
	}
}

// labelBuild adds the labels to the image that is built. They are found again after the build, to
// remove it unless images are kept.
func (g *Proxy) labelBuild(c *call) error {
	labels := map[string]string{}
	if text := c.query.Get("labels"); text != "" {
		if err := json.Unmarshal([]byte(text), &labels); err != nil {
			return badRequest("labels: %v", err)
		}
	}
	if labels == nil {
		labels = map[string]string{}
	}
	for name, value := range g.Labels {
		if !g.KeepImages {
			labels[name] = value
		}
	}
	text, err := json.Marshal(labels)
	c.query.Set("labels", string(text))
	return err
}

// buildWithKit checks the part of a BuildKit request outside its own protocol.
func (g *Proxy) buildWithKit(c *call) error {
	// With client-session the context comes from the client.
	if remote := c.query.Get("remote"); remote != "" && remote != "client-session" {
		return refuseRemote(remote)
	}
	// BuildKit runs steps in networks of its own. It has no way to join the network of the build's
	// container.
	if mode := c.query.Get("networkmode"); !slices.Contains([]string{"", "default", "bridge", "none"}, mode) {
		return refuse("docker build --network %s is not available with --docker socket: "+
			"it would be the host's network", mode)
	}
	return g.buildKit(c)
}

// buildClassic checks a request to the classic builder.
func (g *Proxy) buildClassic(c *call) error {
	if remote := c.query.Get("remote"); remote != "" {
		return refuseRemote(remote)
	}
	if c.query.Get("session") != "" {
		return refuse("a session with the classic builder is not available with --docker socket; use BuildKit")
	}
	if err := g.buildNetwork(c); err != nil {
		return err
	}
	if len(g.Unreachable) == 0 || c.stream == nil {
		return nil
	}
	// The engine gets the same clean path that is looked for in the context.
	file := path.Clean("/" + c.query.Get("dockerfile"))[1:]
	if file == "" {
		file = defaultDockerfile
	}
	c.query.Set("dockerfile", file)
	c.stream = g.scanContext(c.stream, file)
	c.ContentLength = -1
	return nil
}

// refuseRemote returns the error for a context that the engine would fetch itself.
func refuseRemote(remote string) error {
	return refuse("the engine would fetch %s from the host's network; fetch it in the build instead: "+
		"git clone URL context && docker build context", remote)
}

// buildNetwork sets the network of a build's steps. The classic builder cannot give
// addresses to its containers, so if they must not reach metadata addresses they use the
// network of the build's container, which blocks them.
func (g *Proxy) buildNetwork(c *call) error {
	mode := c.query.Get("networkmode")
	of, shared := strings.CutPrefix(mode, "container:")
	everywhere := len(g.Unreachable) == 0
	switch {
	case mode == "none":
		return nil
	case mode == "host", slices.Contains([]string{"", "default", "bridge"}, mode) && !everywhere:
		mode = "container:" + g.Container
	case shared:
		id, err := g.container(c.Context(), of)
		if err != nil {
			return err
		}
		mode = "container:" + id
	case mode == "" || mode == "default" || mode == "bridge":
		return nil
	default:
		id, err := g.mustOwn(c.Context(), "network", mode)
		if err != nil {
			return err
		}
		if mode = id; !everywhere {
			return refuse("steps of docker build in the network %s could reach the host's metadata service; "+
				"omit --network, or run buildlocal with --metadata", c.query.Get("networkmode"))
		}
	}
	c.query.Set("networkmode", mode)
	return nil
}
