package docker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/mounts"
)

// checkSingleFileSystem returns an error if another file system is mounted in a tree, unless
// it is hidden: an overlay shows an empty directory there.
func checkSingleFileSystem(tree engine.Tree) error {
	points, err := mounts.Points(nil)
	if err != nil {
		return err
	}
	for _, point := range points {
		if below, found := strings.CutPrefix(point, tree.Host+"/"); found && !isHidden(tree, below) {
			return fmt.Errorf("%s is a separate file system", point)
		}
	}
	return nil
}

// isHidden reports whether a name is below a hidden one.
func isHidden(tree engine.Tree, name string) bool {
	return slices.ContainsFunc(tree.Hide, func(h string) bool { return name == h || strings.HasPrefix(name, h+"/") })
}
