package apiproxy

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// predefined are the networks that every engine has. Their names are reserved, so they need no IDs.
var predefined = []string{"bridge", "host", "none"}

// network returns the full ID of a network that the build may join. The predefined ones are
// identified by their names, which no other network can have.
func (g *Proxy) network(ctx context.Context, name string) (id string, err error) {
	switch name {
	// A container without a network is on the default bridge, as it would be without this proxy.
	case "", "default", "bridge":
		return "bridge", nil
	case "none":
		return "none", nil
	}
	return g.mustOwn(ctx, "network", name)
}

// endpointFields are the fields of a container's connection to a network. State that the
// engine reports, and that clients send back, is dropped.
var endpointFields = sync.OnceValue(func() fields {
	return fieldList("Aliases", "GwPriority", "IPAMConfig", "Links", "MacAddress", "NetworkID").
		with(keysOf("the driver option", func(key string) bool {
			return strings.HasPrefix(key, "com.docker.network.endpoint.sysctls") || key == "com.docker.network.endpoint.ifname"
		}), "DriverOpts").
		without("DNSNames", "EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen",
			"IPAddress", "IPPrefixLen", "IPv6Gateway")
})

// endpoints checks the networks of a new container, and blocks metadata addresses by making
// them the container's own.
func (g *Proxy) endpoints(ctx context.Context, o, host object) error {
	networking := o.child("NetworkingConfig")
	if err := g.admit(networking, "a container's networks", fieldList("EndpointsConfig")); err != nil {
		return err
	}
	// The mode comes first: it decides which endpoints apply.
	mode, err := g.networkMode(ctx, host)
	if err != nil {
		return err
	}
	all, err := g.endpointsByID(ctx, networking.child("EndpointsConfig"))
	if err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(mode, "container:"):
		clear(all) // those of the other container apply
	case mode != "none" && all[mode] == nil:
		// The engine creates this endpoint by itself. It is written out here to give it the blocked
		// addresses.
		all[mode] = map[string]any{}
	}
	for id, e := range all {
		if err := g.endpoint(ctx, e.(map[string]any), id); err != nil {
			return err
		}
	}
	networking["EndpointsConfig"] = map[string]any(all)
	return nil
}

// networkMode sets the network of a container: a full ID, a predefined one, or that of
// another container.
func (g *Proxy) networkMode(ctx context.Context, host object) (string, error) {
	mode := host.text("NetworkMode")
	if !empty(host["NetworkMode"]) && mode == "" {
		return "", badRequest("NetworkMode must be a string")
	}
	of, shared := strings.CutPrefix(mode, "container:")
	switch {
	case mode == "host":
		mode = "container:" + g.Container
	case shared:
		id, err := g.container(ctx, of)
		if err != nil {
			return "", err
		}
		mode = "container:" + id
	default:
		id, err := g.network(ctx, mode)
		if err != nil {
			return "", err
		}
		mode = id
	}
	host["NetworkMode"] = mode
	return mode, nil
}

// endpointsByID replaces the names of networks by IDs. The same network under two names would be
// two entries, of which only one is checked.
func (g *Proxy) endpointsByID(ctx context.Context, named object) (object, error) {
	all := object{}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		id, err := g.network(ctx, name)
		if err != nil {
			return nil, err
		}
		e, isMap := named[name].(map[string]any)
		switch {
		case named[name] == nil:
			e = map[string]any{}
		case !isMap:
			return nil, badRequest("the endpoint of the network %s must be an object", name)
		}
		if all[id] != nil {
			return nil, badRequest("the request has the network %s twice", name)
		}
		all[id] = e
	}
	return all, nil
}

// endpoint checks a container's connection to a network, and pins it to the network's full
// ID.
func (g *Proxy) endpoint(ctx context.Context, e object, id string) error {
	if err := g.admit(e, "an endpoint", endpointFields()); err != nil {
		return err
	}
	// A client may send back an endpoint that it has inspected. Its ID must be that of the network in
	// question.
	if said := e.text("NetworkID"); said != "" && said != id && !slices.Contains(predefined, id) {
		if other, err := g.mustOwn(ctx, "network", said); err != nil || other != id {
			return errOr(err, badRequest("NetworkID is of another network"))
		}
	}
	delete(e, "NetworkID")
	if !slices.Contains(predefined, id) {
		e["NetworkID"] = id // the engine prefers it to the name
	}
	// Links of an endpoint keep their names, so each must be that of a container of the build.
	links, err := e.list("Links")
	if err != nil {
		return err
	}
	for _, link := range links {
		name, _, _ := strings.Cut(link, ":")
		if _, err := g.mustOwn(ctx, "container", strings.TrimPrefix(name, "/")); err != nil {
			return err
		}
	}
	return g.addresses(e, id)
}

// addresses gives a container the addresses that it must not reach. A packet to an address of the
// container itself never leaves it. This needs no firewall rule and no right on the host, and works
// with a remote engine.
func (g *Proxy) addresses(e object, id string) error {
	if empty(e["IPAMConfig"]) && (len(g.Unreachable) == 0 || id == "none") {
		delete(e, "IPAMConfig")
		return nil
	}
	ipam := e.child("IPAMConfig")
	known := fieldList("IPv4Address", "IPv6Address", "LinkLocalIPs")
	if err := g.admit(ipam, "an endpoint's addresses", known); err != nil {
		return err
	}
	own, err := ipam.list("LinkLocalIPs")
	if err != nil {
		return err
	}
	for _, address := range g.Unreachable {
		if !slices.Contains(own, address) {
			own = append(own, address)
		}
	}
	if len(own) > 0 {
		ipam["LinkLocalIPs"] = toAny(own)
	}
	return nil
}

