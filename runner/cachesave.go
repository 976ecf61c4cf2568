package runner

import (
	"context"
	"errors"
	"io"
	"path"
	"time"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// save saves the cache for the next build. Only a build that has succeeded does so (not
// documented).
func (s *cacheStep) save(ctx context.Context, c engine.Container) {
	if !s.active || !s.rec.succeeding() {
		return
	}
	s.reportTimeSaved()
	result := func(text string) { s.record(func(c *CacheUse) { c.Result = text }) }
	if s.plan.Cache.Action == CacheRestore {
		result("the buildspec only restores it")
		return
	}
	if s.entry != nil && s.name.Key != "" && s.entry.Key == s.name.Key {
		result("unchanged")
		return // an entry with a key never changes (documented)
	}
	began := s.Now()
	e, err := s.saveEntry(ctx, c)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errNoFiles):
		result(err.Error())
		s.warnNoFiles(ctx)
	case errors.Is(err, cache.ErrImmutable):
		result(err.Error())
		s.rec.about(cacheTopic, "not saved: %v", err)
	case err != nil:
		result(err.Error())
		s.rec.about(cacheTopic, "not saved, previous cache kept: %v", err)
	case e == nil:
		result("unchanged")
		s.rec.about(cacheTopic, "unchanged, not saved")
	default:
		took := s.Now().Sub(began)
		s.record(func(c *CacheUse) { c.Saved, c.Result = newCacheEntry(e, took), "" })
		s.rec.about(cacheTopic, "saved %s in %s", e, human.Duration(took))
	}
}

// leave keeps the cache as it is, because other builds would get what only this one has done, or
// not all of it.
func (s *cacheStep) leave(reason string) {
	if s.active && s.plan.Cache.Action != CacheRestore {
		s.record(func(c *CacheUse) { c.Result = "not saved, because " + reason })
		s.rec.about(cacheTopic, "not saved, because %s", reason)
	}
}

// warnNoFiles reports that the cache has no files, at its first path, with the directory that was
// probably meant.
func (s *cacheStep) warnNoFiles(ctx context.Context) {
	all, first := s.plan.Cache.Paths, 0
	message := "not saved: no file matches " + all[first]
	if s.entry != nil {
		message = "not saved, previous cache kept: no file matches " + all[first]
	}
	if more := len(all) - 1; more > 0 {
		message += " or the other " + human.Count(more, "path")
	}
	hint := ""
	if stems := tree.LiteralPrefixes(all[:1]); len(stems) == 1 && !path.IsAbs(stems[0]) {
		hint = s.files.nearestDirectory(ctx, stems[0])
	}
	s.warnAt(pathEntry(first), hint, "%s", message)
}

// minReportedSaving is the smallest saving of time that is noted.
const minReportedSaving = 200 * time.Millisecond

// reportTimeSaved notes how much faster the commands were with the restored cache.
func (s *cacheStep) reportTimeSaved() {
	if s.entry == nil {
		return
	}
	uncached, now := s.entry.UncachedDuration, s.rec.commandTime()
	if saved := uncached - now; saved >= minReportedSaving {
		s.rec.about(cacheTopic, "the hit saved %s of %s", human.Duration(saved), human.Duration(uncached))
	}
}

// saveEntry saves an entry. It returns nil if the restored entry is unchanged.
func (s *cacheStep) saveEntry(ctx context.Context, c engine.Container) (*cache.Entry, error) {
	sameKey := s.entry != nil && s.entry.Key == s.name.Key
	if sameKey && s.mount.untouched(c, s.paths) {
		return nil, nil
	}
	base := s.entry
	if base != nil && base.Dir() == "" {
		base = nil // a store without files, such as S3
	}
	p, err := cache.NewPacker(ctx, c, s.paths, cacheMark, base)
	if err != nil {
		return nil, err
	}
	p.Bracketed(s.rec.noteBrackets)
	if sameKey && p.Unchanged(s.copied) {
		return nil, nil
	}
	s.copied = nil // not needed any more
	if p.Empty() {
		return nil, errNoFiles
	}
	request := cache.SaveRequest{Base: base, Kept: p.Kept(), Entry: cache.Entry{
		Scope: s.name.Scope, Version: s.name.Version(), Paths: s.name.Paths, Arch: s.name.Arch, Key: s.name.Key,
		Image: s.plan.Image, Build: s.plan.Identity.BuildID(), Saved: s.Now(),
		UncachedDuration: s.uncachedDuration(), HasParentDirs: p.Listed(),
	}}
	progress := Copy{Doing: "saving", What: "cache"}
	progress.AllFiles, progress.AllBytes = p.ToCopy()
	request.Copied = watchCopy(s.Now, progress, s.rec.copying)
	if w, ok := c.(engine.Watcher); ok && !s.CacheInS3 {
		request.Local = p.TakeLocal(ctx, w.Written)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	e, err := s.pack(ctx, p, request)
	if errors.Is(err, cache.ErrNotLocal) {
		// The container has another file than the host: copy all files from the container.
		request.Local = nil
		p.Reset()
		e, err = s.pack(ctx, p, request)
	}
	return e, err
}

// pack streams the packed files to the store.
func (s *cacheStep) pack(ctx context.Context, p *cache.Packer, request cache.SaveRequest) (*cache.Entry, error) {
	r, w := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		w.CloseWithError(p.Pack(ctx, w))
	}()
	e, err := s.store.Save(ctx, request, r)
	_ = r.Close()
	<-packed
	return e, err
}

// uncachedDuration returns the duration of the commands without a cache: of this build if
// it had none, else of the earlier build that had none.
func (s *cacheStep) uncachedDuration() time.Duration {
	if s.entry != nil {
		return s.entry.UncachedDuration
	}
	return s.rec.commandTime()
}
