package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/gate"
)

// InsideLabel is on all that a container made at the engine's socket; its value is the
// container's name.
const InsideLabel = "dev.buildlocal.inside"

// socket is the engine as a container has it.
type socket struct {
	listener net.Listener
	host     string // the file on this machine
	label    string // NAME=VALUE, on all that was made there
	gate     *gate.Gate
	tags     map[string]string // names of images that were there before, with their IDs
	images   map[string]bool   // IDs of all images that were there before
	unwatch  context.CancelFunc

	mu        sync.Mutex
	forwarded map[string]forwarded // by the ID of the container whose ports they are

	dropping sync.Mutex // held until ports are free: who asks for what another is at waits for it
	looking  sync.Mutex
	looked   bool
	mounts   []container.MountPoint
	merged   string // the container's root directory, as the engine has it; empty where it is not known
}

// openSocket makes the socket, before the container that has it is made.
func (e *Engine) openSocket(ctx context.Context, s engine.Spec, c *Container) ([]mount.Mount, error) {
	if s.Network.Socket == nil {
		return nil, nil
	}
	if err := e.sharesFiles(); err != nil {
		return nil, &engine.Fault{Kind: engine.Refused, Err: err, Message: fmt.Sprintf("give the build the engine's socket: %v", err),
			Hint: "A socket can be given away only by an engine that runs as root on this machine: run with --privileged, where the build has an engine of its own."}
	}
	host := filepath.Join(s.Mounts.Temp, "docker.sock")
	if err := os.Remove(host); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a start that was not to be
		return nil, err
	}
	l, err := listenAt(host)
	if err != nil {
		return nil, fmt.Errorf("make the build's socket: %w", err)
	}
	c.socket = &socket{listener: l, host: host, label: InsideLabel + "=" + s.Name}
	if c.socket.tags, c.socket.images, err = e.tags(ctx); err != nil {
		return nil, err
	}
	return []mount.Mount{{Type: mount.TypeBind, Source: host, Target: s.Network.Socket.Path}}, nil
}

// listenAt makes a socket also where its name is longer than a socket's may be.
func listenAt(name string) (net.Listener, error) {
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(name))
	if _, err := os.Stat(filepath.Dir(short)); err != nil { // not Linux
		short = name
	}
	l, err := net.Listen("unix", short)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it goes with its directory
	return l, os.Chmod(name, 0o600)
}

// serveSocket serves the socket once the container is there. Gives is whether the engine
// gives containers the addresses they are to have themselves.
func (c *Container) serveSocket(gives bool) {
	if c.socket == nil {
		return
	}
	labels := map[string]string{InsideLabel: c.spec.Name}
	for name, value := range c.spec.Labels {
		labels[name] = value
	}
	c.socket.gate = &gate.Gate{
		Dial: c.engine.api.Dialer(), Started: c.forward, Ended: c.unforward, Tags: c.socket.tags,
		Labels: labels, Label: c.socket.label, Container: c.id, Privileged: c.spec.Resources.Privileged, Paths: c.paths, KeepImages: c.spec.Network.Socket.KeepImages,
	}
	switch {
	case c.spec.Network.Metadata:
	case gives:
		c.socket.gate.Unreachable = metadata
	default:
		c.spec.Hooks.Warnf("Cloud metadata addresses are within reach of containers that the build starts: the engine does not keep them from it.")
	}
	c.socket.gate.Note = func(text string) { c.spec.Hooks.Warnf("%s", text) }
	var watching context.Context
	watching, c.socket.unwatch = context.WithCancel(context.Background())
	go c.watchEnds(watching)
	go func() { _ = c.socket.gate.Serve(c.socket.listener) }()
}

// tags returns the names of all images, with their IDs, and all IDs.
func (e *Engine) tags(ctx context.Context) (map[string]string, map[string]bool, error) {
	images, err := e.api.ImageList(ctx, image.ListOptions{All: true})
	if err != nil {
		return nil, nil, e.fault(err, "list images")
	}
	names, ids := map[string]string{}, map[string]bool{}
	for _, i := range images {
		ids[i.ID] = true
		for _, name := range i.RepoTags {
			names[name] = i.ID
		}
	}
	return names, ids, nil
}

