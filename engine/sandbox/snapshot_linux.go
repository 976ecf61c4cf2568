package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
	"github.com/buildlocal/buildlocal/internal/overlay"
)

// snapshot describes the files of a sandbox that were copied.
type snapshot struct {
	Image string // ID; "" for the host's own files
}

// useSnapshot makes the snapshot of a spec, if there is one, that of the sandbox.
func (c *Container) useSnapshot(spec *engine.Spec) error {
	if spec.Snapshot == "" {
		return nil
	}
	var s snapshot
	if err := engine.ReadSnapshot(spec.Snapshot, &s); err != nil {
		return err
	}
	if c.image != nil && c.image.About.ID != s.Image {
		return errOtherImage
	}
	c.snapshot, c.layers = spec.Snapshot, engine.SnapshotLayers(spec.Snapshot)
	return nil
}

// Changed returns the size of all changes. See engine.Snapshotter.
func (c *Container) Changed(_ context.Context, limit int64) (int64, error) {
	if c.volatile {
		return 0, errInMemory
	}
	return engine.DiskSize(limit, inside.Uppers(c.base)), nil
}

// errInMemory is the error for changes that no other process can see.
var errInMemory = fmt.Errorf("%w: changes outside of the source are in memory", engine.ErrUnsupported)

// Snapshot copies all changes. See engine.Snapshotter. The server does it, because it may read the
// files of all users of the sandbox.
func (c *Container) Snapshot(ctx context.Context, to engine.SnapshotTo) (int64, error) {
	if c.volatile {
		return 0, errInMemory
	}
	if err := os.Mkdir(filepath.Dir(engine.SnapshotLayer(to.Dir, 0)), 0o700); err != nil {
		return 0, err
	}
	for n, layer := range c.layers {
		// Links of the whole layer: it may be removed before this snapshot.
		if err := c.id.copyLayer(ctx, layer, engine.SnapshotLayer(to.Dir, n)); err != nil {
			return 0, err
		}
	}
	earlier := ""
	if to.Earlier != "" {
		earlier = engine.SnapshotLayer(to.Earlier, len(c.layers))
	}
	bytes, err := c.copyChanges(ctx, engine.SnapshotLayer(to.Dir, len(c.layers)), earlier, to.Since)
	if err != nil {
		return 0, diskFull(err, "copy the files of the sandbox")
	}
	var s snapshot
	if c.image != nil {
		s.Image = c.image.About.ID
	}
	return bytes, engine.WriteSnapshot(to.Dir, s)
}

// copyChanges makes the server copy the changes to a directory, which is created.
func (c *Container) copyChanges(ctx context.Context, dir, earlier string, since time.Time) (int64, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	var files []*os.File
	defer func() { closeAll(files) }()
	for _, name := range []string{dir, earlier} {
		if name == "" {
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		files = append(files, file)
	}
	_, waiting, err := c.call(inside.Request{Op: inside.Snapshot, Since: since}, files...)
	if err != nil {
		return 0, err
	}
	select {
	case a, open := <-waiting.ended:
		return a.Bytes, faultOf(a, open)
	case <-ctx.Done():
		return 0, context.Cause(ctx) // the server goes on until the sandbox ends
	}
}

// copyLayer copies a layer of a snapshot as links.
func (id identity) copyLayer(ctx context.Context, from, to string) error {
	if id.kind == idsRoot {
		return overlay.LinkTo(ctx, from, to)
	}
	return id.once(ctx, inside.Request{Op: inside.Link, Path: from, Target: to})
}

// CheckSnapshot compares the image. See engine.Restorer.
func (e *Engine) CheckSnapshot(_ context.Context, dir string, image engine.ImageRef) error {
	var s snapshot
	if err := engine.ReadSnapshot(dir, &s); err != nil || e.options.Mode != Images {
		return err
	}
	for _, name := range append([]string{image.Alias}, image.Names...) {
		if name == "" {
			continue
		}
		if _, _, local := engine.CutLocal(name); local {
			return nil // known when it has been read, see useSnapshot
		}
		found, err := e.store().Find(name)
		if err != nil {
			continue
		}
		same := found.About.ID == s.Image
		if err := found.Close(); err != nil || same {
			return err
		}
	}
	return engine.ErrOtherImage
}

// RemoveSnapshot removes the directory. See engine.Restorer.
func (e *Engine) RemoveSnapshot(ctx context.Context, dir string) error { return e.id.remove(ctx, dir) }

var (
	_ engine.Snapshotter = (*Container)(nil)
	_ engine.Restorer    = (*Engine)(nil)
)
