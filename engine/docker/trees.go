package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
	"github.com/buildlocal/buildlocal/internal/overlay"
)

// mountTrees creates a copy-on-write volume for each tree: an overlay whose lower layer is
// the host's directory. The upper layer is a volume too, so that the engine, which owns the
// files that the container writes, can remove it.
//
// The engine must see this host's files. If it does not, or if an overlay is not possible,
// the error wraps engine.ErrUnsupported.
func (c *Container) mountTrees(ctx context.Context) ([]mount.Mount, error) {
	if len(c.spec.Mounts.Trees) == 0 {
		return nil, nil
	}
	if err := c.conn.CheckSharedFiles(); err != nil {
		return nil, fmt.Errorf("mount the source: %w (%w)", engine.ErrUnsupported, err)
	}
	var mounts []mount.Mount
	for i, tree := range c.spec.Mounts.Trees {
		m, err := c.mountTree(ctx, i, tree)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// mountTree creates the volumes of the tree with number i.
func (c *Container) mountTree(ctx context.Context, i int, tree engine.Tree) (mount.Mount, error) {
	tree, packed := c.withSnapshot(i, tree)
	if packed {
		return c.mountEmpty(ctx, i, tree)
	}
	temp := c.spec.Mounts.Temp
	if strings.HasPrefix(temp, tree.Host+string(filepath.Separator)) {
		// An overlay must not change below its lower layer.
		return mount.Mount{}, fmt.Errorf(
			"mount the source: %w (the temporary directory %s is in it)",
			engine.ErrUnsupported,
			temp,
		)
	}
	if err := checkSingleFileSystem(tree); err != nil {
		return mount.Mount{}, fmt.Errorf("mount the source: %w (%w)", engine.ErrUnsupported, err)
	}
	hide := filepath.Join(temp, fmt.Sprintf("hide%d", i))
	c.whiteoutDirs = append(c.whiteoutDirs, hide)
	if err := hideNames(hide, tree); err != nil {
		return mount.Mount{}, fmt.Errorf("hide what git ignores: %w (%w)", engine.ErrUnsupported, err)
	}
	var layers [2]string // in two requests at once: each waits for the daemon's disk
	var errs [2]error
	var group sync.WaitGroup
	for j, layer := range []string{"upper", "work"} {
		group.Go(func() {
			var v volume.Volume
			v, errs[j] = c.createVolume(ctx, fmt.Sprintf("%s-%s%d", c.spec.Name, layer, i), nil)
			layers[j] = v.Mountpoint
		})
	}
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return mount.Mount{}, err
	}
	o := fmt.Sprintf(
		"lowerdir=%s,upperdir=%s,workdir=%s",
		lowerDirs(tree, hide),
		overlay.Escape(layers[0]),
		overlay.Escape(layers[1]),
	)
	if len(o) >= os.Getpagesize() { // the kernel would ignore the rest silently
		return mount.Mount{}, fmt.Errorf("mount the source: %w (its paths are too long)", engine.ErrUnsupported)
	}
	options := map[string]string{"type": "overlay", "device": "overlay", "o": o}
	c.uppers = append(c.uppers, upperDir{tree.Path, layers[0]})
	// Created in advance: Podman ignores the options of a volume that is created together
	// with the container (observed, 4.3).
	// The engine mounts it when the container starts, see isMountFailure.
	v, err := c.createVolume(ctx, fmt.Sprintf("%s-tree%d", c.spec.Name, i), options)
	if err != nil {
		return mount.Mount{}, err
	}
	// Without NoCopy, Docker copies the image's files at Target into a volume that is empty.
	return mount.Mount{
		Type: mount.TypeVolume, Source: v.Name, Target: tree.Path, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
	}, nil
}

// lowerDirs returns the lower layers of a tree as an overlay option, the highest first.
func lowerDirs(tree engine.Tree, hide string) string {
	var all []string
	for _, dir := range append(slices.Clone(tree.Overlays), hide, tree.Host) {
		all = append(all, overlay.Escape(dir))
	}
	return strings.Join(all, ":")
}

// hideNames creates the layer that hides names of a tree. It is created even without
// any: an engine that sees another directory at tree.Host does not find the layer either,
// and the mount fails instead of showing other files.
func hideNames(dir string, tree engine.Tree) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return overlay.Hide(dir, tree.Host, tree.Hide, true)
}

// discard removes a layer of hideNames. Its directories have the modes of the tree's, which
// may not be writable, but they belong to the user.
func discard(dir string) error {
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(name, 0o700)
		}
		return err
	})
	return os.RemoveAll(dir)
}

