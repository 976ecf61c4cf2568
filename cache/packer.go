package cache

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// Packer collects the files of a cache from a container. It copies only files that the
// restored entry does not have. Not for concurrent use.
type Packer struct {
	container Container
	paths     Paths
	files     []containerFile           // nil if the image cannot list files
	base      *Entry                    // restored entry whose files are kept; may be nil
	selected  map[string]*containerFile // files and directories of the cache, by name
	fresh     map[string]bool           // names of files and links that must be copied
	kept      []string                  // names of files that base has unchanged
}

// NewPacker lists the files of a cache in a container. mark is a file that was created
// after the cache was restored and before the build's commands. base is the restored
// entry if the store has it as files, else nil.
func NewPacker(ctx context.Context, c Container, paths Paths, mark string, base *Entry) (*Packer, error) {
	files, err := listFiles(ctx, c, paths, mark)
	if err != nil {
		return nil, err
	}
	p := &Packer{container: c, paths: paths, files: files, base: base}
	p.Reset()
	return p, nil
}

// Listed reports whether the files are known. If not, Pack copies whole directories.
func (p *Packer) Listed() bool { return p.files != nil }

// Empty reports whether the container is known to have no file of the cache.
func (p *Packer) Empty() bool { return p.Listed() && len(p.selected) == 0 }

// ToCopy returns the number of files to copy, and their size, or 0 if they are not known.
func (p *Packer) ToCopy() (files int, bytes int64) {
	for name := range p.fresh {
		if f := p.selected[name]; f != nil && f.Kind == tar.TypeReg {
			files, bytes = files+1, bytes+f.Size
		}
	}
	return files, bytes
}

// Bracketed calls found for each pattern with a character class that is also the exact name of
// a file that exists, or of a directory with files. Both are as in the buildspec.
func (p *Packer) Bracketed(found func(pattern, name string)) {
	for _, pattern := range p.paths.Patterns {
		for _, f := range p.files {
			if name := tree.BracketName(pattern, f.Name); name != "" {
				found(p.paths.shown(pattern), p.paths.shown(name))
				break
			}
		}
	}
}

// Kept returns the names of files that the base entry has unchanged.
func (p *Packer) Kept() []string { return p.kept }

// Reset selects the files again, as before TakeLocal.
func (p *Packer) Reset() {
	p.selected, p.fresh, p.kept = make(map[string]*containerFile, len(p.files)), map[string]bool{}, nil
	known := map[string]File{}
	if p.base != nil {
		known = make(map[string]File, len(p.base.List()))
		for _, f := range p.base.List() {
			if f.Kind == tar.TypeLink { // compared as its file, which comes first in the list
				name := f.Name
				f = known[f.Link]
				f.Name = name
			}
			known[f.Name] = f
		}
	}
	for i := range p.files {
		f := &p.files[i]
		if f.Kind == tar.TypeDir || !p.paths.Contain(f.Name) { // see selectDirectories
			continue
		}
		p.selected[f.Name] = f
		if old, found := known[f.Name]; found && !f.changed && f.unchanged(old) {
			p.kept = append(p.kept, f.Name)
		} else {
			p.fresh[f.Name] = true
		}
	}
	p.selectDirectories()
}

// selectDirectories selects the directories of the cache and all parents of its files. The
// parents keep their modes and owners in the entry that way, even those outside the paths.
func (p *Packer) selectDirectories() {
	parents := map[string]bool{}
	for name := range p.selected {
		for dir := path.Dir(name); !parents[dir] && dir != "."; dir = path.Dir(dir) {
			parents[dir] = true
		}
	}
	for i := range p.files {
		f := &p.files[i]
		if f.Kind == tar.TypeDir && (parents[f.Name] || p.paths.Contain(f.Name)) {
			p.selected[f.Name] = f
		}
	}
}

// Unchanged reports whether the container has exactly the files that were restored.
// copied lists the restored files if there is no base entry, see Extraction.Copied. The
// answer is false if the files are not known.
func (p *Packer) Unchanged(copied []File) bool {
	if !p.Listed() {
		return false
	}
	if p.base == nil {
		return p.unchangedCopy(copied)
	}
	if len(p.fresh) > 0 {
		return false
	}
	// All selected names must be in the entry, and all its names that belong to the cache must
	// be selected. Parents of the paths are in the entry too, but need not be selected.
	found := 0
	for _, f := range p.base.List() {
		now, exists := p.selected[f.Name]
		if !exists && p.paths.Contain(f.Name) {
			return false // removed
		}
		if exists && f.Kind == tar.TypeDir && now.changed && now.Mode != f.Mode {
			return false
		}
		if exists {
			found++
		}
	}
	return found == len(p.selected)
}

// unchangedCopy is Unchanged for a cache that was copied into the container. A hard link in a
// tar stream has no size, so only its ctime is compared.
func (p *Packer) unchangedCopy(copied []File) bool {
	missing := make(map[string]*File, len(copied))
	for i := range copied {
		missing[copied[i].Name] = &copied[i]
	}
	for _, f := range p.selected {
		if f.Kind == tar.TypeDir {
			continue
		}
		old, found := missing[p.paths.PathOf(f.Name)]
		if !found || f.changed || old.Kind != tar.TypeLink && !f.unchanged(*old) {
			return false
		}
		delete(missing, p.paths.PathOf(f.Name))
	}
	return len(missing) == 0
}

