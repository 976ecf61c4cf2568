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

// customTop is the parent of the directories of LOCAL_CUSTOM_CACHE (observed).
const customTop = "/codebuild/local-cache/custom/"

// LocalModes returns the modes of a project's cache that need a volume on the host. The
// source cache does not: a build reads git's objects directly. The layer cache has no
// effect without privileged mode (documented).
func LocalModes(p project.Project, privileged bool) []string {
	if p.Cache.Type != "LOCAL" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.Cache.Modes), func(mode string) bool {
		return mode != CustomCache && (mode != DockerLayerCache || !privileged)
	})
}

// LocalPath returns the path of a mode's volume in the container. number has 64
// hexadecimal digits.
func LocalPath(mode, number string) string {
	if mode == DockerLayerCache {
		return "/var/lib/docker"
	}
	return customTop + number
}

// customDir returns the path of the volume for LOCAL_CUSTOM_CACHE, or "".
func (s *cacheStep) customDir() string {
	for _, v := range s.Volumes {
		if strings.HasPrefix(v.Path, customTop) {
			return v.Path
		}
	}
	return ""
}

// linkScript replaces a directory by a link to its kept copy. The kept copy wins over the
// directory of the image or source (documented in the user guide; the API reference says
// the opposite). A new copy starts with the content of the directory (not documented).
const linkScript = `kept=%s dir=%s
mkdir -p "${kept%%/*}/" "${dir%%/*}/" || exit 1
if [ ! -d "$kept" ]; then
  rm -rf "$kept.part" && mkdir "$kept.part" || exit 1
  if [ -d "$dir" ] && [ ! -L "$dir" ]; then cp -a "$dir/." "$kept.part/" || exit 1; fi
  mv "$kept.part" "$kept" || exit 1
fi
rm -rf "$dir" && ln -s "$kept" "$dir"`

// linkCustom replaces the directories of cache.paths by links to kept copies. Files that
// commands write there are kept even if the build fails. Files cannot be cached this way
// (documented).
func (s *cacheStep) linkCustom(ctx context.Context) error {
	source, custom := s.plan.Sources[0].Path, s.customDir()
	for _, stem := range s.paths.Stems() {
		dir := s.paths.PathOf(stem)
		if dir == "/" || dir == source || strings.HasPrefix(source, dir+"/") {
			s.warnAt(s.entryOf(stem), "", "path %s not kept: it contains the source", dir)
			continue
		}
		_, below, _ := strings.Cut(stem, "/")
		if strings.HasPrefix(stem, cache.Root+"/") { // separate from directories of the source
			below = path.Join(".root", below)
		}
		kept := path.Join(custom, below)
		s.rec.say("MkdirAll: %s", kept)
		script := fmt.Sprintf(linkScript, shell.Quote(kept), shell.Quote(dir))
		printed, exit, err := s.shells.capture(ctx, script)
		if err != nil {
			return err
		}
		if exit != 0 {
			s.warnAt(s.entryOf(stem), lastLine(strings.TrimSpace(printed)), "path %s not kept", dir)
			continue
		}
		s.rec.say("Symlinking: %s => %s", dir, kept)
	}
	return nil
}

// entryOf returns the key path of the first path of the buildspec whose files are at a stem.
func (s *cacheStep) entryOf(stem string) string {
	for i, pattern := range s.paths.Patterns {
		if slices.Contains(tree.LiteralPrefixes([]string{pattern}), stem) {
			return s.entries[i]
		}
	}
	return "paths"
}
