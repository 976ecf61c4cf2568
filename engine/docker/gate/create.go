package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// createContainer labels a container, turns its paths into the engine's, and its
// network, where that is the host's, into the build's.
func (g *Gate) createContainer(r *http.Request, _ string) error {
	return change(r, func(o object) error {
		g.label(o)
		host := o.in("HostConfig")
		for _, do := range []func(context.Context, object) error{g.rights, g.spaces, g.mounts} {
			if err := do(r.Context(), host); err != nil {
				return err
			}
		}
		return nil
	})
}

// rights refuses what would give a container this machine, unless the build itself has
// it.
func (g *Gate) rights(_ context.Context, host object) error {
	if g.Privileged {
		return nil
	}
	if host["Privileged"] == true {
		return refuse("a privileged container needs a build in privileged mode, as in the service: --privileged")
	}
	for key, flag := range map[string]string{"CapAdd": "--cap-add", "Devices": "--device", "DeviceRequests": "--gpus", "DeviceCgroupRules": "--device-cgroup-rule", "SecurityOpt": "--security-opt"} {
		if list, _ := host[key].([]any); len(list) > 0 && !harmless(key, list) {
			return refuse("%s needs a build in privileged mode, as in the service: --privileged", flag)
		}
	}
	if host.text("CgroupParent") != "" {
		return refuse("--cgroup-parent needs a build in privileged mode: --privileged")
	}
	return nil
}

// harmless are options that take rights away.
func harmless(key string, list []any) bool {
	for _, item := range list {
		if text, _ := item.(string); key != "SecurityOpt" || !strings.HasPrefix(text, "no-new-privileges") {
			return false
		}
	}
	return true
}

// spaces settles whose network and processes a container shares: what is the host's
// for it is the build's container.
func (g *Gate) spaces(ctx context.Context, host object) error {
	for key, flag := range map[string]string{"NetworkMode": "--network", "PidMode": "--pid", "IpcMode": "--ipc", "UTSMode": "--uts", "UsernsMode": "--userns", "CgroupnsMode": "--cgroupns"} {
		mode := host.text(key)
		of, shared := strings.CutPrefix(mode, "container:")
		switch {
		case mode == "host" && (key == "NetworkMode" || key == "PidMode"):
			host[key] = "container:" + g.Container
		case mode == "host" && key != "CgroupnsMode":
			return refuse("%s host would be this machine's; with --docker socket a build may not share it", flag)
		case shared && g.itself(of):
			host[key] = "container:" + g.Container
		case shared:
			if err := g.mustOwn(ctx, "container", of); err != nil {
				return err
			}
		}
	}
	from, _ := host["VolumesFrom"].([]any)
	for _, item := range from {
		name, _, _ := strings.Cut(fmt.Sprint(item), ":")
		if err := g.mustOwn(ctx, "container", name); err != nil {
			return err
		}
	}
	return nil
}

// mounts turns paths into the engine's, and makes volumes that are named the build's.
func (g *Gate) mounts(ctx context.Context, host object) error {
	var paths []Path
	var put []func(string)
	want := func(name string, make bool, set func(string)) {
		paths, put = append(paths, Path{name, make}), append(put, set)
	}
	binds, _ := host["Binds"].([]any)
	for i, item := range binds {
		source, rest, named := strings.Cut(fmt.Sprint(item), ":")
		switch {
		case strings.HasPrefix(source, "/"):
			want(source, true, func(at string) { binds[i] = at + ":" + rest })
		case named:
			if err := g.ownVolume(ctx, source); err != nil {
				return err
			}
		}
	}
	mounts, _ := host["Mounts"].([]any)
	for _, item := range mounts {
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
	source := m.text("Source")
	switch m.text("Type") {
	case "bind":
		make, _ := m.in("BindOptions")["CreateMountpoint"].(bool)
		want(source, make, func(at string) { m["Source"] = at })
	case "volume":
		options := object(m.in("VolumeOptions"))
		g.label(options)
		if err := g.device(options.in("DriverConfig").in("Options")); err != nil {
			return err
		}
		if source != "" {
			return g.ownVolume(ctx, source)
		}
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
	return change(r, func(o object) error {
		name := o.text("Name")
		if name != "" {
			if _, err := g.volumeIsFree(r.Context(), name); err != nil {
				return err
			}
		}
		g.label(o)
		return g.device(o.in("DriverOpts"))
	})
}

// device refuses a volume that is a place of this machine.
func (g *Gate) device(options object) error {
	if device := options.text("device"); strings.HasPrefix(device, "/") && !g.Privileged {
		return refuse("a volume on the device %s would be this machine's; with --docker socket a build may not have it", device)
	}
	return nil
}
