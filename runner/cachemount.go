package runner

import (
	"archive/tar"
	"context"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// foreseen is a cache that is found before there is a container, whose files can then
// be mounted instead of copied: in the source as a layer over it, elsewhere as
// directories. What the build changes is its own.
type foreseen struct {
	cached
	over  []string      // layers over the source
	trees []engine.Tree // other directories
	stems []string      // where those are, as names in an entry
}

// foresee finds the entry that the build will restore, as far as that can be told
// without its shell; nil where it cannot, or where the entry cannot be mounted.
func (b *build) foresee(ctx context.Context) *foreseen {
	c := b.plan.Cache
	if c == nil || len(c.Paths) == 0 || b.OpenCache == nil || b.custom() != "" {
		return nil
	}
	b.cacheKeys = b.foreseeKeys()
	if c.Action == cacheSave || b.Keep { // a kept container outlives the entry
		return nil
	}
	f := &foreseen{}
	if !b.foreseeName(f) || !b.openCache() {
		return nil
	}
	var err error
	if f.entry, err = b.store.Find(ctx, f.name); err != nil || f.entry.Dir() == "" || !f.entry.Placed || b.RootSource || !f.entry.Exact() {
		return nil // what is owned by others, or by a user who is not root inside, is copied
	}
	for _, stem := range tree.LiteralPrefixes(f.patterns) {
		f.mount(b.plan, stem)
	}
	if len(f.over) == 0 && len(f.trees) == 0 {
		return nil
	}
	return f
}

// foreseeName settles key and paths.
func (b *build) foreseeName(f *foreseen) bool {
	c := b.plan.Cache
	f.name = cache.Name{Scope: b.CacheScope, Paths: c.Paths, Arch: b.NativeArch}
	if b.plan.Platform != "" {
		f.name.Arch = path.Base(strings.TrimPrefix(b.plan.Platform, "linux/"))
	}
	for _, p := range c.Paths {
		text, sure := b.foreseeText(homeOf(p))
		if !sure {
			return false
		}
		f.patterns = append(f.patterns, cachePattern(b.plan.Sources[0].Path, text))
	}
	if f.name.Key = b.cacheKeys[c.Key]; f.name.Key == "" && c.Key != "" {
		return false
	}
	for _, key := range c.FallbackKeys {
		text, sure := b.cacheKeys[key]
		if !sure {
			return false
		}
		if text != "" {
			f.name.Fallbacks = append(f.name.Fallbacks, text)
		}
	}
	return true
}

// foreseeKeys expands the keys of the cache, those that can be.
func (b *build) foreseeKeys() map[string]string {
	all := map[string]string{}
	for _, key := range append([]string{b.plan.Cache.Key}, b.plan.Cache.FallbackKeys...) {
		if text, sure := b.foreseeText(key); sure && !b.secret(text) {
			all[key] = strings.TrimSpace(text)
		}
	}
	return all
}

// foreseeable is what can be expanded without a shell: a variable, and the hash of
// files of the source.
var foreseeable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$(\w+)|\$\{(\w+)\}|\$\(` + HashFiles + ` +([^()$` + "`" + `]*)\)`)
})

// foreseeText expands a text as the build's shell will, and reports whether that is
// sure.
func (b *build) foreseeText(text string) (string, bool) {
	sure := true
	expanded := foreseeable().ReplaceAllStringFunc(text, func(found string) string {
		parts := foreseeable().FindStringSubmatch(found)
		value, known := b.foreseeVariable(parts[1] + parts[2])
		if parts[3] != "" {
			value, known = b.foreseeHash(parts[3])
		}
		sure = sure && known
		return value
	})
	left := foreseeable().ReplaceAllString(text, "")
	return expanded, sure && !strings.ContainsAny(left, "$`\"\\")
}

// foreseeVariable returns a variable's value, where no command may change it first.
func (b *build) foreseeVariable(name string) (string, bool) {
	if len(b.plan.Runtimes) > 0 {
		return "", false // their commands may
	}
	for i := len(b.plan.Variables) - 1; i >= 0; i-- {
		if v := b.plan.Variables[i]; v.Name == name {
			return b.values[i], !v.Expand
		}
	}
	const home = "/root"
	return home, name == "HOME" // of who runs a build
}

// foreseeHash hashes files of the source as the build sees it.
func (b *build) foreseeHash(words string) (string, bool) {
	source := b.plan.Sources[0].Tree
	var patterns []string
	for _, word := range strings.Fields(words) {
		plain := strings.Trim(word, `'"`)
		quoted := len(word) == len(plain)+2 && word[0] == word[len(word)-1]
		if plain != word && !quoted || !quoted && !tree.IsLiteral(word) || strings.ContainsAny(plain, `'"|;&<>#~`) {
			return "", false
		}
		patterns = append(patterns, plain)
	}
	hidden := func(name string) bool {
		return slices.ContainsFunc(source.Hide, func(h string) bool { return name == h || strings.HasPrefix(name, h+"/") })
	}
	const maxHashed = 1 << 30 // bytes of a file; the build itself hashes a larger one, within its time limit
	fsys := regular.FS(source.Host, maxHashed)
	names, err := tree.Glob(fsys, patterns, hidden)
	if err != nil || len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return isLink(source.Host, name) }) {
		return "", false // a link may lead elsewhere inside
	}
	hash, err := tree.Hash(fsys, names)
	return hash, err == nil
}

