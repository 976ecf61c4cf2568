package apiproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// pathList collects the paths of a container, each with a function that receives the
// translated path. All paths of a container are translated together: with one request, and all or
// none.
type pathList struct {
	paths []Path
	set   []func(at string)
}

// add adds a path. set stores its translation in the request.
func (l *pathList) add(name string, make bool, set func(at string)) {
	l.paths, l.set = append(l.paths, Path{name, make}), append(l.set, set)
}

// mounts translates paths, and creates the named volumes of the build.
func (g *Proxy) mounts(ctx context.Context, host object) error {
	wanted := &pathList{}
	binds, err := g.binds(ctx, host, wanted)
	if err != nil {
		return err
	}
	// Binds and Mounts are two notations for the same; both end in wanted.
	list, _ := host["Mounts"].([]any)
	if !empty(host["Mounts"]) && list == nil {
		return badRequest("Mounts must be a list")
	}
	for _, item := range list {
		m, isMap := item.(map[string]any)
		if !isMap {
			return badRequest("Mounts must be a list of objects")
		}
		if err := g.mount(ctx, m, wanted); err != nil {
			return err
		}
	}
	if len(wanted.paths) > 0 {
		// The engine resolves a path on its own host. A path of the build means a directory in the
		// build's container, which is somewhere else there.
		at, err := g.Paths(ctx, wanted.paths)
		if err != nil {
			return refuse("%v", err)
		}
		for i, set := range wanted.set {
			set(at[i])
		}
	}
	if len(binds) > 0 {
		host["Binds"] = toAny(binds)
	}
	return nil
}

// binds checks the entries of --volume.
func (g *Proxy) binds(ctx context.Context, host object, wanted *pathList) ([]string, error) {
	binds, err := host.list("Binds")
	if err != nil {
		return nil, err
	}
	for i, item := range binds {
		source, rest, named := strings.Cut(item, ":")
		// An anonymous volume cannot be labelled. It is removed with its container; see removeContainer.
		if !named { // an anonymous volume
			continue
		}
		_, mode, _ := strings.Cut(rest, ":")
		if err := g.checkMode(mode); err != nil {
			return nil, err
		}
		if strings.HasPrefix(source, "/") {
			wanted.add(source, true, func(at string) { binds[i] = at + ":" + rest })
			continue
		}
		if err := g.ownVolume(ctx, source); err != nil {
			return nil, err
		}
	}
	return binds, nil
}

// modes are the mount options that do not change the host's files. shared and rshared are not among
// them: mounts in the container would appear on the host.
var modes = []string{
	"", "ro", "rw", "z", "Z", "nocopy", "volume-nocopy", "cached", "consistent", "delegated", "default",
	"private", "rprivate", "slave", "rslave",
}

// checkMode checks the comma-separated options of a bind or of --volumes-from.
func (g *Proxy) checkMode(list string) error {
	for mode := range strings.SplitSeq(list, ",") {
		if !g.Privileged && !slices.Contains(modes, mode) {
			return refuse("the mode %s of a volume is not available with --docker socket", mode)
		}
	}
	return nil
}

// mountFields, bindFields and volumeFields are the fields of --mount.
var (
	mountFields = sync.OnceValue(func() fields {
		return fieldList("BindOptions", "ReadOnly", "Source", "Target", "TmpfsOptions", "Type", "VolumeOptions").
			with(oneOf("the consistency", "cached", "consistent", "default", "delegated"), "Consistency")
	})
	bindFields = sync.OnceValue(func() fields {
		return fieldList("CreateMountpoint", "NonRecursive", "ReadOnlyForceRecursive", "ReadOnlyNonRecursive").
			with(rightUnless("the propagation", "private", "rprivate", "slave", "rslave"), "Propagation")
	})
	volumeFields = sync.OnceValue(func() fields { return fieldList("DriverConfig", "Labels", "NoCopy", "Subpath") })
)

// mount checks one --mount.
func (g *Proxy) mount(ctx context.Context, m object, wanted *pathList) error {
	if err := g.admit(m, "a mount", mountFields()); err != nil {
		return err
	}
	source := m.text("Source")
	switch kind := m.text("Type"); kind {
	case "bind":
		delete(m, "VolumeOptions")
		options := m.child("BindOptions")
		make, _ := options["CreateMountpoint"].(bool)
		if !strings.HasPrefix(source, "/") {
			return badRequest("invalid mount source %q: it must be an absolute path", source)
		}
		wanted.add(source, make, func(at string) { m["Source"] = at })
		return g.admit(options, "a mount", bindFields())
	case "volume":
		delete(m, "BindOptions")
		options := m.child("VolumeOptions")
		if err := g.admit(options, "a volume", volumeFields()); err != nil {
			return err
		}
		// Labels of a mount apply to a volume that the engine creates for it.
		g.label(options)
		if err := g.volumeDriver(options); err != nil || source == "" {
			return err
		}
		return g.ownVolume(ctx, source)
	case "tmpfs":
		delete(m, "BindOptions")
		delete(m, "VolumeOptions")
		return nil
	// npipe (Windows), cluster and image mounts.
	default:
		return refuse("a mount of the type %s is not available with --docker socket", kind)
	}
}

