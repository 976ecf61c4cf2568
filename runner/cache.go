package runner

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// Words of cache.action (documented).
const (
	cacheRestore = "restore"
	cacheSave    = "save"
)

// cacheMark is a file that is newer than all that was restored, and older than
// what commands write.
const cacheMark = stateDir + "/cache"

// cached is the section cache as it was settled in this build.
type cached struct {
	name     cache.Name
	patterns []string     // of names in an entry
	entry    *cache.Entry // that was restored; nil for none
	copied   []cache.File // its files that were copied, by absolute paths, without directories
}

// restoreCache puts the files of an earlier build in place, which take the place of
// the source's (documented). A cache that cannot be had fails no build.
func (b *build) restoreCache(ctx context.Context) error {
	if b.plan.Cache == nil || len(b.plan.Cache.Paths) == 0 {
		b.say("Cache is not defined in the buildspec")
		b.say("Skip cache due to: no paths specified to be cached")
		return nil
	}
	settled, err := b.settleCache(ctx)
	if err != nil || settled == nil {
		return err
	}
	b.cached = settled
	if b.plan.Cache.Action != cacheSave {
		if err := b.findCache(ctx); err != nil {
			return err
		}
	}
	if len(b.cached.copied) > 0 {
		select { // until the mark is newer than what was copied
		case <-time.After(clockTick):
		case <-ctx.Done():
		}
	}
	_, _, err = b.sessions[""].Capture(ctx, ": >"+cacheMark)
	return err
}

// clockTick is how coarse the times of files may be, on a kernel of a hundred ticks a
// second, and a little more.
const clockTick = 12 * time.Millisecond

// openCache opens the store, and reports whether there is one.
func (b *build) openCache() bool {
	if b.OpenCache == nil || b.store != nil {
		return b.store != nil
	}
	var err error
	if b.store, err = b.OpenCache(b.note); err != nil {
		b.note("Cache: none: %v.", err)
		b.store = nil
	}
	return b.store != nil
}

// closeCache lets go of what was restored: the container is gone.
func (b *build) closeCache() {
	if b.store == nil {
		return
	}
	if err := b.store.Close(); err != nil {
		b.note("Cache: %v.", err)
	}
}

