package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// createContainer labels a container, turns its paths into the engine's, and its
// network, where that is the host's, into the build's.
func (g *Gate) createContainer(r *http.Request, _ string) error {
	err := change(r, []string{"Labels", "HostConfig", "NetworkingConfig", "Image"}, func(o object) error {
		g.label(o)
		host := o.in("HostConfig")
		if err := host.settle(slices.Concat(harmless, bounded)...); err != nil {
			return err
		}
		if err := onBuildsNetwork(o, host); err != nil {
			return err
		}
		for _, do := range []func(context.Context, object) error{g.rights, g.spaces, g.mounts} {
			if err := do(r.Context(), host); err != nil {
				return err
			}
		}
		return g.endpoints(r.Context(), o, host)
	})
	if refused, ours := err.(*refusal); ours && refused.status == http.StatusNotFound {
		refused.status = http.StatusConflict // else a client takes the image for missing
	}
	return err
}

// harmless are what a container may have without a look at it; bounded what is looked
// at. All else would give it more of this machine than a container has.
var (
	harmless = []string{
		"AutoRemove", "BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps", "BlkioDeviceWriteIOps", "BlkioWeight", "BlkioWeightDevice",
		"CapDrop", "CgroupnsMode", "ConsoleSize", "ContainerIDFile", "CpuCount", "CpuPercent", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime",
		"CpuShares", "CpusetCpus", "CpusetMems", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd", "IOMaximumBandwidth", "IOMaximumIOps", "Init",
		"Isolation", "KernelMemory", "KernelMemoryTCP", "LogConfig", "Memory", "MemoryReservation", "MemorySwap", "MemorySwappiness", "NanoCpus", "OomKillDisable",
		"OomScoreAdj", "PidsLimit", "PortBindings", "PublishAllPorts", "ReadonlyRootfs", "RestartPolicy", "Runtime", "ShmSize", "StorageOpt", "Sysctls", "Tmpfs",
		"Ulimits", "VolumeDriver",
	}
	bounded = []string{
		"Binds", "CapAdd", "CgroupParent", "DeviceCgroupRules", "DeviceRequests", "Devices", "IpcMode", "Links", "MaskedPaths", "Mounts", "NetworkMode", "PidMode",
		"Privileged", "ReadonlyPaths", "SecurityOpt", "UTSMode", "UsernsMode", "VolumesFrom",
	}
)

// flags are how some are called on the command line.
var flags = map[string]string{
	"Privileged": "a privileged container", "CapAdd": "--cap-add", "Devices": "--device", "DeviceRequests": "--gpus", "DeviceCgroupRules": "--device-cgroup-rule",
	"SecurityOpt": "--security-opt", "CgroupParent": "--cgroup-parent", "MaskedPaths": "--security-opt systempaths", "ReadonlyPaths": "--security-opt systempaths",
}

// rights refuses what would give a container this machine, unless the build itself has
// it.
func (g *Gate) rights(_ context.Context, host object) error {
	if g.Privileged {
		return nil
	}
	for key, value := range host {
		looked := slices.Contains(bounded, key) && flags[key] == ""
		said := !empty(value) || value != nil && strings.HasSuffix(key, "Paths") // no path masked is more than the usual
		switch {
		case !said || looked || slices.Contains(harmless, key):
		case key == "SecurityOpt" && takesAway(host.list(key)):
		default:
			what := flags[key]
			if what == "" {
				what = "the setting " + key
			}
			return refuse("%s needs a build in privileged mode, as in the service: --privileged", what)
		}
	}
	return nil
}

// takesAway reports whether options only take rights away.
func takesAway(options []any) bool {
	for _, item := range options {
		if text, _ := item.(string); !strings.HasPrefix(text, "no-new-privileges") {
			return false
		}
	}
	return len(options) > 0
}

// spaces settles whose network and processes a container shares: what is the host's
// for it is the build's container.
func (g *Gate) spaces(ctx context.Context, host object) error {
	for key, flag := range map[string]string{"NetworkMode": "--network", "PidMode": "--pid", "IpcMode": "--ipc", "UTSMode": "--uts", "UsernsMode": "--userns"} {
		mode := host.text(key)
		of, shared := strings.CutPrefix(mode, "container:")
		switch {
		case mode == "host" && (key == "NetworkMode" || key == "PidMode"), shared && g.itself(of):
			host[key] = "container:" + g.Container
		case mode == "host":
			return refuse("%s host would be this machine's; with --docker socket a build may not share it", flag)
		case shared:
			if err := g.mustOwn(ctx, "container", of); err != nil {
				return err
			}
		case key == "NetworkMode":
			if err := g.mayJoin(ctx, mode); err != nil {
				return err
			}
		}
	}
	from := host.list("VolumesFrom")
	for i, item := range from {
		name, how, _ := strings.Cut(fmt.Sprint(item), ":")
		if g.itself(name) {
			from[i] = strings.TrimSuffix(g.Container+":"+how, ":")
			continue
		}
		if err := g.mustOwn(ctx, "container", name); err != nil {
			return err
		}
	}
	for _, item := range host.list("Links") {
		name, _, _ := strings.Cut(fmt.Sprint(item), ":")
		if err := g.mustOwn(ctx, "container", strings.TrimPrefix(name, "/")); err != nil {
			return err
		}
	}
	return nil
}

