package local

import (
	"cmp"
	"context"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
)

// Limits of the search for images that a build could use instead of one that it did not get.
const (
	maxInstead     = 3               // images that are named
	maxInsteadTime = 3 * time.Second // of the engine's answer; the hint is not worth more
)

// instead returns the images that the engine of the build has, the nearest names first, and a
// hint. Both are empty if there is no way on.
func (s *Session) instead(ctx context.Context) (images []string, hint string) {
	ctx, cancel := context.WithTimeout(ctx, maxInsteadTime)
	defer cancel()
	found := usableImages(ctx, s.engine.Engine, s.Plan.ImageRef())
	sortByNearness(found, s.Plan.Image)
	for _, image := range found[:min(maxInstead, len(found))] {
		text := image.Name + " (" + string(s.engine.kind)
		if image.Created.Unix() > 0 { // reproducible images have no age
			text += ", " + strings.TrimSuffix(human.Ago(s.inputs.host.Now().Sub(image.Created)), " ago") + " old"
		}
		images = append(images, text+")")
	}
	var ways []string
	if len(images) > 0 {
		ways = append(ways, "use one of them with -i")
	}
	r := s.inputs.Request
	if runtime.GOOS == "linux" && r.Engine.Docker != "socket" && !r.Engine.Privileged && !r.Image.Required &&
		!r.Access.needsDocker() {
		ways = append(ways, "--engine host needs no image")
	}
	return images, strings.Join(ways, "; ")
}

// usableImages returns the images of an engine, except for those that the build has tried.
func usableImages(ctx context.Context, e engine.Engine, tried engine.ImageRef) []engine.Image {
	var all []engine.Image
	switch e := e.(type) {
	case *docker.Engine:
		all, _ = e.Images(ctx) // without an answer no images are named
	case *sandbox.Engine:
		stored, _, _ := e.Images()
		for _, i := range stored {
			all = append(all, engine.Image{Name: i.Name, Created: i.Created})
		}
	}
	isTried := func(i engine.Image) bool {
		return slices.ContainsFunc(append(tried.Names, tried.Alias), func(name string) bool {
			return strings.TrimSuffix(name, ":latest") == strings.TrimSuffix(i.Name, ":latest")
		})
	}
	return slices.DeleteFunc(all, isTried)
}

// sortByNearness sorts images: other tags of the wanted one first, then similar names, and of
// equally near ones the newest.
func sortByNearness(all []engine.Image, wanted string) {
	base := func(name string) string { return path.Base(engine.Repository(name)) }
	rank := func(i engine.Image) int {
		switch {
		case base(i.Name) == base(wanted):
			return 0
		case diag.Suggest(base(wanted), []string{base(i.Name)}) != "":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(a, b engine.Image) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.Created.Compare(a.Created))
	})
}