// volumeDriver checks the driver of a volume that is created with a container.
func (g *Proxy) volumeDriver(options object) error {
	config := options.child("DriverConfig")
	if err := g.admit(config, "a volume", fieldList("Name", "Options")); err != nil {
		return err
	}
	return g.volumeDriverOf(config, "Name", "Options")
}

// validVolume reports whether a text can be the name of a volume.
func validVolume(name string) bool {
	return name != "" && !strings.ContainsAny(name[:1], "_.-") && !strings.ContainsAny(name, "/:@+") && validPath("/"+name)
}

// ownVolume creates a volume that a container names, because the engine would create it
// without labels. A volume of others is refused.
func (g *Proxy) ownVolume(ctx context.Context, name string) error {
	own, err := g.volumeIsFree(ctx, name)
	if own || err != nil {
		return err
	}
	// Creating a volume that exists with the same labels is not an error, so two requests at once do
	// no harm.
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
	// The engine's own message is passed on.
	if got.StatusCode >= http.StatusBadRequest {
		said, _ := io.ReadAll(io.LimitReader(got.Body, maxBody))
		return &refusal{got.StatusCode, strings.TrimSpace(string(said))}
	}
	return nil
}

// volumeIsFree refuses the name of a volume of others, and reports whether the build has it
// already.
func (g *Proxy) volumeIsFree(ctx context.Context, name string) (own bool, err error) {
	if !validVolume(name) {
		return false, badRequest("invalid volume name %q", name)
	}
	is, found, err := g.inspect(ctx, "volume", name)
	if err == nil && found && g.has(is) {
		return true, nil
	}
	if err == nil && found {
		err = refuse("the volume %s belongs to the host, "+
			"and --docker socket shows a build only its own; choose another name", name)
	}
	return false, err
}

// createFieldsOfVolume are the fields of a new volume.
var createFieldsOfVolume = sync.OnceValue(func() fields { return fieldList("Driver", "DriverOpts", "Labels", "Name") })

// createVolume labels a volume. A volume of others under the same name would be returned as if it
// were new, so that is checked first.
func (g *Proxy) createVolume(c *call) error {
	if err := g.admit(c.body, "a volume", createFieldsOfVolume()); err != nil {
		return err
	}
	if name := c.body.text("Name"); !empty(c.body["Name"]) {
		if _, err := g.volumeIsFree(c.Context(), name); err != nil {
			return err
		}
	}
	g.label(c.body)
	return g.volumeDriverOf(c.body, "Driver", "DriverOpts")
}

// volumeDriverOf refuses a volume with options that give access to the host: only tmpfs and
// network file systems are allowed.
func (g *Proxy) volumeDriverOf(o object, nameKey, optionsKey string) error {
	if g.Privileged {
		return nil
	}
	if name := o.text(nameKey); !empty(o[nameKey]) && name != "local" {
		return refuse("volumes of the driver %s require a build with --privileged", name)
	}
	options := o.child(optionsKey)
	// The options of the driver local are those of mount(8): type, device and o.
	kind, _ := options["type"].(string)
	device, _ := options["device"].(string)
	mounted, _ := options["o"].(string)
	known := !slices.ContainsFunc(slices.Collect(maps.Keys(options)), func(key string) bool {
		return !slices.Contains([]string{"type", "device", "o", "size"}, key)
	})
	remote := slices.Contains([]string{"nfs", "nfs4", "cifs"}, kind)
	// A tmpfs has no device; the name must not be a path in case the type is changed by an option.
	elsewhere := kind == "tmpfs" && !strings.Contains(device, "/") || remote
	if len(options) == 0 || known && elsewhere && !changesDevice(mounted) {
		return nil
	}
	return refuse("a volume with the options %s is not available with --docker socket: "+
		"it would give access to the host's files", shown(options))
}

// changesDevice reports whether mount options make the kernel take the device for a
// directory, whatever the type is.
func changesDevice(options string) bool {
	return slices.ContainsFunc(strings.Split(options, ","), func(o string) bool {
		return slices.Contains([]string{"bind", "rbind", "move", "remount"}, strings.TrimSpace(o))
	})
}