// onBuildsNetwork prepares a container that is to have the host's network, which is the
// build's container's: with such a one the engine takes no settings of a network. Ports it
// discards with the host's too; what would have an effect there is refused.
func onBuildsNetwork(o, host object) error {
	if host.text("NetworkMode") != "host" {
		return nil
	}
	if err := o.settle("ExposedPorts", "Hostname", "Domainname", "MacAddress"); err != nil {
		return err
	}
	for key, flag := range map[string]string{"ExtraHosts": "--add-host", "Dns": "--dns", "DnsOptions": "--dns-option", "DnsSearch": "--dns-search", "Links": "--link"} {
		if !empty(host[key]) {
			return refuse("%s does not go with --network host, which with --docker socket is the network of the build's container", flag)
		}
	}
	for key, flag := range map[string]string{"Hostname": "--hostname", "Domainname": "--domainname", "MacAddress": "--mac-address"} {
		if !empty(o[key]) {
			return refuse("%s does not go with --network host, which with --docker socket is the network of the build's container", flag)
		}
	}
	for _, key := range []string{"PortBindings", "PublishAllPorts"} {
		delete(host, key)
	}
	delete(o, "ExposedPorts")
	return nil
}

// removeContainer removes a container with its volumes that have no name: they have no
// labels either, by which they would be found later.
func (g *Gate) removeContainer(r *http.Request, name string) error {
	query := r.URL.Query()
	query.Set("v", "1")
	r.URL.RawQuery = query.Encode()
	return g.mustOwn(r.Context(), "container", name)
}

// mayJoin refuses networks that are somebody else's.
func (g *Gate) mayJoin(ctx context.Context, network string) error {
	if slices.Contains([]string{"", "default", "bridge", "none"}, network) {
		return nil
	}
	return g.mustOwn(ctx, "network", network)
}

// endpoints looks at the networks of a container, and keeps it from the addresses at
// which a cloud tells this machine its credentials: they are its own.
func (g *Gate) endpoints(ctx context.Context, o, host object) error {
	networking := o.in("NetworkingConfig")
	if err := networking.settle("EndpointsConfig"); err != nil {
		return err
	}
	all := networking.in("EndpointsConfig")
	for name := range all {
		if err := g.mayJoin(ctx, name); err != nil {
			return err
		}
	}
	mode := host.text("NetworkMode")
	if len(g.Unreachable) == 0 || mode == "none" || strings.HasPrefix(mode, "container:") {
		return nil
	}
	if mode == "" || mode == "default" { // two words for one
		mode, host["NetworkMode"] = "bridge", "bridge"
		if said, given := all["default"]; given {
			all["bridge"] = said
			delete(all, "default")
		}
	}
	endpoint := all.in(mode)
	if err := endpoint.settle("IPAMConfig"); err != nil {
		return err
	}
	ipam := endpoint.in("IPAMConfig")
	if err := ipam.settle("LinkLocalIPs"); err != nil {
		return err
	}
	ipam["LinkLocalIPs"] = append(ipam.list("LinkLocalIPs"), toAny(g.Unreachable)...)
	return nil
}

func toAny(texts []string) []any {
	var all []any
	for _, t := range texts {
		all = append(all, t)
	}
	return all
}

// mounts turns paths into the engine's, and makes volumes that are named the build's.
func (g *Gate) mounts(ctx context.Context, host object) error {
	var paths []Path
	var put []func(string)
	want := func(name string, make bool, set func(string)) {
		paths, put = append(paths, Path{name, make}), append(put, set)
	}
	binds := host.list("Binds")
	for i, item := range binds {
		source, rest, named := strings.Cut(fmt.Sprint(item), ":")
		switch {
		case !named: // a volume without a name
		case strings.HasPrefix(source, "/"):
			want(source, true, func(at string) { binds[i] = at + ":" + rest })
		default:
			if err := g.ownVolume(ctx, source); err != nil {
				return err
			}
		}
	}
	if len(binds) > 0 {
		host["Binds"] = binds
	}
	for _, item := range host.list("Mounts") {
		m, _ := item.(map[string]any)
		if err := g.mount(ctx, m, want); err != nil {
			return err
		}
	}
	if len(paths) == 0 {
		return nil
	}
	at, err := g.Paths(ctx, paths)
	if err != nil {
		return refuse("%v", err)
	}
	for i, set := range put {
		set(at[i])
	}
	return nil
}