// realPaths is a command that prints where paths really are, one a line: links are
// followed. A path after "make" is made where it is missing.
const realPaths = `while [ $# -gt 0 ]; do
  if [ "$1" = make ] && [ ! -e "$2" ]; then mkdir -p "$2"; fi
  if [ -d "$2" ]; then (cd -P "$2" && pwd -P); elif [ -e "$2" ]; then readlink -f "$2" || echo "$2"; else echo; fi
  shift 2
done`

// paths returns where paths of the container are for the engine.
func (c *Container) paths(ctx context.Context, all []gate.Path) ([]string, error) {
	if err := c.look(ctx); err != nil {
		return nil, err
	}
	args := []string{"sh", "-c", realPaths, "sh"}
	for _, p := range all {
		word := "keep"
		if p.Make && !c.isSocket(p.Name) {
			word = "make"
		}
		args = append(args, word, p.Name)
	}
	var out bytes.Buffer
	if exit, err := c.Exec(ctx, engine.Process{Args: args, Stdout: &out}); err != nil || exit != 0 {
		return nil, errors.Join(fmt.Errorf("look for paths in the build: exit status %d", exit), err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(all) {
		return nil, fmt.Errorf("look for paths in the build: it tells %d for %d; a name may have a line end in it", len(lines), len(all))
	}
	places := make([]string, len(all))
	for i, p := range all {
		if lines[i] == "" {
			return nil, fmt.Errorf("bind source path does not exist in the build: %s", p.Name)
		}
		if !path.IsAbs(lines[i]) || path.Clean(lines[i]) != lines[i] {
			return nil, fmt.Errorf("look for %s in the build: it tells %q", p.Name, lines[i])
		}
		place, err := c.place(p.Name, lines[i])
		if err != nil {
			return nil, err
		}
		places[i] = place
	}
	return places, nil
}

func (c *Container) isSocket(name string) bool {
	return path.Clean(name) == c.spec.Network.Socket.Path || path.Clean(name) == strings.TrimPrefix(c.spec.Network.Socket.Path, "/var")
}

// look asks the engine what the container is made of, once.
func (c *Container) look(ctx context.Context) error {
	c.socket.looking.Lock()
	defer c.socket.looking.Unlock()
	if c.socket.looked {
		return nil
	}
	got, err := c.engine.api.ContainerInspect(ctx, c.id)
	if err != nil {
		return c.engine.fault(err, "look at the build's container")
	}
	c.socket.looked, c.socket.mounts = true, got.Mounts
	// These the engine mounts too, and does not list.
	for at, source := range map[string]string{"/etc/hosts": got.HostsPath, "/etc/hostname": got.HostnamePath, "/etc/resolv.conf": got.ResolvConfPath} {
		if source != "" {
			c.socket.mounts = append(c.socket.mounts, container.MountPoint{Source: source, Destination: at})
		}
	}
	c.socket.merged = got.GraphDriver.Data["MergedDir"]
	return nil
}

// place returns where a path is for the engine, whose links are followed already.
func (c *Container) place(asked, real string) (string, error) {
	if c.isSocket(asked) || c.isSocket(real) {
		return c.socket.host, nil // a container in the build has the build's
	}
	best, at := "", c.socket.merged
	for _, m := range c.socket.mounts {
		if (real == m.Destination || strings.HasPrefix(real, m.Destination+"/")) && len(m.Destination) > len(best) {
			best, at = m.Destination, m.Source
		}
	}
	for _, scratch := range append([]string{"/dev", "/proc", "/sys"}, c.spec.Mounts.Scratch...) {
		if real == scratch || strings.HasPrefix(real, scratch+"/") {
			return "", fmt.Errorf("%s is in memory in the build's container, where the engine does not reach it; with --docker socket bind a directory of the source, or of /tmp", asked)
		}
	}
	if at == "" {
		return "", fmt.Errorf("%s is in the build's container, and the engine's storage driver does not tell where; with --docker socket bind a directory of the source", asked)
	}
	return path.Join(at, strings.TrimPrefix(real, best)), nil
}

// removeInside removes containers that were made at the socket.
func (c *Container) removeInside(ctx context.Context) error {
	if c.socket == nil {
		return nil
	}
	if c.socket.gate != nil {
		c.socket.gate.Close(ctx)
		c.socket.unwatch()
	}
	_ = c.socket.listener.Close()
	made, err := c.engine.api.ContainerList(ctx, container.ListOptions{All: true, Filters: c.socket.own()})
	if err != nil {
		return c.engine.fault(err, "list what the build made")
	}
	errs := make([]error, len(made))
	var group sync.WaitGroup
	for i, m := range made {
		group.Go(func() { errs[i] = c.engine.removeContainer(ctx, m.ID) })
	}
	group.Wait()
	return errors.Join(errs...)
}

func (s *socket) own() filters.Args { return filters.NewArgs(filters.Arg("label", s.label)) }

// removeMade removes what else was made at the socket, once no container holds it.
func (c *Container) removeMade(ctx context.Context) error {
	if c.socket == nil {
		return nil
	}
	var errs []error
	networks, err := c.engine.api.NetworkList(ctx, network.ListOptions{Filters: c.socket.own()})
	errs = append(errs, c.engine.fault(err, "list networks"))
	for _, n := range networks {
		errs = append(errs, c.engine.Remove(ctx, engine.Resource{Kind: kindNetwork, ID: n.ID, Name: n.Name}))
	}
	volumes, err := c.engine.volumes(ctx, c.socket.own())
	errs = append(errs, err)
	for _, v := range volumes {
		if v.Labels[InsideLabel] != "" {
			errs = append(errs, c.engine.Remove(ctx, v))
		}
	}
	errs = append(errs, c.restoreNames(ctx))
	images, err := c.engine.api.ImageList(ctx, image.ListOptions{Filters: c.socket.own()})
	errs = append(errs, c.engine.fault(err, "list images"))
	for _, i := range images {
		errs = append(errs, c.engine.Remove(ctx, engine.Resource{Kind: kindImage, ID: i.ID, Name: i.ID}))
	}
	errs = append(errs, c.removeUntagged(ctx))
	return errors.Join(errs...)
}

// removeUntagged removes images without a name that the build made, and that were not there
// before: BuildKit's and loaded ones have no labels.
func (c *Container) removeUntagged(ctx context.Context) error {
	if c.socket.gate == nil || c.spec.Network.Socket.KeepImages {
		return nil
	}
	var errs []error
	for _, id := range c.socket.gate.Made() {
		is, err := c.engine.api.ImageInspect(ctx, id)
		if c.socket.images[id] || isGone(err) || err == nil && (len(is.RepoTags) > 0 || c.socket.images[is.ID]) {
			continue
		}
		if err == nil {
			err = c.engine.removeImage(ctx, is.ID, image.RemoveOptions{PruneChildren: true})
		}
		if err != nil && !isGone(err) && !cerrdefs.IsConflict(err) {
			errs = append(errs, c.engine.fault(err, "remove the image "+id))
		}
	}
	return errors.Join(errs...)
}

// idBefore returns which image had a name before the build; now are the names of that
// which has it. podman calls localhost/a what is asked for as a, where Docker has two.
func idBefore(tags map[string]string, name string, now []string) string {
	long := "localhost/" + name
	if tags[name] == "" && slices.Contains(now, long) && !slices.Contains(now, name) {
		name = long
	}
	return tags[name]
}

// restoreNames gives names of images that the build took back to what had them, and
// takes away those it made.
func (c *Container) restoreNames(ctx context.Context) error {
	if c.socket.gate == nil || c.spec.Network.Socket.KeepImages {
		return nil
	}
	var errs []error
	for _, name := range c.socket.gate.Named() {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue // the engine did not take it either
		}
		name = reference.FamiliarString(ref)
		now, err := c.engine.api.ImageInspect(ctx, name)
		before := idBefore(c.socket.tags, name, now.RepoTags)
		switch {
		case isGone(err) && before == "", err == nil && now.ID == before:
			continue
		case before != "":
			made := err == nil && !c.socket.images[now.ID]
			if err = c.engine.api.ImageTag(ctx, before, name); err == nil && made { // without a name it would stay for good
				err = c.engine.removeImage(ctx, now.ID, image.RemoveOptions{PruneChildren: true})
			}
		case err == nil:
			err = c.engine.removeImage(ctx, name, image.RemoveOptions{PruneChildren: true})
		}
		if err != nil && !isGone(err) && !cerrdefs.IsConflict(err) {
			errs = append(errs, c.engine.fault(err, "give the name "+name+" back"))
		}
	}
	return errors.Join(errs...)
}