// settleCache expands what the section says; nil where no cache is used.
func (b *build) settleCache(ctx context.Context) (*cached, error) {
	c := b.plan.Cache
	settled := &cached{name: cache.Name{Scope: b.CacheScope, Paths: c.Paths}}
	for _, p := range c.Paths {
		expanded, err := b.expand(ctx, homeOf(p))
		if errors.Is(err, errExpand) {
			b.note("Cache path skipped: %v.", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		b.say("Expanded cache path %s", expanded)
		settled.patterns = append(settled.patterns, cachePattern(b.plan.Sources[0].Path, expanded))
	}
	if b.custom() != "" {
		return nil, b.linkCustom(ctx, settled.patterns)
	}
	if !b.openCache() {
		return nil, nil // nor a key
	}
	var err error
	if settled.name.Key, err = b.cacheKey(ctx, c.Key); err != nil {
		return nil, err
	}
	if c.Key != "" && settled.name.Key == "" {
		b.note("Cache not used: its key %s is empty.", c.Key)
		return nil, nil
	}
	if b.secret(settled.name.Key) {
		b.note("Cache not used: its key %s contains a secret.", c.Key)
		return nil, nil
	}
	for _, key := range c.FallbackKeys {
		if key, err = b.cacheKey(ctx, key); err != nil {
			return nil, err
		}
		if key != "" && !b.secret(key) { // which would be the beginning of every key
			settled.name.Fallbacks = append(settled.name.Fallbacks, key)
		}
	}
	settled.name.Arch, err = b.architecture(ctx)
	return settled, err
}

// secret reports whether a text has a value that is hidden in the log.
func (b *build) secret(text string) bool { return b.mask.Text(text) != text }

// cacheKey expands a key. One that the shell cannot expand is the author's mistake,
// and no reason to fail: it is as if it were empty.
func (b *build) cacheKey(ctx context.Context, key string) (string, error) {
	if foreseen, sure := b.cacheKeys[key]; sure {
		return foreseen, nil
	}
	if !strings.ContainsAny(key, "$`") {
		return strings.TrimSpace(key), nil
	}
	printed, exit, err := b.sessions[""].Capture(ctx, fmt.Sprintf(keyScript, key))
	printed = strings.TrimSpace(printed)
	if err == nil && exit != 0 {
		b.note("Cache key %s cannot be computed: %s.", key, printed)
		return "", nil
	}
	return printed, err
}

// keyScript expands a key. What its commands complain of is no part of it, and one that
// fails is told.
const keyScript = `{ key="%s"; } 2>` + stateDir + `/complaints || { cat ` + stateDir + `/complaints; exit 1; }
printf %%s "$key"`

// architecture is the machine's as the build sees it, in the words of images.
func (b *build) architecture(ctx context.Context) (string, error) {
	printed, exit, err := b.sessions[""].Capture(ctx, "uname -m")
	if err != nil || exit != 0 {
		return "unknown", err
	}
	machine := strings.TrimSpace(printed)
	if word, known := map[string]string{"x86_64": "amd64", "aarch64": "arm64", "i686": "386"}[machine]; known {
		return word, nil
	}
	return machine, nil
}

// homeOf lets the shell expand ~, which it does not do in quotes.
func homeOf(pattern string) string {
	if pattern == "~" || strings.HasPrefix(pattern, "~/") {
		return "$HOME" + pattern[1:]
	}
	return pattern
}

// cachePattern makes a pattern of names in an entry of a path of the buildspec, which
// is absolute or begins in the source.
func cachePattern(source, pattern string) string {
	if !path.IsAbs(pattern) {
		pattern = path.Join(source, pattern)
	}
	return cacheName(source, path.Clean(pattern))
}

// cacheName is what an absolute path is called in an entry.
func cacheName(source, name string) string {
	switch below, inside := strings.CutPrefix(name, source+"/"); {
	case name == source:
		return cache.Source
	case inside:
		return cache.Source + "/" + below
	}
	return path.Join(cache.Root, name)
}

// cachePlace is the absolute path of a name in an entry.
func cachePlace(source, name string) string {
	if below, inside := strings.CutPrefix(name, cache.Source); inside && (below == "" || below[0] == '/') {
		return path.Join(source, below)
	}
	return path.Join("/", strings.TrimPrefix(name, cache.Root))
}

// holds reports whether a name in an entry is of the cache. A path that names a
// directory means all below it: a cache has only directories elsewhere in the
// service (what it means there is not documented).
func (c *cached) holds(name string) bool {
	for _, pattern := range c.patterns {
		if tree.Match(pattern, name) || tree.IsLiteral(pattern) && strings.HasPrefix(name, pattern+"/") {
			return true
		}
	}
	return false
}

// within reports whether a directory is where a pattern begins, or below it.
func (c *cached) within(name string) bool {
	return slices.ContainsFunc(c.stems(), func(stem string) bool { return name == stem || strings.HasPrefix(name, stem+"/") })
}

// stems are the directories that have all of the cache.
func (c *cached) stems() []string { return tree.LiteralPrefixes(c.patterns) }

// findCache restores an entry, if there is one.
func (b *build) findCache(ctx context.Context) error {
	began := b.Now()
	if b.CacheInS3 {
		b.say("Downloading S3 cache...")
	}
	c := b.cached
	e, err := b.theEntry(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, cache.ErrNone):
		b.note("Cache: a miss; %s.", b.lookedFor(err))
		return nil
	case err != nil:
		b.note("Cache: not restored: %v.", err)
		return nil
	}
	how := "mounted"
	if b.foreseen == nil || !b.foreseen.complete() {
		how, err = "copied", b.placeCache(ctx, e)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		b.note("Cache: not restored: %v.", err)
		return nil
	}
	c.entry = e
	hit := "a hit"
	if e.Key != c.name.Key {
		hit = "restored from fallback key " + e.Key
	}
	b.note("Cache: %s; %s of %s %s in %s.", hit, e, e.Saved.Local().Format(time.DateTime), how, took(b.Now().Sub(began)))
	return nil
}

// took is a time for a person.
func took(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	const hundredth = 10 * time.Millisecond
	return d.Round(hundredth).String()
}

// theEntry finds an entry. One that is mounted stays: should the shell have expanded
// the key to something else, it is there as by a fallback key.
func (b *build) theEntry(ctx context.Context) (*cache.Entry, error) {
	if b.foreseen != nil {
		return b.foreseen.entry, nil
	}
	return b.store.Find(ctx, b.cached.name)
}

// lookedFor says what was looked for.
func (b *build) lookedFor(err error) string {
	if b.cached.name.Key == "" {
		return err.Error()
	}
	return err.Error() + " under the key " + b.cached.name.Key
}

// placeCache copies an entry into the container. What is not of the cache's paths is
// left out (observed).
func (b *build) placeCache(ctx context.Context, e *cache.Entry) error {
	stream, err := b.store.Open(ctx, e)
	if err != nil {
		return err
	}
	defer stream.Close()
	if b.CacheInS3 {
		whole, err := b.spool(stream)
		if err != nil {
			return err
		}
		defer whole.Close()
		stream = whole
		b.say("Unarchiving cache...")
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := b.unarchive(stream, w)
		w.CloseWithError(err)
		done <- err
	}()
	err = b.container.CopyIn(ctx, "/", r)
	_ = r.Close()
	if broken := <-done; broken != nil && !errors.Is(broken, io.ErrClosedPipe) {
		err = broken // which is why the copying ended
	}
	if err != nil {
		b.cached.copied = nil
	}
	return err
}

// spool reads a stream to its end before anything of it is in the container: one that
// breaks off must not leave a part there. The file has no name.
func (b *build) spool(from io.Reader) (*os.File, error) {
	file, err := os.CreateTemp(b.Temp, "cache-*")
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(file, from)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	_ = os.Remove(file.Name()) // where a system lets nobody, the directory goes at the end
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// unarchive copies a stream of an entry as one of the container's root directory.
func (b *build) unarchive(from io.Reader, to io.Writer) error {
	source := b.plan.Sources[0].Path
	r, w := tar.NewReader(from), tar.NewWriter(to)
	copied := map[string]bool{}
	for {
		h, err := r.Next()
		if err == io.EOF {
			return w.Close()
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		if b.foreseen.mounted(name) {
			continue
		}
		if !b.cached.holds(name) {
			if h.Typeflag != tar.TypeDir {
				b.say("Skipping cache entry: path %q is not within allowed cache paths", cachePlace(source, name))
				continue
			}
			if !b.cached.within(name) {
				continue // it is there, or is made
			}
		}
		h.Name = strings.TrimPrefix(cachePlace(source, name), "/")
		if h.Typeflag == tar.TypeLink {
			h.Linkname = strings.TrimPrefix(cachePlace(source, path.Clean(h.Linkname)), "/")
		}
		if h.Typeflag == tar.TypeLink && !copied[h.Linkname] {
			b.note("Cache: %s is left out: the file it is a link to is not copied.", "/"+h.Name)
			continue
		}
		if h.Typeflag != tar.TypeDir {
			copied[h.Name] = true
			file := cache.FileOf(h)
			file.Name = "/" + h.Name
			b.cached.copied = append(b.cached.copied, file)
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}
