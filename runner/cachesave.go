package runner

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// saveCache keeps files for the next build; only a successful one does so (not
// documented). A cache that cannot be saved fails no build.
func (b *build) saveCache(ctx context.Context) {
	c := b.cached
	if c == nil || b.record.Status != Succeeded {
		return
	}
	b.tellSpared()
	if b.plan.Cache.Action == cacheRestore {
		return
	}
	if c.entry != nil && c.name.Key != "" && c.entry.Key == c.name.Key {
		return // it never changes (documented)
	}
	began := b.Now()
	e, err := b.storeCache(ctx)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, cache.ErrImmutable):
		b.note("Cache: not saved: %v.", err)
	case err != nil:
		b.note("Cache: not saved, previous cache kept: %v.", err)
	case e == nil:
		b.note("Cache: unchanged, not saved.")
	default:
		b.note("Cache: saved, %s in %s.", e, took(b.Now().Sub(began)))
	}
}

// tellSpared tells how much faster the commands were for what was restored.
func (b *build) tellSpared() {
	if b.cached.entry == nil {
		return
	}
	cold, now := b.cached.entry.Cold, b.commandTime()
	if spared := cold - now; spared >= sparedLeast {
		b.note("Cache: commands took %s instead of %s (saved %s).", took(now), took(cold), took(spared))
	}
}

// sparedLeast is what is worth telling.
const sparedLeast = 200 * time.Millisecond

// storeCache saves an entry; it is nil when what was restored is the same still.
func (b *build) storeCache(ctx context.Context) (*cache.Entry, error) {
	c := b.cached
	if b.untouched() {
		return nil, nil
	}
	all, err := b.listCache(ctx)
	if err != nil {
		return nil, err
	}
	p := &packing{build: b, files: all, base: c.entry}
	if c.entry == nil || c.entry.Dir() == "" {
		p.base = nil
	}
	kept := p.choose()
	if all != nil && c.entry != nil && c.entry.Key == c.name.Key && p.same() {
		return nil, nil
	}
	c.copied = nil // has been looked at
	if len(p.wanted) == 0 && all != nil {
		return nil, errors.New("there are no such files")
	}
	saving := cache.Saving{Base: p.base, Kept: kept, Near: p.near(), Entry: cache.Entry{
		Scope: c.name.Scope, Version: c.name.Version(), Paths: c.name.Paths, Arch: c.name.Arch, Key: c.name.Key, Image: b.plan.Image,
		Build: b.record.ID, Saved: b.Now(), Cold: b.cold(), Placed: all != nil,
	}}
	e, err := p.save(ctx, saving)
	if errors.Is(err, cache.ErrNotNear) { // something else than the container has is there
		saving.Near = nil
		p.choose()
		e, err = p.save(ctx, saving)
	}
	return e, err
}

// save has the store keep what is packed.
func (p *packing) save(ctx context.Context, s cache.Saving) (*cache.Entry, error) {
	r, w := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		w.CloseWithError(p.pack(ctx, w))
	}()
	e, err := p.store.Save(ctx, s, r)
	_ = r.Close()
	<-packed
	return e, err
}

// near takes from what is to be packed what this machine has as files: it need not come
// out of the container.
func (p *packing) near() []cache.Near {
	w, tells := p.container.(engine.Watcher)
	if !tells || p.CacheInS3 {
		return nil
	}
	var all []cache.Near
	for name := range p.fresh {
		f := p.wanted[name]
		if f.Kind != tar.TypeReg || f.names > 1 { // the container's tar knows which are one
			continue
		}
		if dir, at := w.Written(f.place); dir != "" {
			all = append(all, cache.Near{File: f.File, Dir: dir, At: at})
			delete(p.fresh, name)
		}
	}
	slices.SortFunc(all, func(a, b cache.Near) int { return strings.Compare(a.Dir+"\x00"+a.At, b.Dir+"\x00"+b.At) })
	return all
}

// untouched reports that all of the cache is mounted, and that the engine knows that
// nothing was written there: nothing has to be read.
func (b *build) untouched() bool {
	w, tells := b.container.(engine.Watcher)
	if !tells || b.foreseen == nil || !b.foreseen.complete() || b.cached.entry.Key != b.cached.name.Key {
		return false
	}
	return !slices.ContainsFunc(b.cached.stems(), func(stem string) bool {
		return !slices.Contains(b.foreseen.stems, stem) || !w.Untouched(cachePlace(b.plan.Sources[0].Path, stem))
	})
}

