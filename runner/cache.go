package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
)

// Values of cache.action (documented).
const (
	CacheRestore = "restore"
	CacheSave    = "save"
)

// cacheMark is a file that is newer than all restored files and older than all files that
// commands write.
const cacheMark = StateDir + "/cache"

// cacheStep restores and saves the buildspec's cache. Errors of a cache never fail the
// build; they are noted.
type cacheStep struct {
	*Runner
	plan   *Plan
	rec    *recorder
	shells *shellState
	values variableValues
	files  *collector

	store  cache.Store       // nil before open, or if nothing is cached
	keys   map[string]string // keys that were computed without the shell, by their text
	mount  *cacheMount       // the entry, if files of it are mounted
	active bool              // the cache is used: name and paths are set
	name   cache.Name
	paths  cache.Paths

	entries []string // key paths, below the cache section, of the patterns in paths

	entry  *cache.Entry // that was restored; nil after a miss
	copied []cache.File // files of the entry that were copied, by absolute paths
}

// restore expands the cache section and restores an earlier cache. Its files replace
// those of the source (documented).
func (s *cacheStep) restore(ctx context.Context, c engine.Container) error {
	if s.plan.Cache == nil || len(s.plan.Cache.Paths) == 0 {
		s.rec.say("Cache is not defined in the buildspec")
		s.rec.say("Skip cache due to: no paths specified to be cached")
		return nil
	}
	if err := s.resolve(ctx); err != nil || !s.active {
		return err
	}
	s.record(func(c *CacheUse) { c.Result = "the build failed" })
	if s.plan.Cache.Action != CacheSave {
		if err := s.find(ctx, c); err != nil {
			return err
		}
	}
	if len(s.copied) > 0 {
		// The mark must get a later time than the copied files.
		select {
		case <-time.After(maxClockTick):
		case <-ctx.Done():
		}
	}
	_, _, err := s.shells.capture(ctx, ": >"+cacheMark)
	return err
}

// record changes the description of the cache in the record.
func (s *cacheStep) record(change func(*CacheUse)) {
	s.rec.update(func(r *Record) {
		if r.Cache == nil {
			r.Cache = &CacheUse{Paths: s.plan.Cache.Paths}
		}
		r.Cache.Key = s.name.Key
		change(r.Cache)
	})
}

// maxClockTick is the resolution of file times on a kernel with 100 ticks a second, and a
// little more.
const maxClockTick = 12 * time.Millisecond

// open opens the store and reports whether there is one.
func (s *cacheStep) open() bool {
	if s.OpenCache == nil || s.store != nil {
		return s.store != nil
	}
	store, err := s.OpenCache(s.warn)
	if err != nil {
		s.rec.about(cacheTopic, "none: %v", err)
		return false
	}
	s.store = store
	return true
}

// warn notes a problem of the store.
func (s *cacheStep) warn(format string, args ...any) { s.rec.about(cacheTopic, format, args...) }

// warnAt notes and records a problem of an entry of the cache section, such as paths[0]. The hint
// is shown below the entry; it may be empty.
func (s *cacheStep) warnAt(entry, hint, format string, args ...any) {
	message := "cache " + fmt.Sprintf(format, args...)
	at := s.plan.spec.ProblemAt("cache."+entry, false, message)
	at.Hint = hint
	s.rec.warnAt(cacheTopic, at)
	s.record(func(c *CacheUse) { c.Problems = append(c.Problems, at.Text()) })
}

// close releases restored entries. Call it when the container is removed.
func (s *cacheStep) close() {
	if s.store == nil {
		return
	}
	if err := s.store.Close(); err != nil {
		s.rec.about(cacheTopic, "%v", err)
	}
}

// cacheTopic is the topic of notes about the cache.
const cacheTopic = "cache"

// find restores an entry if there is one. The error is that of ctx.
func (s *cacheStep) find(ctx context.Context, c engine.Container) error {
	began := s.Now()
	if s.CacheInS3 {
		s.rec.say("Downloading S3 cache...")
	}
	e, err := s.findEntry(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, cache.ErrNotFound):
		text := err.Error()
		if s.name.Key != "" {
			text += " with key " + s.name.Key
		}
		s.rec.about(cacheTopic, "a miss; %s", text)
		return nil
	case err != nil:
		s.rec.about(cacheTopic, "not restored: %v", err)
		return nil
	}
	how := "mounted"
	if s.mount == nil || !s.mount.complete(s.paths) {
		how, err = "copied", s.copyEntry(ctx, c, e)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		s.rec.about(cacheTopic, "not restored: %v", err)
		return nil
	}
	s.entry = e
	fallback := ""
	if e.Key != s.name.Key {
		fallback = " of fallback key " + e.Key
	}
	took := s.Now().Sub(began)
	s.rec.about(cacheTopic, "restored %s%s, saved %s; %s in %s", e, fallback,
		human.Ago(s.Now().Sub(e.Saved)), how, human.Duration(took))
	restored := newCacheEntry(e, took)
	restored.How = how
	s.record(func(c *CacheUse) { c.Restored = restored })
	return nil
}

// findEntry returns the entry to restore. A mounted entry stays, even if the shell has
// expanded the key to another text: it then counts as restored from a fallback key.
func (s *cacheStep) findEntry(ctx context.Context) (*cache.Entry, error) {
	if s.mount != nil {
		return s.mount.entry, nil
	}
	return s.store.Find(ctx, s.name)
}

// copyEntry copies the files of an entry into the container that are not mounted.
func (s *cacheStep) copyEntry(ctx context.Context, c engine.Container, e *cache.Entry) error {
	stream, err := s.store.Open(ctx, e)
	if err != nil {
		return err
	}
	defer stream.Close()
	if s.CacheInS3 {
		spooled, err := s.spool(stream)
		if err != nil {
			return err
		}
		defer spooled.Close()
		stream = spooled
		s.rec.say("Unarchiving cache...")
	}
	x := &cache.Extraction{
		Paths: s.paths, Mounted: s.mount.mounted,
		OnOutside: func(file string) {
			s.rec.say("Skipping cache entry: path %q is not within allowed cache paths", file)
		},
		OnDanglingLink: func(file string) {
			s.rec.about(cacheTopic, "link %s skipped: the file that it links to is not copied", file)
		},
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := x.Convert(stream, w)
		w.CloseWithError(err)
		done <- err
	}()
	err = c.CopyIn(ctx, "/", r)
	_ = r.Close()
	if failed := <-done; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		err = failed // the cause of CopyIn's error
	}
	if err == nil {
		s.copied = x.Copied
	}
	return err
}

// spool reads a stream to its end before it is copied, so that a failed download leaves no
// part of a cache in the container. The file is removed before it is returned, or with
// the temporary directory on a system that cannot remove open files.
func (s *cacheStep) spool(from io.Reader) (*os.File, error) {
	file, err := os.CreateTemp(s.Temp, "cache-*")
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(file, from)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	_ = os.Remove(file.Name())
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// errNoFiles is the error of a cache without files.
var errNoFiles = errors.New("no file matches cache.paths")