// errOr returns the first error that is not nil.
func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// toAny converts a list for JSON.
func toAny(texts []string) []any {
	all := make([]any, len(texts))
	for i, text := range texts {
		all[i] = text
	}
	return all
}

// connect lets the build connect its own containers, and the one it runs in, to its own
// networks and to the default bridge.
func (g *Proxy) connect(c *call) error {
	if err := g.connection(c, "EndpointConfig"); err != nil {
		return err
	}
	return g.endpoint(c.Context(), c.body.child("EndpointConfig"), c.name)
}

// disconnect is the reverse of connect, with the same limits.
func (g *Proxy) disconnect(c *call) error { return g.connection(c, "Force") }

// connection resolves the network and the container of a request.
func (g *Proxy) connection(c *call, more string) (err error) {
	if err = g.admit(c.body, "a connection", fieldList("Container", more).without("id")); err != nil {
		return err
	}
	if c.name != "bridge" {
		if c.name, err = g.mustOwn(c.Context(), "network", c.name); err != nil {
			return err
		}
	}
	c.body["Container"], err = g.container(c.Context(), c.body.text("Container"))
	return err
}

// inspectNetwork describes the build's own networks, and the predefined ones without
// containers of others.
func (g *Proxy) inspectNetwork(c *call) error {
	if !slices.Contains(predefined, c.name) {
		return isOwn(g, c)
	}
	is := map[string]json.RawMessage{}
	if found, err := g.get(c.Context(), "/networks/"+c.name, &is); err != nil || !found {
		return errOr(err, notFound("network", c.name))
	}
	if err := g.hideOthers(c.Context(), is); err != nil {
		return err
	}
	c.handled = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(is)
	})
	return nil
}

// hideOthers removes containers of others from the description of a network. It asks for the
// build's own in one request, since a network may have hundreds.
func (g *Proxy) hideOthers(ctx context.Context, network map[string]json.RawMessage) error {
	connected := map[string]json.RawMessage{}
	if err := json.Unmarshal(network["Containers"], &connected); err != nil || len(connected) == 0 {
		return nil
	}
	filters, err := json.Marshal(map[string]map[string]bool{"label": {g.Label: true}})
	if err != nil {
		return err
	}
	var own []described
	if _, err := g.get(ctx, "/containers/json?filters="+url.QueryEscape(string(filters)), &own); err != nil {
		return err
	}
	maps.DeleteFunc(connected, func(id string, _ json.RawMessage) bool {
		return id != g.Container && !slices.ContainsFunc(own, func(is described) bool { return is.ID == id })
	})
	network["Containers"], err = json.Marshal(connected)
	return err
}

// networkOptions are the options of a bridge that do not give access to networks of the
// host.
var networkOptions = []string{
	// Others, such as the name of the bridge, could take over an interface of the host.
	"com.docker.network.driver.mtu", "com.docker.network.bridge.enable_icc",
	"com.docker.network.bridge.enable_ip_masquerade", "com.docker.network.bridge.host_binding_ipv4",
}

// networkFields are the fields of a new network.
var networkFields = sync.OnceValue(func() fields {
	return fieldList("Attachable", "CheckDuplicate", "EnableIPv4", "EnableIPv6", "IPAM", "Internal", "Labels", "Name").
		with(func(g *Proxy, value any) error {
			if g.Privileged || empty(value) || value == "bridge" {
				return nil
			}
			return refuse("a network of the driver %v requires a build with --privileged", value)
		}, "Driver").
		with(func(g *Proxy, value any) error {
			return keysOf("the option of a network", func(key string) bool {
				return g.Privileged || slices.Contains(networkOptions, key)
			})(g, value)
		}, "Options").
		with(oneOf("the network scope", "local"), "Scope")
})

// createNetwork labels a network, and limits its driver and addresses.
func (g *Proxy) createNetwork(c *call) error {
	if err := g.admit(c.body, "a network", networkFields()); err != nil {
		return err
	}
	g.label(c.body)
	if empty(c.body["IPAM"]) {
		return nil
	}
	ipam := c.body.child("IPAM")
	if err := g.admit(ipam, "a network's addresses", fieldList("Config").
		with(oneOf("the IPAM driver", "default"), "Driver").
		with(booleanRight("an option of the IPAM driver"), "Options")); err != nil {
		return err
	}
	list, _ := ipam["Config"].([]any)
	if !empty(ipam["Config"]) && list == nil {
		return badRequest("IPAM.Config must be a list")
	}
	for _, item := range list {
		config, isMap := item.(map[string]any)
		if !isMap {
			return badRequest("IPAM.Config must be a list of objects")
		}
		if err := g.admit(config, "a network's addresses", fieldList("AuxiliaryAddresses", "Gateway", "IPRange").
			with(checkSubnet, "Subnet")); err != nil {
			return err
		}
	}
	return nil
}

// privateNetworks are the addresses that networks of a build may have. The host routes them
// to the bridge, so any others would become unreachable for the host.
var privateNetworks = []string{
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7",
	"2001:db8::/32", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24",
}

// checkSubnet allows subnets that lie within one of privateNetworks.
func checkSubnet(_ *Proxy, value any) error {
	text, _ := value.(string)
	subnet, err := netip.ParsePrefix(text)
	switch {
	case empty(value):
		return nil
	case err != nil:
		return badRequest("invalid subnet %s", shown(value))
	}
	for _, known := range privateNetworks {
		of := netip.MustParsePrefix(known)
		if of.Contains(subnet.Addr()) && subnet.Bits() >= of.Bits() {
			return nil
		}
	}
	return refuse("the subnet %s would become unreachable from the host; "+
		"use private addresses, such as 172.30.0.0/24", text)
}
