package runner

import (
	"archive/tar"
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// cacheMount is a cache entry that was found before the container starts, so that its
// files are mounted instead of copied: in the source as a layer on top of it, elsewhere as
// directories. Mounts are copy-on-write: the build does not change the entry. A nil
// cacheMount has no files.
type cacheMount struct {
	entry    *cache.Entry
	overlays []string      // directories of the host on top of the source
	trees    []engine.Tree // other directories
	stems    []string      // names in the entry of which everything is mounted
}

// planMount finds the entry that the build will restore. It returns nil if that is not
// certain without the build's shell, or if the entry cannot be mounted.
func (s *cacheStep) planMount(ctx context.Context) *cacheMount {
	c := s.plan.Cache
	if c == nil || len(c.Paths) == 0 || s.OpenCache == nil || s.customDir() != "" {
		return nil
	}
	s.computeKeys()
	if c.Action == CacheSave || s.Keep { // a kept container may outlive the entry
		return nil
	}
	name, paths, ok := s.computeName()
	if !ok || !s.open() {
		return nil
	}
	e, err := s.store.Find(ctx, name)
	if err != nil || e.Dir() == "" || !e.HasParentDirs {
		return nil
	}
	if s.RootSource || !e.Exact() {
		return nil // files of the host would have other owners in the container
	}
	m := &cacheMount{entry: e}
	for _, stem := range paths.Stems() {
		m.add(s.plan, paths, stem)
	}
	if len(m.overlays) == 0 && len(m.trees) == 0 {
		return nil
	}
	s.mount = m
	return m
}

// dropMount makes restore copy the entry, because the engine cannot mount it.
func (s *cacheStep) dropMount() { s.mount = nil }

// computeName computes the name and the paths of the cache without the shell.
func (s *cacheStep) computeName() (cache.Name, cache.Paths, bool) {
	c := s.plan.Cache
	name := cache.Name{Scope: s.CacheScope, Paths: c.Paths, Arch: s.NativeArch}
	paths := cache.Paths{Source: s.plan.Sources[0].Path}
	if s.plan.Platform != "" {
		name.Arch = path.Base(strings.TrimPrefix(s.plan.Platform, "linux/"))
	}
	for _, p := range c.Paths {
		text, ok := s.compute(homeOf(p))
		if !ok {
			return name, paths, false
		}
		paths.Patterns = append(paths.Patterns, paths.Pattern(text))
	}
	if name.Key = s.keys[c.Key]; name.Key == "" && c.Key != "" {
		return name, paths, false
	}
	for _, key := range c.FallbackKeys {
		text, ok := s.keys[key]
		if !ok {
			return name, paths, false
		}
		if text != "" {
			name.Fallbacks = append(name.Fallbacks, text)
		}
	}
	return name, paths, true
}

// add mounts a stem if that is possible. Outside the source it must be a directory that is
// cached completely, in the same image: a mount hides the image's own files there.
func (m *cacheMount) add(p *Plan, paths cache.Paths, stem string) {
	if stem == cache.Source || strings.HasPrefix(stem, cache.Source+"/") {
		m.addOverlay(paths, stem)
		return
	}
	if p.Place != "" || m.entry.Image != p.Image || !wholeDirectory(paths, stem) {
		return
	}
	for _, file := range m.entry.List() {
		// Engines mount a directory with this owner and mode.
		isPlain := file.Kind == tar.TypeDir && file.Mode == 0o755 && file.UID == 0 && file.GID == 0
		if file.Name == stem && isPlain {
			dir := filepath.Join(m.entry.Dir(), filepath.FromSlash(stem))
			m.trees = append(m.trees, engine.Tree{Host: dir, Path: paths.PathOf(stem)})
			m.stems = append(m.stems, stem)
		}
	}
}

// addOverlay mounts the entry's part of the source, unless it has files that do not belong
// to the paths, which the layer would show.
func (m *cacheMount) addOverlay(paths cache.Paths, stem string) {
	const below = cache.Source + "/"
	exists := false
	for _, file := range m.entry.List() {
		if file.Kind != tar.TypeDir && strings.HasPrefix(file.Name, below) && !paths.Contain(file.Name) {
			return
		}
		exists = exists || file.Name == cache.Source
	}
	layer := filepath.Join(m.entry.Dir(), cache.Source)
	if exists && !slices.Contains(m.overlays, layer) {
		m.overlays = append(m.overlays, layer)
	}
	m.stems = append(m.stems, stem)
}

// wholeDirectory reports whether a pattern includes everything below a directory.
func wholeDirectory(paths cache.Paths, stem string) bool {
	return slices.ContainsFunc(paths.Patterns, func(pattern string) bool {
		return pattern == stem || pattern == stem+"/**" || pattern == stem+"/**/*"
	})
}

// mounted reports whether a name of the entry is mounted.
func (m *cacheMount) mounted(name string) bool {
	return m != nil && slices.ContainsFunc(m.stems, func(stem string) bool {
		return name == stem || strings.HasPrefix(name, stem+"/")
	})
}

// complete reports whether all files of the cache are mounted.
func (m *cacheMount) complete(paths cache.Paths) bool {
	return !slices.ContainsFunc(m.entry.List(), func(file cache.File) bool {
		return file.Kind != tar.TypeDir && !m.mounted(file.Name) && paths.Contain(file.Name)
	})
}

// untouched reports that the whole cache is mounted and that the engine knows that nothing
// was written to it, so that no file must be read.
func (m *cacheMount) untouched(c engine.Container, paths cache.Paths) bool {
	w, ok := c.(engine.Watcher)
	if !ok || m == nil || !m.complete(paths) {
		return false
	}
	return !slices.ContainsFunc(tree.LiteralPrefixes(paths.Patterns), func(stem string) bool {
		return !slices.Contains(m.stems, stem) || !w.Untouched(paths.PathOf(stem))
	})
}