// isMountFailure reports whether the engine could not mount a tree of the container with
// the given name, by the messages of Docker and Podman.
func isMountFailure(message, name string) bool {
	return strings.Contains(message, "failed to mount local volume") ||
		strings.Contains(message, "mounting volume "+name+"-tree")
}

// upperDir is the directory on the engine's host with the changes to a path of the container.
type upperDir struct{ path, host string }

// Untouched reports whether nothing in a tree has changed. See engine.Watcher. It returns
// false unless this process may read the engine's data directory.
func (c *Container) Untouched(path string) bool {
	if c.spec.Snapshot != "" {
		return false // it may have changes
	}
	for _, u := range c.uppers {
		if name, in := overlay.Below(u.path, path); in {
			return overlay.Untouched(u.host, name)
		}
	}
	return false
}

// MayHaveWritten searches the changes to a tree. See engine.Watcher.
func (c *Container) MayHaveWritten(path string, match func(name string) bool) bool {
	for _, u := range c.uppers {
		if name, in := overlay.Below(u.path, path); in && c.spec.Snapshot == "" {
			return overlay.MayHave(u.host, name, match)
		}
	}
	return true
}

// Written returns where the engine stores a file that was written. See engine.Watcher.
func (c *Container) Written(path string) (dir, name string) {
	for _, u := range c.uppers {
		if name, in := overlay.Below(u.path, path); in {
			return written(u.host, name)
		}
	}
	c.findRootOnce.Do(c.findRoot)
	if c.rootUpper == "" {
		return "", ""
	}
	return written(c.rootUpper, strings.TrimPrefix(path, "/"))
}

// written returns the place of a file in an upper layer, or "" if the layer does not have
// its whole content.
func written(upper, name string) (string, string) {
	if !overlay.Written(upper, name) {
		return "", ""
	}
	return upper, name
}

// findRoot finds the upper directory of the root file system. Only the storage driver
// overlay2 has one at a known place.
func (c *Container) findRoot() {
	if c.conn.CheckSharedFiles() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), conn.CleanupTimeout)
	defer cancel()
	if got, err := c.conn.API.ContainerInspect(ctx, c.id); err == nil && got.GraphDriver.Name == "overlay2" {
		c.rootUpper = got.GraphDriver.Data["UpperDir"]
		c.rootLower = strings.Split(got.GraphDriver.Data["LowerDir"], ":")
	}
}

var _ engine.Watcher = (*Container)(nil)

// mountVolumes creates the volumes that outlive the container, unless they exist.
func (c *Container) mountVolumes(ctx context.Context) ([]mount.Mount, error) {
	var mounts []mount.Mount
	for _, v := range c.spec.Mounts.Volumes {
		if _, err := createVolume(ctx, c.conn, volume.CreateOptions{Name: v.Name, Labels: v.Labels}); err != nil {
			return nil, c.conn.Fault(err, "make volume "+v.Name)
		}
		mounts = append(mounts, mount.Mount{Type: mount.TypeVolume, Source: v.Name, Target: v.Path})
	}
	return mounts, nil
}

// createVolume creates a volume. Like CreateContainer, it does not stop when ctx ends.
func createVolume(ctx context.Context, c *conn.Engine, options volume.CreateOptions) (volume.Volume, error) {
	if ctx.Err() != nil {
		return volume.Volume{}, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), conn.CleanupTimeout)
	defer cancel()
	return c.API.VolumeCreate(ctx, options)
}

// createVolume creates a volume that is removed with the container, with options of the
// driver local.
func (c *Container) createVolume(ctx context.Context, name string, options map[string]string) (volume.Volume, error) {
	v, err := createVolume(ctx, c.conn, volume.CreateOptions{
		Name: name, Labels: c.spec.Labels, Driver: "local", DriverOpts: options,
	})
	if err != nil {
		return v, c.conn.Fault(err, "make a volume")
	}
	c.volumesMu.Lock()
	defer c.volumesMu.Unlock()
	c.volumes = append(c.volumes, v.Name)
	return v, nil
}

// volume returns the mount of a volume that the engine creates with the container. It has a
// name, so that it can be removed even if creating the container fails.
func (c *Container) volume(name, target string) mount.Mount {
	c.volumes = append(c.volumes, name)
	return mount.Mount{
		Type: mount.TypeVolume, Source: name, Target: target, VolumeOptions: &mount.VolumeOptions{Labels: c.spec.Labels},
	}
}