// TakeLocal returns the files that are available on the host, which Pack then does not
// copy. find returns the directory and the name of an absolute path of the container on
// the host, or "". Files with several hard links are left to Pack, because only the
// container's tar knows which of them are the same file.
//
// It ends early if ctx is done, since find may look at each file.
func (p *Packer) TakeLocal(ctx context.Context, find func(file string) (dir, name string)) []LocalFile {
	var all []LocalFile
	for name := range p.fresh {
		if ctx.Err() != nil {
			return nil
		}
		f := p.selected[name]
		if f.Kind != tar.TypeReg || f.links > 1 {
			continue
		}
		if dir, at := find(p.paths.PathOf(name)); dir != "" {
			all = append(all, LocalFile{File: f.File, Dir: dir, At: at})
			delete(p.fresh, name)
		}
	}
	// Files of one directory follow each other, so that it is opened once.
	slices.SortFunc(all, func(a, b LocalFile) int { return strings.Compare(a.Dir+"\x00"+a.At, b.Dir+"\x00"+b.At) })
	return all
}

// maxSingleFetches is the number of files up to which each is copied separately, which costs
// one request to the engine. For more of them whole directories are streamed, which copies
// unchanged files in vain.
const maxSingleFetches = 48

// Pack writes a tar stream: the selected directories and new symbolic links as they were
// listed, then the new files. Kept files are not in it.
func (p *Packer) Pack(ctx context.Context, to io.Writer) error {
	w := tar.NewWriter(to)
	if !p.Listed() {
		return errors.Join(p.packAll(ctx, w), w.Close())
	}
	for _, f := range p.files {
		if _, selected := p.selected[f.Name]; !selected {
			continue
		}
		if f.Kind != tar.TypeDir && (f.Kind != tar.TypeSymlink || !p.fresh[f.Name]) {
			continue
		}
		if err := w.WriteHeader(f.Header()); err != nil {
			return err
		}
		delete(p.fresh, f.Name)
	}
	// Each step removes the files that it has packed from p.fresh. The last one also
	// packs hard links to files that are not packed themselves.
	err := p.packWithTar(ctx, w)
	if err == nil && len(p.fresh) > maxSingleFetches {
		err = p.packStems(ctx, w)
	}
	if err == nil {
		err = p.packEach(ctx, w)
	}
	return errors.Join(err, w.Close())
}

// tarScript packs the files whose names it reads, if the image has GNU tar.
const tarScript = `tar --version 2>/dev/null | grep -q GNU &&
exec tar -C / --no-recursion --null -cf - -T - 2>/dev/null`

// packWithTar packs new files with the image's tar. Without GNU tar, or if it fails, the
// remaining files are left for the next step.
func (p *Packer) packWithTar(ctx context.Context, w *tar.Writer) error {
	if len(p.fresh) == 0 {
		return nil
	}
	var names bytes.Buffer
	for _, f := range p.files {
		if p.fresh[f.Name] {
			// The prefix keeps tar from reading a name that begins with a hyphen as a flag.
			names.WriteString("./" + strings.TrimPrefix(p.paths.PathOf(f.Name), "/") + "\x00")
		}
	}
	r, out := io.Pipe()
	defer r.Close()
	go func() {
		_, err := p.container.Exec(ctx, engine.Process{
			Args: []string{"sh", "-c", tarScript}, Stdin: &names, Stdout: out,
		})
		out.CloseWithError(err)
	}()
	stream := tar.NewReader(r)
	for {
		h, err := stream.Next()
		if err != nil { // the end of the stream, or of a tar that has failed; nil unless ctx is done
			return context.Cause(ctx)
		}
		name := p.paths.NameOf(path.Join("/", h.Name))
		if !p.fresh[name] || h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeLink {
			continue
		}
		if h.Typeflag == tar.TypeLink {
			h.Linkname = p.paths.NameOf(path.Join("/", h.Linkname))
		} else {
			h.Linkname = ""
		}
		if err := copyEntry(w, name, h, stream); err != nil {
			return err
		}
		delete(p.fresh, name)
	}
}

// packAll packs all files of the cache without a list of them.
func (p *Packer) packAll(ctx context.Context, w *tar.Writer) error {
	p.selected, p.fresh = nil, map[string]bool{}
	if err := p.packStems(ctx, w); err != nil {
		return err
	}
	return p.packEach(ctx, w)
}

// packStems streams whole directories and packs the selected files of them.
func (p *Packer) packStems(ctx context.Context, w *tar.Writer) error {
	for _, stem := range p.paths.Stems() {
		packed := map[string]bool{}
		pack := func(name string, h *tar.Header, content io.Reader) error {
			name = path.Join(stem, name)
			if !p.selects(name, h) {
				return nil
			}
			if h.Typeflag == tar.TypeLink {
				h.Linkname = path.Join(stem, h.Linkname)
				if !packed[h.Linkname] {
					p.fresh[name] = true
					return nil // packEach copies the file of the link
				}
			}
			packed[name] = true
			delete(p.fresh, name)
			return copyEntry(w, name, h, content)
		}
		if err := tree.Walk(ctx, p.container, p.paths.PathOf(stem), pack); err != nil {
			return err
		}
	}
	return nil
}

// selects reports whether an entry of a directory's stream is to be packed.
func (p *Packer) selects(name string, h *tar.Header) bool {
	isFile := h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeLink
	if p.Listed() {
		return p.fresh[name] && isFile
	}
	if h.Typeflag == tar.TypeDir {
		return p.paths.belowStem(name)
	}
	return (isFile || h.Typeflag == tar.TypeSymlink) && p.paths.Contain(name)
}

// packEach copies the remaining files one by one. A file that has disappeared or has become
// something else in the meantime is skipped.
func (p *Packer) packEach(ctx context.Context, w *tar.Writer) error {
	for name := range p.fresh {
		pack := func(_ string, h *tar.Header, content io.Reader) error {
			if h.Typeflag != tar.TypeReg {
				return tree.ErrStop
			}
			return copyEntry(w, name, h, content)
		}
		if err := tree.Walk(ctx, p.container, p.paths.PathOf(name), pack); err != nil {
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