// cold is how long the commands take without a cache: as long as they took in this
// build if it had none, else what the one that had none noted.
func (b *build) cold() time.Duration {
	if b.cached.entry != nil {
		return b.cached.entry.Cold
	}
	return b.commandTime()
}

// commandTime is how long the phases with commands took.
func (b *build) commandTime() time.Duration {
	var sum time.Duration
	for _, p := range b.record.Phases {
		if slices.Contains([]PhaseType{Install, PreBuild, Build, PostBuild}, p.Type) {
			sum += p.Duration
		}
	}
	return sum
}

// packing chooses what of the container's files is new, and packs it.
type packing struct {
	*build
	files  []listed     // nil where they are not known
	base   *cache.Entry // whose files need not be packed again; nil for none
	wanted map[string]*listed
	fresh  map[string]bool // names of regular files that are packed
}

// choose returns the names that the base has as they are.
func (p *packing) choose() []string {
	p.wanted, p.fresh = make(map[string]*listed, len(p.files)), map[string]bool{}
	known := map[string]cache.File{}
	if p.base != nil {
		known = make(map[string]cache.File, len(p.base.List()))
		for _, f := range p.base.List() {
			if f.Kind == tar.TypeLink { // as its file, which comes first
				name := f.Name
				f = known[f.Link]
				f.Name = name
			}
			known[f.Name] = f
		}
	}
	kept := make([]string, 0, len(known))
	for i := range p.files {
		f := &p.files[i]
		if f.Kind == tar.TypeDir || !p.cached.holds(f.Name) {
			continue
		}
		p.wanted[f.Name] = f
		if old, is := known[f.Name]; is && !f.changed && f.like(old) {
			kept = append(kept, f.Name)
		} else {
			p.fresh[f.Name] = true
		}
	}
	p.directories()
	return kept
}

// directories adds those of the cache, and those that its files are in.
func (p *packing) directories() {
	needed := map[string]bool{}
	for name := range p.wanted {
		for dir := path.Dir(name); !needed[dir] && dir != "."; dir = path.Dir(dir) {
			needed[dir] = true
		}
	}
	for i := range p.files {
		f := &p.files[i]
		if f.Kind == tar.TypeDir && (needed[f.Name] || p.cached.holds(f.Name)) {
			p.wanted[f.Name] = f
		}
	}
}

// same reports whether what was restored has all files, and no other ones.
func (p *packing) same() bool {
	if p.base == nil {
		return p.sameAsCopied()
	}
	if len(p.fresh) > 0 {
		return false
	}
	found := 0
	for _, f := range p.base.List() {
		now, is := p.wanted[f.Name]
		if !is && p.cached.holds(f.Name) || is && f.Kind == tar.TypeDir && now.changed && now.Mode != f.Mode {
			return false
		}
		if is {
			found++
		}
	}
	return found == len(p.wanted)
}

// sameAsCopied is same where the store has no list: what was copied is known.
func (p *packing) sameAsCopied() bool {
	copied := make(map[string]*cache.File, len(p.cached.copied))
	for i := range p.cached.copied {
		copied[p.cached.copied[i].Name] = &p.cached.copied[i]
	}
	for _, f := range p.wanted {
		if f.Kind == tar.TypeDir {
			continue
		}
		old, is := copied[f.place]
		if !is || f.changed || old.Kind != tar.TypeLink && !f.like(*old) {
			return false
		}
		delete(copied, f.place)
	}
	return len(copied) == 0
}

// like reports whether a file is as it was. One may have come to its name with its
// directory, and not have changed since.
func (f *listed) like(old cache.File) bool {
	if f.Kind == tar.TypeSymlink {
		return old.Kind == f.Kind && old.Link == f.Link
	}
	return f.Kind == old.Kind && f.Size == old.Size && f.Time/f.grain() == old.Time/f.grain() && f.Mode == old.Mode && f.UID == old.UID && f.GID == old.GID
}

// grain is how exact its times are, in nanoseconds.
func (f *listed) grain() int64 {
	const second = 1_000_000_000
	if f.coarse {
		return second
	}
	return 1
}

// alone is how many files are asked for one by one.
const alone = 48

