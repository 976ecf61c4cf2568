package sandbox

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/difference"
	"github.com/buildlocal/buildlocal/engine/sandbox/inside"
	"github.com/buildlocal/buildlocal/internal/overlay"
)

// Changes returns the changes of the sandbox. See engine.Differ.
func (c *Container) Changes(ctx context.Context) ([]engine.Change, error) {
	if c.volatile {
		return nil, errInMemory
	}
	upper := func(name string) string { return filepath.Join(inside.Uppers(c.base), name) }
	exists, layers := overlay.Exists("/"), []string{upper(inside.RootName)}
	if c.image != nil {
		below := slices.Clone(c.image.Layers)
		slices.Reverse(below)
		exists = overlay.Exists(below...)
		layers = append(engine.SnapshotMount(c.layers, inside.RootName), layers...)
	}
	all, err := difference.Layers(ctx, "/", layers, exists)
	for i, t := range c.trees {
		name := inside.TreeName(i)
		layers := append(engine.SnapshotMount(c.layers, name), upper(name))
		more, treeErr := difference.Layers(ctx, t.Path, layers, difference.InTree(t))
		if all = append(all, more...); treeErr != nil {
			err = treeErr
		}
	}
	if c.image != nil {
		return all, err
	}
	for name, at := range inside.MountNames() {
		more, mountErr := difference.Layers(ctx, at, []string{upper(name)}, overlay.Exists(at))
		if all = append(all, more...); mountErr != nil {
			err = mountErr
		}
	}
	return all, err
}

var _ engine.Differ = (*Container)(nil)
