package runner

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// Modes of a project's LOCAL cache (documented).
const (
	SourceCache      = "LOCAL_SOURCE_CACHE"
	DockerLayerCache = "LOCAL_DOCKER_LAYER_CACHE"
	CustomCache      = "LOCAL_CUSTOM_CACHE"
)

// customTop is below what the directories of LOCAL_CUSTOM_CACHE are (observed).
const customTop = "/codebuild/local-cache/custom/"

// LocalModes returns the modes of a project's cache that need something kept on this
// machine. That of the source does not: a build sees git's objects where they are.
func LocalModes(p project.Project, privileged bool) []string {
	if p.Cache.Type != "LOCAL" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.Cache.Modes), func(mode string) bool {
		return mode != CustomCache && (mode != DockerLayerCache || !privileged) // which the others do nothing for (documented)
	})
}

// LocalPath is where a build has what a mode keeps. The number is 64 hexadecimal
// digits.
func LocalPath(mode, number string) string {
	if mode == DockerLayerCache {
		return "/var/lib/docker"
	}
	return customTop + number
}

// custom is where the directories of LOCAL_CUSTOM_CACHE are; empty for none.
func (b *build) custom() string {
	for _, v := range b.Volumes {
		if strings.HasPrefix(v.Path, customTop) {
			return v.Path
		}
	}
	return ""
}

// linkScript puts a link to a kept directory in the place of one. The kept one counts
// (documented in the user guide; the API says the opposite); one that is new gets what
// the image or the source has, so that nothing is missing (not documented).
const linkScript = `kept=%s dir=%s
mkdir -p "${kept%%/*}/" "${dir%%/*}/" || exit 1
if [ ! -d "$kept" ]; then
  rm -rf "$kept.part" && mkdir "$kept.part" || exit 1
  if [ -d "$dir" ] && [ ! -L "$dir" ]; then cp -a "$dir/." "$kept.part/" || exit 1; fi
  mv "$kept.part" "$kept" || exit 1
fi
rm -rf "$dir" && ln -s "$kept" "$dir"`

// linkCustom links the directories of cache.paths to those that are kept: what
// commands write is kept at once, whatever becomes of the build. Only directories are
// (documented).
func (b *build) linkCustom(ctx context.Context, patterns []string) error {
	source, custom := b.plan.Sources[0].Path, b.custom()
	for _, stem := range tree.LiteralPrefixes(patterns) {
		dir := cachePlace(source, stem)
		if dir == "/" || dir == source || strings.HasPrefix(source, dir+"/") {
			b.note("Cache: %s not kept: it contains the source.", dir)
			continue
		}
		_, below, _ := strings.Cut(stem, "/")
		if strings.HasPrefix(stem, cache.Root+"/") { // apart from what is in the source
			below = path.Join(".root", below)
		}
		kept := path.Join(custom, below)
		b.say("MkdirAll: %s", kept)
		printed, exit, err := b.sessions[""].Capture(ctx, fmt.Sprintf(linkScript, shell.Quote(kept), shell.Quote(dir)))
		if err != nil {
			return err
		}
		if exit != 0 {
			b.note("Cache: %s is not kept: %s.", dir, strings.TrimSpace(printed))
			continue
		}
		b.say("Symlinking: %s => %s", dir, kept)
	}
	return nil
}