// pack writes a tar stream: directories and links as they were listed, and files that
// are new.
func (p *packing) pack(ctx context.Context, to io.Writer) error {
	w := tar.NewWriter(to)
	if p.files == nil {
		return errors.Join(p.packAll(ctx, w), w.Close())
	}
	for _, f := range p.files {
		if _, wanted := p.wanted[f.Name]; !wanted || f.Kind != tar.TypeDir && (f.Kind != tar.TypeSymlink || !p.fresh[f.Name]) {
			continue
		}
		if err := w.WriteHeader(f.Header()); err != nil {
			return err
		}
		delete(p.fresh, f.Name)
	}
	err := p.packListed(ctx, w)
	if err == nil && len(p.fresh) > alone {
		err = p.packStems(ctx, w)
	}
	if err == nil { // also hard links to what is not packed
		err = p.packEach(ctx, w)
	}
	return errors.Join(err, w.Close())
}

// tarScript packs the files whose names it reads, where the image has a tar that can.
const tarScript = `tar --version 2>/dev/null | grep -q GNU && exec tar -C / --no-recursion --null -cf - -T - 2>/dev/null`

// packListed has the container pack what is new, and nothing else. What it does not
// pack is left to others.
func (p *packing) packListed(ctx context.Context, w *tar.Writer) error {
	if len(p.fresh) == 0 {
		return nil
	}
	source := p.plan.Sources[0].Path
	var names bytes.Buffer
	for _, f := range p.files {
		if p.fresh[f.Name] {
			names.WriteString("./" + strings.TrimPrefix(f.place, "/") + "\x00")
		}
	}
	r, out := io.Pipe()
	defer r.Close()
	go func() {
		_, err := p.container.Exec(ctx, engine.Process{Args: []string{"sh", "-c", tarScript}, Stdin: &names, Stdout: out})
		out.CloseWithError(err)
	}()
	stream := tar.NewReader(r)
	for {
		h, err := stream.Next()
		if err != nil { // its end, or that of a tar that could not go on
			return context.Cause(ctx)
		}
		name := cacheName(source, path.Join("/", h.Name))
		if !p.fresh[name] || h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeLink {
			continue
		}
		h.Linkname = linkName(source, h)
		if err := copyEntry(w, name, h, stream); err != nil {
			return err
		}
		delete(p.fresh, name)
	}
}

// linkName is what the file of a hard link is called in an entry.
func linkName(source string, h *tar.Header) string {
	if h.Typeflag != tar.TypeLink {
		return ""
	}
	return cacheName(source, path.Join("/", h.Linkname))
}

// packAll packs all files of the cache, where they could not be listed.
func (p *packing) packAll(ctx context.Context, w *tar.Writer) error {
	p.wanted, p.fresh = nil, map[string]bool{}
	if err := p.packStems(ctx, w); err != nil {
		return err
	}
	return p.packEach(ctx, w)
}

// packStems packs what is wanted of whole directories.
func (p *packing) packStems(ctx context.Context, w *tar.Writer) error {
	source := p.plan.Sources[0].Path
	for _, stem := range p.cached.stems() {
		packed := map[string]bool{}
		err := tree.Walk(ctx, p.container, cachePlace(source, stem), func(name string, h *tar.Header, content io.Reader) error {
			name = path.Join(stem, name)
			if !p.take(name, h) {
				return nil
			}
			if h.Typeflag == tar.TypeLink {
				h.Linkname = path.Join(stem, h.Linkname)
				if !packed[h.Linkname] {
					p.fresh[name] = true
					return nil // it is asked for alone
				}
			}
			packed[name] = true
			delete(p.fresh, name)
			return copyEntry(w, name, h, content)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// take reports whether something that stands in a directory is to be packed.
func (p *packing) take(name string, h *tar.Header) bool {
	if p.files != nil {
		return p.fresh[name] && (h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeLink)
	}
	known := h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeLink || h.Typeflag == tar.TypeSymlink
	return known && p.cached.holds(name) || h.Typeflag == tar.TypeDir && p.cached.within(name)
}

// packEach packs files one by one.
func (p *packing) packEach(ctx context.Context, w *tar.Writer) error {
	source := p.plan.Sources[0].Path
	for name := range p.fresh {
		err := tree.Walk(ctx, p.container, cachePlace(source, name), func(_ string, h *tar.Header, content io.Reader) error {
			if h.Typeflag != tar.TypeReg {
				return tree.ErrStop
			}
			return copyEntry(w, name, h, content)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func copyEntry(w *tar.Writer, name string, h *tar.Header, content io.Reader) error {
	h.Name, h.Format = name, tar.FormatPAX
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(w, content)
	return err
}
