package cache

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/buildlocal/buildlocal/internal/tree"
)

// writer writes the files of an entry below a directory that no other process uses. So a
// path that it has checked does not change before it is used.
type writer struct {
	ctx   context.Context // ends the writer before the next file
	dir   string
	root  bool            // this process may set owners
	files map[string]File // everything that was written, by name

	buffer []byte

	onCopied    func(files int, bytes int64) // may be nil
	copiedFiles int
	copiedBytes int64
}

func newWriter(ctx context.Context, dir string) *writer {
	return &writer{
		ctx: ctx, dir: dir, root: os.Geteuid() == 0, files: map[string]File{}, buffer: make([]byte, tree.BufferSize),
	}
}

// next returns an error if there must not be another file: the save was interrupted, or the entry
// has too many of them.
func (w *writer) next() error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if len(w.files) > MaxFiles {
		return errTooMany
	}
	return nil
}

// at returns the path of a name on the host.
func (w *writer) at(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

// unpack writes the files of a tar stream.
func (w *writer) unpack(from io.Reader) error {
	r := tar.NewReader(from)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.entry(h, r); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// entry writes one entry of a stream. Other types than files, directories and links are
// skipped.
func (w *writer) entry(h *tar.Header, content io.Reader) error {
	if err := w.next(); err != nil {
		return err
	}
	name := path.Clean(h.Name)
	if !valid(name) {
		return errors.New("not a valid name in a cache")
	}
	f := FileOf(h)
	f.Name = name
	if err := w.parents(name); err != nil {
		return err
	}
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		err = w.directory(name)
	case tar.TypeReg:
		err = w.file(f, content)
	case tar.TypeSymlink:
		f.Mode = 0o777 // links have no mode of their own, and streams have different ones
		err = os.Symlink(h.Linkname, w.at(name))
	case tar.TypeLink:
		f.Link = path.Clean(h.Linkname)
		if w.files[f.Link].Kind != tar.TypeReg {
			return fmt.Errorf("link to %s, which is not a file of the cache", f.Link)
		}
		err = os.Link(w.at(f.Link), w.at(name))
	default:
		return nil
	}
	if err != nil {
		return err
	}
	w.files[name] = f
	return nil
}

// valid reports whether a name is below Source or Root in its shortest form.
func valid(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return (first == Source || first == Root) && !strings.ContainsRune(name, 0) && path.Clean(name) == name
}

// parents creates the parent directories of a name. A parent that the stream has created
// as another type is refused, so that no link is followed.
func (w *writer) parents(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	switch f, known := w.files[dir]; {
	case known && f.Kind == tar.TypeDir:
		return nil
	case known:
		return fmt.Errorf("%s is not a directory", dir)
	}
	if err := w.parents(dir); err != nil {
		return err
	}
	if err := os.Mkdir(w.at(dir), 0o755); err != nil {
		return err
	}
	w.files[dir] = File{Name: dir, Kind: tar.TypeDir, Mode: 0o755}
	return nil
}

// directory creates a directory. If parents has created it, only its metadata follows.
func (w *writer) directory(name string) error {
	if w.files[name].Kind == tar.TypeDir {
		return nil
	}
	return os.Mkdir(w.at(name), 0o755)
}

func (w *writer) file(f File, content io.Reader) error {
	// O_EXCL refuses a second entry with the name, which a link could otherwise redirect.
	to, err := os.OpenFile(w.at(f.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = tree.CopySparse(to, io.TeeReader(&contextReader{w.ctx, content}, copiedBytes{w}), w.buffer)
	w.copiedFiles++
	if err = errors.Join(err, to.Close()); err != nil {
		return w.spaceError(err, f)
	}
	return w.applyMetadata(f)
}

// copiedBytes counts the bytes of files while they are copied.
type copiedBytes struct{ *writer }

// Write implements io.Writer.
func (c copiedBytes) Write(p []byte) (int, error) {
	if c.copiedBytes += int64(len(p)); c.onCopied != nil {
		c.onCopied(c.copiedFiles, c.copiedBytes)
	}
	return len(p), nil
}

// spaceError adds the needed space to an error of a full file system.
func (w *writer) spaceError(err error, f File) error {
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	free, known := tree.FreeSpace(w.dir)
	if info, err := os.Lstat(w.at(f.Name)); err == nil {
		free += tree.Allocated(info) // the part that was written is removed with the entry
	}
	if !known || f.Size <= free {
		return err
	}
	return &tree.NoSpaceError{Dir: w.dir, What: "files to be cached", Free: free, Need: f.Size}
}

// applyMetadata sets owner, mode and mtime. For non-root users all files keep the current
// owner, are made readable, and lose setuid and setgid.
func (w *writer) applyMetadata(f File) error {
	name := w.at(f.Name)
	if w.root {
		if err := os.Lchown(name, f.UID, f.GID); err != nil {
			return err
		}
	}
	if f.Kind == tar.TypeSymlink {
		return nil
	}
	// The mode is set after the owner, because chown clears setuid and setgid, see chown(2).
	when := time.Unix(0, f.Time)
	return errors.Join(os.Chmod(name, w.mode(f)), os.Chtimes(name, when, when))
}

// mode returns the mode of a file in the store. A non-root user must be able to read files
// and search directories for the next restore.
func (w *writer) mode(f File) fs.FileMode {
	if w.root {
		return unixMode(f.Mode)
	}
	mode := fs.FileMode(f.Mode & 0o777)
	if f.Kind == tar.TypeDir {
		return mode | 0o500
	}
	return mode | 0o400
}

// unixMode converts a mode of a tar stream.
func unixMode(bits int64) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	for bit, goBit := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&bit != 0 {
			mode |= goBit
		}
	}
	return mode
}

// keep links files of another entry that have not changed: it takes no space and no time to
// copy. Entries never change a file, so they can share it.
func (w *writer) keep(base *Entry, names []string) error {
	wanted, known := map[string]bool{}, map[string]File{}
	for _, name := range names {
		wanted[name] = true
	}
	for _, f := range base.list {
		known[f.Name] = f
	}
	// In the order of the list, so that a file comes before the hard links to it.
	for _, f := range base.list {
		if !wanted[f.Name] || f.Kind == tar.TypeDir {
			continue
		}
		if err := w.next(); err != nil {
			return err
		}
		if err := w.parents(f.Name); err != nil {
			return err
		}
		if err := link(filepath.Join(base.dir, filepath.FromSlash(f.Name)), w.at(f.Name), f); err != nil {
			return err
		}
		if _, here := w.files[f.Link]; f.Kind == tar.TypeLink && !here { // its file has changed, so this is a file of its own
			file := known[f.Link]
			file.Name = f.Name
			f = file
		}
		w.files[f.Name] = f
	}
	return nil
}

// copyLocal copies files of the host. The error wraps ErrNotLocal if a file is not the one
// that was listed: background processes of the build may have replaced it.
func (w *writer) copyLocal(all []LocalFile) error {
	// The build chooses the names below Dir, and os.Root follows no link out of it.
	var root *os.Root
	var err error
	for _, n := range all {
		if root == nil || root.Name() != n.Dir {
			if root != nil {
				_ = root.Close()
			}
			if root, err = os.OpenRoot(n.Dir); err != nil {
				return fmt.Errorf("%w: %w", ErrNotLocal, err)
			}
		}
		if err = w.copyLocalFile(root, n); err != nil {
			break
		}
	}
	if root != nil {
		_ = root.Close()
	}
	return err
}

func (w *writer) copyLocalFile(root *os.Root, n LocalFile) error {
	if err := w.next(); err != nil {
		return err
	}
	from, err := root.OpenFile(filepath.FromSlash(n.At), os.O_RDONLY|nonblocking, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotLocal, err)
	}
	defer from.Close()
	same := func() bool {
		info, err := from.Stat()
		return err == nil && info.Mode().IsRegular() && info.Size() == n.Size && info.ModTime().UnixNano() == n.Time
	}
	if !same() {
		return fmt.Errorf("%w: %s", ErrNotLocal, n.At)
	}
	if err := w.parents(n.Name); err != nil {
		return err
	}
	if err := w.file(n.File, from); err != nil {
		return err
	}
	if !same() { // changed during the copy
		return fmt.Errorf("%w: %s", ErrNotLocal, n.At)
	}
	w.files[n.Name] = n.File
	return nil
}