// mount is one of --mount.
func (g *Gate) mount(ctx context.Context, m object, want func(string, bool, func(string))) error {
	if err := m.settle("Type", "Source", "BindOptions", "VolumeOptions"); err != nil {
		return err
	}
	source := m.text("Source")
	switch kind := m.text("Type"); kind {
	case "bind":
		options := m.in("BindOptions")
		if err := options.settle("CreateMountpoint"); err != nil {
			return err
		}
		make, _ := options["CreateMountpoint"].(bool)
		want(source, make, func(at string) { m["Source"] = at })
	case "volume":
		options := m.in("VolumeOptions")
		if err := options.settle("Labels", "DriverConfig"); err != nil {
			return err
		}
		g.label(options)
		if err := g.driver(options.in("DriverConfig"), "Name", "Options"); err != nil {
			return err
		}
		if source != "" {
			return g.ownVolume(ctx, source)
		}
	case "tmpfs":
	default:
		return refuse("a mount of the type %s is not open to a build with --docker socket", kind)
	}
	return nil
}

// ownVolume makes a volume that a container names, with labels: the engine would make
// it without. One that is somebody else's is refused.
func (g *Gate) ownVolume(ctx context.Context, name string) error {
	own, err := g.volumeIsFree(ctx, name)
	if own || err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"Name": name, "Labels": g.Labels})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, engineURL+"/volumes/create", bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	got, err := g.api.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if got.StatusCode >= http.StatusBadRequest {
		said, _ := io.ReadAll(io.LimitReader(got.Body, bodyLimit))
		return &refusal{got.StatusCode, strings.TrimSpace(string(said))}
	}
	return nil
}

// volumeIsFree refuses the name of somebody else's volume, and reports whether the
// build has it already.
func (g *Gate) volumeIsFree(ctx context.Context, name string) (own bool, err error) {
	own, err = g.owns(ctx, "volume", name)
	if own || err != nil {
		return own, err
	}
	var is described
	found, err := g.get(ctx, "/volumes/"+url.PathEscape(name), &is)
	if err == nil && found {
		err = refuse("the volume %s is this machine's; with --docker socket a build sees its own only: choose another name", name)
	}
	return false, err
}

func (g *Gate) createVolume(r *http.Request, _ string) error {
	return change(r, []string{"Name", "Labels", "Driver", "DriverOpts"}, func(o object) error {
		if name := o.text("Name"); name != "" {
			if _, err := g.volumeIsFree(r.Context(), name); err != nil {
				return err
			}
		}
		g.label(o)
		return g.driver(o, "Driver", "DriverOpts")
	})
}

// driver refuses a volume that is a place of this machine: only memory and what is
// somewhere else are not.
func (g *Gate) driver(o object, nameKey, optionsKey string) error {
	if err := o.settle(nameKey, optionsKey); err != nil || g.Privileged {
		return err
	}
	if name := o.text(nameKey); name != "" && name != "local" {
		return refuse("volumes of the driver %s need a build in privileged mode: --privileged", name)
	}
	options := o.in(optionsKey)
	kind, _ := options["type"].(string)
	device, _ := options["device"].(string)
	mounted, _ := options["o"].(string)
	elsewhere := kind == "tmpfs" && !strings.Contains(device, "/") || strings.HasPrefix(kind, "nfs") || kind == "cifs"
	if len(options) == 0 || elsewhere && !binds(mounted) {
		return nil
	}
	return refuse("a volume with the options %s would be a place of this machine; with --docker socket a build may not have it", shown(options))
}

// binds reports whether mount options have the kernel take the device for a directory,
// whatever the type is.
func binds(options string) bool {
	return slices.ContainsFunc(strings.Split(options, ","), func(o string) bool {
		return slices.Contains([]string{"bind", "rbind", "move", "remount"}, strings.TrimSpace(o))
	})
}

func shown(options object) string {
	text, _ := json.Marshal(options)
	return string(text)
}

// networkOptions are those of a bridge that lead to no network of this machine.
var networkOptions = []string{
	"com.docker.network.driver.mtu", "com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade", "com.docker.network.bridge.host_binding_ipv4",
}

func (g *Gate) createNetwork(r *http.Request, _ string) error {
	return change(r, []string{"Labels", "Driver", "Options"}, func(o object) error {
		g.label(o)
		if g.Privileged {
			return nil
		}
		if driver := o.text("Driver"); driver != "" && driver != "bridge" {
			return refuse("a network of the driver %s needs a build in privileged mode: --privileged", driver)
		}
		for name := range o.in("Options") {
			if !slices.Contains(networkOptions, name) {
				return refuse("the option %s of a network needs a build in privileged mode: --privileged", name)
			}
		}
		return nil
	})
}
