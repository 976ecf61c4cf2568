package docker

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/difference"
	"github.com/buildlocal/buildlocal/internal/overlay"
)

// Changes returns the changes of the container. See engine.Differ. The image of a container with a
// snapshot is that of the snapshot, whose changes outside of the trees are missing.
func (c *Container) Changes(ctx context.Context) ([]engine.Change, error) {
	all, err := c.rootChanges(ctx)
	if err != nil {
		return nil, err
	}
	for i, tree := range c.spec.Mounts.Trees {
		more, err := c.treeChanges(ctx, i, tree)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// rootChanges returns the changes outside of volumes. Docker itself knows neither times nor sizes.
func (c *Container) rootChanges(ctx context.Context) ([]engine.Change, error) {
	if c.findRootOnce.Do(c.findRoot); c.rootUpper != "" && isReadable(c.rootUpper) {
		return difference.Layers(ctx, "/", []string{c.rootUpper}, overlay.Exists(c.rootLower...))
	}
	listed, err := c.conn.API.ContainerDiff(ctx, c.id)
	if err != nil {
		return nil, c.conn.Fault(err, "compare the container with its image")
	}
	return topmost(listed), nil
}

// topmost leaves out directories that changed only because of a file in them, and the content of new
// and of removed directories.
func topmost(listed []container.FilesystemChange) []engine.Change {
	slices.SortFunc(listed, func(a, b container.FilesystemChange) int { return strings.Compare(a.Path, b.Path) })
	kinds := map[container.ChangeType]engine.ChangeKind{
		container.ChangeModify: engine.FileChanged, container.ChangeAdd: engine.FileAdded,
		container.ChangeDelete: engine.FileRemoved,
	}
	parents, whole := map[string]bool{}, map[string]bool{}
	for _, l := range listed {
		parents[path.Dir(l.Path)] = true
		if l.Kind != container.ChangeModify {
			whole[l.Path] = true
		}
	}
	var all []engine.Change
	for _, l := range listed {
		inWhole := false
		for dir := path.Dir(l.Path); dir != "/"; dir = path.Dir(dir) {
			inWhole = inWhole || whole[dir]
		}
		isDir := parents[l.Path]
		switch {
		case inWhole, isDir && l.Kind == container.ChangeModify:
		case isDir && l.Kind == container.ChangeAdd:
			all = append(all, engine.Change{Path: l.Path + "/", Kind: kinds[l.Kind], Files: -1, Bytes: -1})
		default:
			all = append(all, engine.Change{Path: l.Path, Kind: kinds[l.Kind], Files: -1, Bytes: -1})
		}
	}
	return all
}

// treeChanges returns the changes to the tree with number i.
func (c *Container) treeChanges(ctx context.Context, i int, tree engine.Tree) ([]engine.Change, error) {
	at := slices.IndexFunc(c.uppers, func(u upperDir) bool { return u.path == tree.Path })
	if at < 0 || !isReadable(c.uppers[at].host) {
		return c.compareTree(ctx, tree)
	}
	layers := append(engine.SnapshotMount(engine.SnapshotLayers(c.spec.Snapshot), treeName(i)), c.uppers[at].host)
	return difference.Layers(ctx, tree.Path, layers, difference.InTree(tree))
}

// compareTree compares the files of a tree with those of the host, for a user who cannot read the
// changes. A file with the same size and time has not changed.
func (c *Container) compareTree(ctx context.Context, tree engine.Tree) ([]engine.Change, error) {
	stream, err := c.CopyOut(ctx, tree.Path)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	exists := difference.InTree(tree)
	var all []engine.Change
	seen := map[string]bool{}
	for r := tar.NewReader(stream); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean(h.Name)
		if seen[name] = true; h.Typeflag == tar.TypeDir {
			continue
		}
		there, _ := exists(name)
		info, err := os.Lstat(filepath.Join(tree.Host, filepath.FromSlash(name)))
		change := engine.Change{
			Path: path.Join(tree.Path, name), Kind: engine.FileChanged, Files: 1, Bytes: h.Size, Time: h.ModTime,
		}
		switch {
		case !there:
			change.Kind = engine.FileAdded
		case err == nil && info.Size() == h.Size && info.ModTime().Unix() == h.ModTime.Unix(),
			err == nil && h.Typeflag == tar.TypeSymlink:
			continue
		}
		all = append(all, change)
	}
	err = fs.WalkDir(os.DirFS(tree.Host), ".", func(name string, entry fs.DirEntry, err error) error {
		there, _ := exists(name)
		switch {
		case err != nil || entry.IsDir() && !there && name != ".":
			return fs.SkipDir
		case !there:
			return nil
		}
		if !seen[name] && !entry.IsDir() {
			all = append(all, engine.Change{Path: path.Join(tree.Path, name), Kind: engine.FileRemoved})
		}
		return nil
	})
	return all, err
}

var _ engine.Differ = (*Container)(nil)
