// Package difference lists the changes in the layers of overlays, for the drivers whose containers have
// them on this host.
package difference

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/overlay"
)

// Layers returns the changes in layers, the lowest first, of an overlay that is mounted at a directory.
// exists looks into what is below them, see overlay.Changes.
func Layers(
	ctx context.Context, at string, layers []string, exists func(name string) (there, dir bool),
) ([]engine.Change, error) {
	var merged []overlay.Change
	for _, layer := range layers {
		more, err := overlay.Changes(ctx, layer, exists)
		if err != nil {
			return nil, err
		}
		merged = overlay.Merge(merged, more)
	}
	var all []engine.Change
	for _, c := range merged {
		change := engine.Change{
			Path: path.Join(at, c.Name), Kind: engine.FileChanged, Files: c.Files, Bytes: c.Bytes, Time: c.Time,
		}
		switch {
		case c.Removed:
			change.Kind = engine.FileRemoved
		case c.New:
			change.Kind = engine.FileAdded
		}
		if strings.HasSuffix(c.Name, "/") {
			change.Path += "/"
		}
		all = append(all, change)
	}
	return all, nil
}

// InTree returns a function that looks into the directories of a tree, without its hidden names.
func InTree(t engine.Tree) func(name string) (there, dir bool) {
	all := overlay.Exists(append(slices.Clone(t.Overlays), t.Host)...)
	seen := overlay.Exists(t.Overlays...)
	return func(name string) (bool, bool) {
		if slices.ContainsFunc(t.Hide, func(h string) bool { return name == h || strings.HasPrefix(name, h+"/") }) {
			return seen(name)
		}
		return all(name)
	}
}