func isLink(dir, name string) bool {
	info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
	return err != nil || info.Mode()&os.ModeSymlink != 0
}

// mount plans how what is below a stem is mounted, if it can be: elsewhere than in the
// source only a directory of which all is cached, in the image that it was cached in,
// for a mount hides what the image has there.
func (f *foreseen) mount(p *Plan, stem string) {
	dir := filepath.Join(f.entry.Dir(), filepath.FromSlash(stem))
	if stem == cache.Source || strings.HasPrefix(stem, cache.Source+"/") {
		layer := filepath.Join(f.entry.Dir(), cache.Source)
		if !f.all(cache.Source) {
			return // the layer would show what is not of these paths
		}
		if _, err := os.Stat(layer); err == nil && !slices.Contains(f.over, layer) {
			f.over = append(f.over, layer)
		}
		f.stems = append(f.stems, stem)
		return
	}
	if p.Place != "" || f.entry.Image != p.Image || !f.whole(stem) {
		return
	}
	for _, file := range f.entry.List() {
		if file.Name == stem && file.Kind == tar.TypeDir && file.Mode == 0o755 && file.UID == 0 && file.GID == 0 { // as engines mount them
			f.trees = append(f.trees, engine.Tree{Host: dir, Path: cachePlace(p.Sources[0].Path, stem)})
			f.stems = append(f.stems, stem)
		}
	}
}

// whole reports whether all that is below a directory is cached.
func (f *foreseen) whole(stem string) bool {
	return slices.ContainsFunc(f.patterns, func(pattern string) bool {
		return pattern == stem || pattern == stem+"/**" || pattern == stem+"/**/*"
	})
}

// mounted reports whether a name of the entry is mounted.
func (f *foreseen) mounted(name string) bool {
	return f != nil && slices.ContainsFunc(f.stems, func(stem string) bool { return name == stem || strings.HasPrefix(name, stem+"/") })
}

// all reports whether all files of the entry below a name are of the cache's paths.
func (f *foreseen) all(below string) bool {
	return !slices.ContainsFunc(f.entry.List(), func(file cache.File) bool {
		return file.Kind != tar.TypeDir && strings.HasPrefix(file.Name, below+"/") && !f.holds(file.Name)
	})
}

// complete reports whether nothing of the entry is left to copy.
func (f *foreseen) complete() bool {
	return !slices.ContainsFunc(f.entry.List(), func(file cache.File) bool {
		return file.Kind != tar.TypeDir && !f.mounted(file.Name) && f.holds(file.Name)
	})
}
