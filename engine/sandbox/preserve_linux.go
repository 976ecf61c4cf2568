package sandbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
)

// preserved describes the files of a sandbox that were kept.
type preserved struct {
	Image string        // ID; "" for the host's own files
	Trees []engine.Tree // whose changes were kept
	// Snapshot is the directory of the one that the sandbox was started from.
	Snapshot string
}

// Preserve ends the sandbox and keeps its files. See engine.Preserver. They stay where they are, so
// it takes no time.
func (c *Container) Preserve(ctx context.Context, limit int64) error {
	if c.volatile {
		return fmt.Errorf("%w: changes outside of the source are in memory", engine.ErrUnsupported)
	}
	if err := engine.CheckSize(engine.DiskSize(limit, inside.Uppers(c.base)), limit); err != nil {
		return err
	}
	p := preserved{Trees: c.trees, Snapshot: c.snapshot}
	if c.image != nil {
		p.Image = c.image.About.ID
	}
	if err := engine.WritePreserved(filepath.Dir(c.base), p); err != nil {
		return err
	}
	c.mu.Lock()
	err := c.send(inside.Request{Op: inside.Preserve})
	c.mu.Unlock()
	if err != nil {
		return errors.Join(errGone, err)
	}
	c.kept = true
	return c.Close(ctx)
}

// restore changes a spec to that of the sandbox whose files were kept.
func (c *Container) restore(s *engine.Spec) error {
	if !s.Resume {
		return nil
	}
	var p preserved
	if err := engine.ReadPreserved(s.Mounts.Temp, &p); err != nil {
		return err
	}
	if c.image != nil && c.image.About.ID != p.Image {
		return errOtherImage
	}
	s.Mounts.Trees, s.Snapshot = p.Trees, p.Snapshot
	return nil
}

// errOtherImage is the error for files that were kept of another image.
var errOtherImage = &engine.Fault{Kind: engine.NoImage, Err: engine.ErrOtherImage,
	Message: "the image has changed since the files of the container were kept",
	Hint:    "Run the whole build again: buildlocal run"}
