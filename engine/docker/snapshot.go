package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
	"github.com/buildlocal/buildlocal/internal/overlay"
)

// snapshot describes the files of a container that were copied: an image of its own files, which leaves
// out volumes, and beside it the changes to its trees.
type snapshot struct {
	Base   string // ID of the image that the build has
	Image  string // name of the image with the container's own files
	Packed []int  // trees of which all files are in a tar stream, because their changes cannot be read
}

// SnapshotLabel is the label of the image of a snapshot.
const SnapshotLabel = conn.SnapshotLabel

// snapshotRepository is the name of the images of snapshots. Each has a tag.
const snapshotRepository = "buildlocal-snapshot"

// Changed returns the size of the files that the container has written. See engine.Snapshotter.
func (c *Container) Changed(ctx context.Context, limit int64) (int64, error) {
	if err := c.checkCopies(); err != nil {
		return 0, err
	}
	return c.size(ctx, limit)
}

// checkCopies returns an error for a container whose files cannot be copied.
func (c *Container) checkCopies() error {
	if c.socket != nil || c.spec.Resources.Privileged {
		return fmt.Errorf("%w: the build uses a Docker engine, whose files would be missing", engine.ErrUnsupported)
	}
	return nil
}

// Snapshot copies the changes of the container. See engine.Snapshotter.
func (c *Container) Snapshot(ctx context.Context, to engine.SnapshotTo) (int64, error) {
	if err := c.checkCopies(); err != nil {
		return 0, err
	}
	s := snapshot{Base: c.baseImage}
	bytes, err := c.copyTrees(ctx, to, &s)
	if err != nil {
		return 0, err
	}
	s.Image = snapshotRepository + ":" + to.Name
	// Before the image exists, so that it can be removed whatever happens.
	if err := engine.WriteSnapshot(to.Dir, s); err != nil {
		return 0, err
	}
	root, err := c.rootSize(ctx)
	if err != nil {
		return 0, err
	}
	_, err = c.conn.API.ContainerCommit(ctx, c.id, container.CommitOptions{
		Reference: s.Image, Pause: false, Config: &container.Config{Labels: to.Labels},
	})
	return bytes + root, c.conn.Fault(conn.CauseOr(ctx, err), "copy the files of the container")
}

