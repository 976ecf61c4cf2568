package runner

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
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
		b.note("Cache: not saved, what was kept before stays: %v.", err)
	case e == nil:
		b.note("Cache: nothing has changed, it stays as it is.")
	default:
		b.note("Cache: saved, %s in %.1f s.", e, b.Now().Sub(began).Seconds())
	}
}

// tellSpared tells how much faster the commands were for what was restored.
func (b *build) tellSpared() {
	if b.cached.entry == nil {
		return
	}
	cold, now := b.cached.entry.Cold, b.commandTime()
	if spared := cold - now; spared >= sparedLeast {
		b.note("Cache: the commands took %.1f s, without it %.1f s: %.1f s spared.", now.Seconds(), cold.Seconds(), spared.Seconds())
	}
}

// sparedLeast is what is worth telling.
const sparedLeast = 200 * time.Millisecond

// storeCache saves an entry; it is nil when what was restored is the same still.
func (b *build) storeCache(ctx context.Context) (*cache.Entry, error) {
	c := b.cached
	all, err := b.listCache(ctx)
	if err != nil {
		return nil, err
	}
	p := &packing{build: b, files: all, base: c.entry}
	if c.entry == nil || c.entry.Dir() == "" {
		p.base = nil
	}
	kept := p.choose()
	if all != nil && c.entry != nil && p.same() && c.entry.Key == c.name.Key {
		return nil, nil
	}
	if len(p.wanted) == 0 && all != nil {
		return nil, errors.New("there are no such files")
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(p.pack(ctx, w)) }()
	defer r.Close()
	return b.store.Save(ctx, cache.Saving{Base: p.base, Kept: kept, Entry: cache.Entry{
		Scope: c.name.Scope, Version: c.name.Version(), Paths: c.name.Paths, Arch: c.name.Arch, Key: c.name.Key, Image: b.plan.Image,
		Build: b.record.ID, Saved: b.Now(), Cold: b.cold(), Placed: all != nil,
	}}, r)
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

// listed is one file of the container.
type listed struct {
	cache.File
	place   string
	status  int64 // when anything of it changed, nanoseconds since 1970
	changed bool  // since the commands began
}

// listScript lists directories, given before --, alone, and others with all below
// them. First comes which of two forms it is; the last line says that nothing is
// missing. Links are followed where it begins.
const listScript = `
mark=$1; shift
if find / -maxdepth 0 -printf '' 2>/dev/null; then
  printf 'gnu\n'
  list() { find -H "$@" -printf '%y %m %U %G %s %T@ %C@ %p\0%l\0' 2>/dev/null; }
elif find / -maxdepth 0 -exec stat -c %f {} + >/dev/null 2>&1; then
  printf 'stat\n'
  list() { find -H "$@" -exec stat -c '%f %u %g %s %Y %Z %n' {} + 2>/dev/null; }
else
  exit 9
fi
list "$mark" -maxdepth 0
while [ "$1" != -- ]; do list "$1" -maxdepth 0; shift; done
shift
for dir in "$@"; do list "$dir"; done
printf 'end\n'
`

// listCache lists all files that may be of the cache, and the directories they are
// in; nil where the image has no program that does.
func (b *build) listCache(ctx context.Context) ([]listed, error) {
	source := b.plan.Sources[0].Path
	args := []string{"sh", "-c", listScript, "sh", cacheMark}
	var above, below []string
	for _, stem := range b.cached.stems() {
		place := cachePlace(source, stem)
		below = append(below, place)
		for dir := path.Dir(place); dir != "/"; dir = path.Dir(dir) {
			if !slices.Contains(above, dir) {
				above = append(above, dir)
			}
		}
	}
	args = append(append(append(args, above...), "--"), below...)
	var out bytes.Buffer
	_, err := b.container.Exec(ctx, engine.Process{Args: args, Stdout: &out})
	if err != nil {
		return nil, err
	}
	form, text, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	text, whole := bytes.CutSuffix(text, []byte("end\n"))
	read := readGNU
	if string(form) == "stat" {
		read = readStat
	}
	if !whole {
		return nil, nil
	}
	all, known := read(text)
	if !known || len(all) == 0 || all[0].place != cacheMark {
		return nil, nil
	}
	mark := all[0].status
	for i := range all {
		all[i].Name = cacheName(source, all[i].place)
		all[i].changed = all[i].status >= mark
	}
	return all[1:], nil
}

// packing chooses what of the container's files is new, and packs it.
type packing struct {
	*build
	files  []listed     // nil where they are not known
	base   *cache.Entry // whose files need not be packed again; nil for none
	wanted map[string]listed
	fresh  map[string]bool // names of regular files that are packed
}

// choose returns the names that the base has as they are.
func (p *packing) choose() []string {
	p.wanted, p.fresh = map[string]listed{}, map[string]bool{}
	known := map[string]cache.File{}
	if p.base != nil {
		for _, f := range p.base.List() {
			known[f.Name] = f
		}
	}
	var kept []string
	for _, f := range p.files {
		if f.Kind == tar.TypeDir || !p.cached.holds(f.Name) {
			continue
		}
		p.wanted[f.Name] = f
		if old, is := known[f.Name]; is && !f.changed && (old.Kind == f.Kind || old.Kind == tar.TypeLink) {
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
	for _, f := range p.files {
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
	for _, f := range p.base.List() {
		now, is := p.wanted[f.Name]
		if !is && p.cached.holds(f.Name) || is && f.Kind == tar.TypeDir && now.changed && now.Mode != f.Mode {
			return false
		}
		delete(p.wanted, f.Name)
	}
	return len(p.wanted) == 0
}

// sameAsCopied is same where only the names are known of what was restored.
func (p *packing) sameAsCopied() bool {
	copied := map[string]bool{}
	for _, place := range p.cached.copied {
		copied[place] = true
	}
	for _, f := range p.wanted {
		if f.Kind != tar.TypeDir && (f.changed || !copied[f.place]) {
			return false
		}
		delete(copied, f.place)
	}
	return len(copied) == 0
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
		h := &tar.Header{
			Name: f.Name, Typeflag: f.Kind, Mode: f.Mode, Uid: f.UID, Gid: f.GID, ModTime: time.Unix(0, f.Time), Linkname: f.Link, Format: tar.FormatPAX,
		}
		if err := w.WriteHeader(h); err != nil {
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

// readGNU reads what find prints.
func readGNU(text []byte) ([]listed, bool) {
	var all []listed
	parts := strings.Split(string(text), "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		fields := strings.SplitN(parts[i], " ", 8)
		if len(fields) < 8 {
			return nil, false
		}
		kind, known := map[string]byte{"f": tar.TypeReg, "d": tar.TypeDir, "l": tar.TypeSymlink}[fields[0]]
		if !known {
			continue
		}
		mode, err := strconv.ParseInt(fields[1], 8, 32)
		f := listed{place: fields[7], File: cache.File{Kind: kind, Mode: mode, Link: parts[i+1]}}
		err = errors.Join(err, f.numbers(fields[2:7]))
		if err != nil {
			return nil, false
		}
		all = append(all, f)
	}
	return all, true
}

// readStat reads what stat prints, a line each: of a name with a line's end nothing
// can be said. Where links lead it does not tell.
func readStat(text []byte) ([]listed, bool) {
	var all []listed
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 7)
		if len(fields) < 7 {
			return nil, false
		}
		mode, err := strconv.ParseInt(fields[0], 16, 32)
		if err != nil {
			return nil, false
		}
		const format, permissions, directory, regular, link = 0o170000, 0o7777, 0o040000, 0o100000, 0o120000
		kind, known := map[int64]byte{regular: tar.TypeReg, directory: tar.TypeDir}[mode&format]
		if mode&format == link {
			return nil, false
		}
		if !known {
			continue
		}
		f := listed{place: fields[6], File: cache.File{Kind: kind, Mode: mode & permissions}}
		if err := f.numbers(fields[1:6]); err != nil {
			return nil, false
		}
		all = append(all, f)
	}
	return all, true
}

// numbers reads owner, group, size, and the times of the last changes of content and
// of anything.
func (f *listed) numbers(fields []string) error {
	var errs [5]error
	f.UID, errs[0] = strconv.Atoi(fields[0])
	f.GID, errs[1] = strconv.Atoi(fields[1])
	f.Size, errs[2] = strconv.ParseInt(fields[2], 10, 64)
	f.Time, errs[3] = nanoseconds(fields[3])
	f.status, errs[4] = nanoseconds(fields[4])
	return errors.Join(errs[:]...)
}

// nanoseconds reads seconds with a fraction, or without one.
func nanoseconds(text string) (int64, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	const digits, nano = 9, 1_000_000_000
	fraction = (fraction + "000000000")[:digits]
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, err
	}
	parts, err := strconv.ParseInt(fraction, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("a time %q: %w", text, err)
	}
	return seconds*nano + parts, nil
}
