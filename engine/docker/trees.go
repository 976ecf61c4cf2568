package docker

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/layer"
)

// mountTrees makes a copy-on-write volume for each tree: an overlay whose lower
// layer is the host's directory. The upper layer is a volume too, so that the
// engine, which owns what the container writes, can remove it.
//
// It needs an engine that sees this machine's files as they are; otherwise, and
// where no overlay can be had, the error is engine.ErrUnsupported.
func (e *Engine) mountTrees(ctx context.Context, s engine.Spec, c *Container) ([]mount.Mount, error) {
	if len(s.Mounts.Trees) == 0 {
		return nil, nil
	}
	if err := e.sharesFiles(); err != nil {
		return nil, fmt.Errorf("mount the source: %w (%w)", engine.ErrUnsupported, err)
	}
	var mounts []mount.Mount
	for i, tree := range s.Mounts.Trees {
		m, err := e.mountTree(ctx, s, c, i, tree)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

func (e *Engine) mountTree(ctx context.Context, s engine.Spec, c *Container, i int, tree engine.Tree) (mount.Mount, error) {
	if strings.HasPrefix(s.Mounts.Temp, tree.Host+string(filepath.Separator)) {
		return mount.Mount{}, fmt.Errorf("mount the source: %w (the temporary directory %s is in it)", engine.ErrUnsupported, s.Mounts.Temp)
	}
	if err := oneFileSystem(tree); err != nil {
		return mount.Mount{}, fmt.Errorf("mount the source: %w (%w)", engine.ErrUnsupported, err)
	}
	// Made also where nothing is hidden: an engine that sees another directory at
	// tree.Host does not see this one, and mounts nothing.
	hide := filepath.Join(s.Mounts.Temp, fmt.Sprintf("hide%d", i))
	c.hidden = append(c.hidden, hide)
	if err := whiteouts(hide, tree); err != nil {
		return mount.Mount{}, fmt.Errorf("hide what git ignores: %w (%w)", engine.ErrUnsupported, err)
	}
	var layers [2]string
	for j, layer := range []string{"upper", "work"} {
		v, err := c.createVolume(ctx, fmt.Sprintf("%s-%s%d", s.Name, layer, i), nil)
		if err != nil {
			return mount.Mount{}, err
		}
		layers[j] = v.Mountpoint
	}
	options := map[string]string{
		"type": "overlay", "device": "overlay",
		"o": fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", layersOf(tree, hide), escape(layers[0]), escape(layers[1])),
	}
	c.uppers = append(c.uppers, upper{tree.Path, layers[0]})
	// Not with the container: podman passes over the options there (observed, 4.3).
	v, err := c.createVolume(ctx, fmt.Sprintf("%s-tree%d", s.Name, i), options)
	if err != nil {
		return mount.Mount{}, err
	}
	return mount.Mount{Type: mount.TypeVolume, Source: v.Name, Target: tree.Path, VolumeOptions: &mount.VolumeOptions{NoCopy: true}}, nil
}

// upper is where what is written to a tree stands, on the engine's machine.
type upper struct{ path, host string }

// Untouched reports that a tree is as it was. See engine.Watcher. It needs the right
// to see what the engine keeps.
func (c *Container) Untouched(path string) bool {
	for _, u := range c.uppers {
		if name, in := layer.Below(u.path, path); in {
			return layer.Untouched(u.host, name)
		}
	}
	return false
}

// Written returns where the engine keeps what was written. See engine.Watcher.
func (c *Container) Written(path string) (dir, name string) {
	for _, u := range c.uppers {
		if name, in := layer.Below(u.path, path); in {
			return written(u.host, name)
		}
	}
	c.root.Do(c.findRoot)
	if c.rootUpper == "" {
		return "", ""
	}
	return written(c.rootUpper, strings.TrimPrefix(path, "/"))
}

func written(upper, name string) (string, string) {
	if !layer.Written(upper, name) {
		return "", ""
	}
	return upper, name
}

// findRoot finds where what is written to the image stands, on an engine that shares
// this machine's files.
func (c *Container) findRoot() {
	if c.engine.sharesFiles() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanupLimit)
	defer cancel()
	if got, err := c.engine.api.ContainerInspect(ctx, c.id); err == nil && got.GraphDriver.Name == "overlay2" {
		c.rootUpper = got.GraphDriver.Data["UpperDir"]
	}
}

var _ engine.Watcher = (*Container)(nil)

// layersOf are the lower layers of a tree's overlay, the highest first.
func layersOf(tree engine.Tree, hide string) string {
	var all []string
	for _, dir := range append(slices.Clone(tree.Overlays), hide, tree.Host) {
		all = append(all, escape(dir))
	}
	return strings.Join(all, ":")
}

// keptVolumes makes the volumes that outlive the container, those that are not there.
func (e *Engine) keptVolumes(ctx context.Context, s engine.Spec) ([]mount.Mount, error) {
	var mounts []mount.Mount
	for _, v := range s.Mounts.Volumes {
		if _, err := e.createVolume(ctx, volume.CreateOptions{Name: v.Name, Labels: v.Labels}); err != nil {
			return nil, e.fault(err, "make volume "+v.Name)
		}
		mounts = append(mounts, mount.Mount{Type: mount.TypeVolume, Source: v.Name, Target: v.Path})
	}
	return mounts, nil
}

// createVolume makes a volume; as with create, the end of ctx does not keep us
// from hearing of it.
func (e *Engine) createVolume(ctx context.Context, options volume.CreateOptions) (volume.Volume, error) {
	if ctx.Err() != nil {
		return volume.Volume{}, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	return e.api.VolumeCreate(ctx, options)
}

// createVolume makes a volume that is removed with the container, with options of the
// driver local.
func (c *Container) createVolume(ctx context.Context, name string, options map[string]string) (volume.Volume, error) {
	v, err := c.engine.createVolume(ctx, volume.CreateOptions{Name: name, Labels: c.spec.Labels, Driver: "local", DriverOpts: options})
	if err != nil {
		return v, c.engine.fault(err, "make a volume")
	}
	c.volumes = append(c.volumes, v.Name)
	return v, nil
}

// volume returns the mount of a volume that is made with the container. It has
// a name, so that it can be removed also when no container comes of it.
func (c *Container) volume(name, target string) mount.Mount {
	c.volumes = append(c.volumes, name)
	return mount.Mount{Type: mount.TypeVolume, Source: name, Target: target, VolumeOptions: &mount.VolumeOptions{Labels: c.spec.Labels}}
}

// escape makes path safe in the options of an overlay.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace(path)
}

// discard removes a layer of whiteouts. Its directories may be closed, as the
// tree's own are; they are the user's, who may open them.
func discard(dir string) error {
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(name, 0o700)
		}
		return err
	})
	return os.RemoveAll(dir)
}

// isMountFailure reports that the engine could not mount one of the trees, as Docker and
// podman say it of the container with a name.
func isMountFailure(said, name string) bool {
	return strings.Contains(said, "failed to mount local volume") || strings.Contains(said, "mounting volume "+name+"-tree")
}