// copyTrees copies the changes to the trees, as a layer above those that the container was started
// with. Changes that this process cannot read, because only root may, are packed with all other files
// of the tree.
func (c *Container) copyTrees(ctx context.Context, to engine.SnapshotTo, s *snapshot) (int64, error) {
	if err := os.Mkdir(filepath.Dir(engine.SnapshotLayer(to.Dir, 0)), 0o700); err != nil {
		return 0, err
	}
	layers := engine.SnapshotLayers(c.spec.Snapshot)
	for n, layer := range layers { // as links: the snapshot of the container may be removed before this one
		if err := overlay.LinkTo(ctx, layer, engine.SnapshotLayer(to.Dir, n)); err != nil {
			return 0, err
		}
	}
	own := engine.SnapshotLayer(to.Dir, len(layers))
	if err := os.Mkdir(own, 0o700); err != nil {
		return 0, err
	}
	var sum int64
	for i, tree := range c.spec.Mounts.Trees {
		at := slices.IndexFunc(c.uppers, func(u upperDir) bool { return u.path == tree.Path })
		if at < 0 || !isReadable(c.uppers[at].host) {
			s.Packed = append(s.Packed, i)
			n, err := c.pack(ctx, tree.Path, packedTree(to.Dir, i))
			if err != nil {
				return 0, err
			}
			sum += n
			continue
		}
		earlier := ""
		if to.Earlier != "" {
			earlier = filepath.Join(engine.SnapshotLayer(to.Earlier, len(layers)), treeName(i))
		}
		n, err := overlay.CopyTo(ctx, c.uppers[at].host, filepath.Join(own, treeName(i)), earlier, to.Since)
		if err != nil {
			return 0, fmt.Errorf("copy the changes to the source: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// treeName returns the name of a tree's directory in a layer.
func treeName(i int) string { return "tree" + strconv.Itoa(i) }

// packedTree returns the file with all files of a tree.
func packedTree(dir string, i int) string { return filepath.Join(dir, treeName(i)+".tar") }

// pack writes a directory of the container to a file.
func (c *Container) pack(ctx context.Context, path, file string) (int64, error) {
	stream, err := c.CopyOut(ctx, path)
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	const mine = 0o600
	to, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mine)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(to, stream)
	return n, errors.Join(err, to.Close())
}

// rootSize returns the size of the files outside of volumes that the container has written.
func (c *Container) rootSize(ctx context.Context) (int64, error) {
	if c.findRootOnce.Do(c.findRoot); c.rootUpper != "" && isReadable(c.rootUpper) {
		return engine.DirSize(math.MaxInt64, c.rootUpper), nil
	}
	got, _, err := c.conn.API.ContainerInspectWithRaw(ctx, c.id, true)
	if err != nil || got.SizeRw == nil {
		return 0, c.conn.Fault(err, "measure the container")
	}
	return *got.SizeRw, nil
}

// withSnapshot returns a tree with the changes of the container's snapshot. packed is true if all
// files of the tree are unpacked into it later.
func (c *Container) withSnapshot(i int, tree engine.Tree) (changed engine.Tree, packed bool) {
	if slices.Contains(c.restored.Packed, i) {
		return tree, true
	}
	if c.spec.Snapshot == "" {
		return tree, false
	}
	layers := engine.SnapshotMount(engine.SnapshotLayers(c.spec.Snapshot), treeName(i))
	slices.Reverse(layers) // an overlay lists the highest first
	tree.Overlays = slices.Concat(layers, tree.Overlays)
	return tree, false
}

// mountEmpty creates an empty volume for a tree whose files are unpacked into it.
func (c *Container) mountEmpty(ctx context.Context, i int, tree engine.Tree) (mount.Mount, error) {
	v, err := c.createVolume(ctx, fmt.Sprintf("%s-tree%d", c.spec.Name, i), nil)
	return mount.Mount{
		Type: mount.TypeVolume, Source: v.Name, Target: tree.Path, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
	}, err
}

// unpackTrees unpacks the trees of the snapshot whose files are packed, before the container starts.
func (c *Container) unpackTrees(ctx context.Context) error {
	for _, i := range c.restored.Packed {
		if i >= len(c.spec.Mounts.Trees) {
			return errors.New("the snapshot is of a build with other sources")
		}
		from, err := os.Open(packedTree(c.spec.Snapshot, i))
		if err != nil {
			return err
		}
		err = c.CopyIn(ctx, c.spec.Mounts.Trees[i].Path, from)
		from.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckSnapshot compares the image. See engine.Restorer.
func (e *Engine) CheckSnapshot(ctx context.Context, dir string, image engine.ImageRef) error {
	var s snapshot
	if err := engine.ReadSnapshot(dir, &s); err != nil {
		return err
	}
	var names []string
	for _, name := range append([]string{image.Alias}, image.Names...) {
		if name != "" {
			names = append(names, name)
		}
	}
	id, err := e.ImageID(ctx, names)
	switch {
	case err != nil:
		return err
	case id != s.Base:
		return engine.ErrOtherImage
	}
	if id, err = e.ImageID(ctx, []string{s.Image}); err == nil && id == "" {
		err = errors.New("its image was removed")
	}
	return err
}

// RemoveSnapshot removes the image and the directory. See engine.Restorer.
func (e *Engine) RemoveSnapshot(ctx context.Context, dir string) error {
	var s snapshot
	_ = engine.ReadSnapshot(dir, &s) // damaged ones are removed too
	if strings.HasPrefix(s.Image, snapshotRepository+":") {
		if err := e.RemoveImage(ctx, s.Image); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.RemoveAll(dir)
}

var (
	_ engine.Snapshotter = (*Container)(nil)
	_ engine.Restorer    = (*Engine)(nil)
)