func link(from, to string, f File) error {
	if f.Kind == tar.TypeSymlink && runtime.GOOS != "linux" { // other systems cannot hard-link symbolic links
		return os.Symlink(f.Link, to)
	}
	return os.Link(from, to)
}

// sortLinks makes the first name of several hard links the file and the others links to
// it, because a stream must have the file first.
func (w *writer) sortLinks() {
	first := map[string]string{} // name of a file to the first of its links
	for _, f := range w.files {
		if f.Kind == tar.TypeLink && (first[f.Link] == "" || f.Name < first[f.Link]) {
			first[f.Link] = f.Name
		}
	}
	for _, f := range w.files {
		if to := first[f.Link]; f.Kind == tar.TypeLink && to < f.Link && to != f.Name {
			f.Link = to
			w.files[f.Name] = f
		}
	}
	// Exchange the file with its first link. On the disk both are the same file already.
	for name, to := range first {
		if name < to {
			continue
		}
		file, link := w.files[name], w.files[to]
		file.Name, link.Name, link.Link = to, name, to
		w.files[to], w.files[name] = file, link
	}
}

// finish applies the metadata of directories and symbolic links, deepest first, and returns
// all files, sorted by name. Directories come last because their modes may prevent writes.
func (w *writer) finish() ([]File, error) {
	w.sortLinks()
	files := slices.SortedFunc(maps.Values(w.files), func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	for _, f := range slices.Backward(files) {
		if f.Kind != tar.TypeDir && f.Kind != tar.TypeSymlink {
			continue
		}
		if w.ctx.Err() != nil {
			return nil, context.Cause(w.ctx)
		}
		if err := w.applyMetadata(f); err != nil {
			return nil, err
		}
	}
	return files, nil
}
