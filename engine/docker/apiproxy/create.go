package apiproxy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// createContainer labels a container and translates its paths. A container with the host's
// network gets that of the build.
func (g *Proxy) createContainer(c *call) error {
	err := g.prepareContainer(c.Context(), c.body)
	if name := c.query.Get("name"); err == nil && strings.Contains(strings.TrimPrefix(name, "/"), "/") {
		// A name with a slash was a path of legacy links and addresses other routes.
		err = badRequest("invalid container name %q", name)
	}
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		refused.status = http.StatusConflict // with 404, clients would pull the image
	}
	return err
}

// prepareContainer checks the whole body. The order matters: fields are admitted before anything is
// looked up, and the network comes last, because it depends on the host configuration.
func (g *Proxy) prepareContainer(ctx context.Context, o object) error {
	if err := g.admit(o, "a container", createFields()); err != nil {
		return err
	}
	g.label(o)
	host := o.child("HostConfig")
	if err := g.admit(host, "a container", hostFields()); err != nil {
		return err
	}
	if err := onBuildsNetwork(o, host); err != nil {
		return err
	}
	for _, do := range []func(context.Context, object) error{g.shareNamespaces, g.shareVolumes, g.shareLinks, g.mounts} {
		if err := do(ctx, host); err != nil {
			return err
		}
	}
	return g.endpoints(ctx, o, host)
}

// updateContainer limits an update to the build's containers and to their resources.
func (g *Proxy) updateContainer(c *call) error {
	if err := isOwn(g, c); err != nil {
		return err
	}
	return g.admit(c.body, "an update", resourceFields())
}

// namespaces are the fields that select shared namespaces, with the flag of the docker CLI
// and the modes that do not share anything of the host.
var namespaces = []struct {
	key, flag string
	own       []string
	host      bool // host means the build's container
	container bool // container:ID is allowed
}{
	{"PidMode", "--pid", nil, true, true},
	// The host's IPC namespace has the shared memory of all programs, and the build's container need
	// not have one that can be shared. So host is refused.
	{"IpcMode", "--ipc", []string{"none", "private", "shareable"}, false, true},
	{"UTSMode", "--uts", nil, false, false},
	{"UsernsMode", "--userns", nil, false, false},
}

// shareNamespaces sets which processes and network a container shares: instead of the
// host's, those of the build's container.
func (g *Proxy) shareNamespaces(ctx context.Context, host object) error {
	for _, n := range namespaces {
		mode := host.text(n.key)
		of, shared := strings.CutPrefix(mode, "container:")
		switch {
		case empty(host[n.key]), slices.Contains(n.own, mode):
		case mode == "host" && n.host:
			host[n.key] = "container:" + g.Container
		case mode == "host":
			return refuse("%s host is not available with --docker socket: it would share the host's namespace", n.flag)
		case !shared || !n.container:
			return refuse("%s %s is not available with --docker socket", n.flag, shown(host[n.key]))
		default:
			id, err := g.container(ctx, of)
			if err != nil {
				return err
			}
			host[n.key] = "container:" + id
		}
	}
	return nil
}

// shareVolumes replaces the containers of --volumes-from by their IDs. Those of others could have
// volumes with anything.
func (g *Proxy) shareVolumes(ctx context.Context, host object) error {
	from, err := host.list("VolumesFrom")
	if err != nil || len(from) == 0 {
		return err
	}
	var all []any
	for _, item := range from {
		name, mode, _ := strings.Cut(item, ":")
		id, err := g.container(ctx, name)
		if err != nil {
			return err
		}
		if err := g.checkMode(mode); err != nil {
			return err
		}
		all = append(all, strings.TrimSuffix(id+":"+mode, ":"))
	}
	host["VolumesFrom"] = all
	return nil
}

// shareLinks replaces linked containers by their IDs. Their names stay as aliases.
func (g *Proxy) shareLinks(ctx context.Context, host object) error {
	links, err := host.list("Links")
	if err != nil || len(links) == 0 {
		return err
	}
	var all []any
	for _, item := range links {
		name, alias, _ := strings.Cut(item, ":")
		id, err := g.mustOwn(ctx, "container", strings.TrimPrefix(name, "/"))
		if err != nil {
			return err
		}
		if alias == "" {
			alias = strings.TrimPrefix(name, "/")
		}
		all = append(all, id+":"+alias)
	}
	host["Links"] = all
	return nil
}

// onBuildsNetwork prepares a container for the network of the build's container, instead of
// the host's. The engine then refuses network settings. Published ports are dropped, as it
// does for the host's network; settings that would have an effect there are refused.
func onBuildsNetwork(o, host object) error {
	if host.text("NetworkMode") != "host" {
		return nil
	}
	for key, flag := range map[string]string{
		// The engine ignores some of them for a shared network and fails for others, with messages that
		// make no sense to a user who asked for the host's network.
		"ExtraHosts": "--add-host", "Dns": "--dns", "DnsOptions": "--dns-option", "DnsSearch": "--dns-search",
		"Links": "--link",
	} {
		if !empty(host[key]) {
			return notWithHostNetwork(flag)
		}
	}
	for key, flag := range map[string]string{
		"Hostname": "--hostname", "Domainname": "--domainname", "MacAddress": "--mac-address",
	} {
		if !empty(o[key]) {
			return notWithHostNetwork(flag)
		}
	}
	for _, key := range []string{"PortBindings", "PublishAllPorts"} {
		delete(host, key)
	}
	delete(o, "ExposedPorts")
	return nil
}

// notWithHostNetwork returns the error for a flag that conflicts with --network host.
func notWithHostNetwork(flag string) error {
	return refuse("%s cannot be combined with --network host, "+
		"which is the network of the build's container with --docker socket", flag)
}

// removeContainer removes a container with its anonymous volumes. These have no labels, so
// they could not be found later.
func (g *Proxy) removeContainer(c *call) error {
	c.query.Set("v", "1")
	return isOwn(g, c)
}
