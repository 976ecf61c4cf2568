package treecopy

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/human"
)

// Copy copies a tar stream to this host. The stream may be hostile: everything is unpacked into a
// new directory first, through os.Root, and no entry leaves it. Its files then replace those at
// their places, after a question. Files with the same contents stay as they are.
type Copy struct {
	Content  io.Reader
	Name     string // of the file or directory
	Contents bool   // copy the contents of the directory, without itself
	To       string
	Exact    bool // To is the new name, also if it is a directory
	Warnf    func(format string, args ...any)
	// Overwrite decides about files that exist. If it returns false, nothing is copied.
	Overwrite func(existing []Replaced) (bool, error)

	root *os.Root // the new directory
	dir  bool     // the stream is that of a directory
}

// Replaced is a file here that another one with other contents will replace.
type Replaced struct{ With, File string }

// TargetError is the error for a destination that cannot be used.
type TargetError struct{ error }

func targetError(format string, args ...any) error { return TargetError{fmt.Errorf(format, args...)} }

// Run copies the stream.
func (u *Copy) Run() error {
	target, parent, err := u.target()
	if err != nil {
		return err
	}
	staging, err := os.MkdirTemp(parent, ".buildlocal-cp-")
	if err != nil {
		return targetError("%s", human.ErrorText(err))
	}
	defer os.RemoveAll(staging)
	source := filepath.Join(staging, unpacked)
	if err := u.unpack(staging); err != nil {
		return err
	}
	if into, err := isDir(target); err != nil {
		return err
	} else if into && !u.Exact && !(u.dir && u.Contents) {
		target = filepath.Join(target, u.Name)
	}
	existing, err := u.conflicts(source, target)
	if err != nil {
		return err
	}
	if len(existing) > 0 {
		agreed, err := u.Overwrite(existing)
		if err != nil || !agreed {
			return err
		}
	}
	return moveInto(source, target)
}

// target returns the destination, and the directory in which it or its files are created.
func (u *Copy) target() (target, parent string, err error) {
	if target, err = filepath.Abs(u.To); err != nil {
		return "", "", err
	}
	into, err := isDir(target)
	switch {
	case err != nil:
		return "", "", err
	case into && !u.Exact:
		return target, target, nil
	case strings.HasSuffix(filepath.ToSlash(u.To), "/"):
		return "", "", targetError("%s: no such directory", u.To)
	}
	return target, filepath.Dir(target), nil
}

// isDir reports whether a directory exists at a path.
func isDir(name string) (bool, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), err
}

// unpacked is the name in the new directory.
const unpacked = "unpacked"

// unpack unpacks the stream below a new directory.
func (u *Copy) unpack(staging string) error {
	r := tar.NewReader(u.Content)
	var dirs []*tar.Header // whose modes and times are set at the end
	for first := true; ; first = false {
		h, err := r.Next()
		if err == io.EOF && first {
			return errors.New("the build has sent nothing")
		}
		if err == io.EOF {
			return u.finish(dirs)
		}
		if err != nil {
			return err
		}
		if first {
			if err := u.open(staging, h.Typeflag == tar.TypeDir); err != nil {
				return err
			}
			defer u.root.Close()
		}
		name, err := u.local(h)
		if err != nil {
			return err
		}
		if h.Name = name; h.Typeflag == tar.TypeDir {
			dirs = append(dirs, h)
		}
		if err := u.entry(h, r); err != nil {
			return fmt.Errorf("unpack %q: %w", h.Name, err)
		}
	}
}

// open opens the directory that no entry leaves: the new directory itself for a file, else one
// below it.
func (u *Copy) open(staging string, dir bool) (err error) {
	if u.dir = dir; dir {
		staging = filepath.Join(staging, unpacked)
		err = os.Mkdir(staging, 0o755)
	}
	if err == nil {
		u.root, err = os.OpenRoot(staging)
	}
	return err
}

// local returns the name of an entry in that directory.
func (u *Copy) local(h *tar.Header) (string, error) {
	if !u.dir {
		return unpacked, nil
	}
	name := path.Clean(h.Name)
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("the build has sent a name that leaves its directory: %q", h.Name)
	}
	return name, nil
}

// entry unpacks one entry. Devices and pipes are left out.
func (u *Copy) entry(h *tar.Header, content io.Reader) error {
	mode := fs.FileMode(h.Mode).Perm()
	if err := u.root.MkdirAll(path.Dir(h.Name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		const writable = 0o700 // until it is complete
		return u.root.MkdirAll(h.Name, mode|writable)
	case tar.TypeSymlink:
		return u.root.Symlink(h.Linkname, h.Name)
	case tar.TypeLink:
		target, err := u.local(&tar.Header{Name: h.Linkname})
		if err != nil {
			return err
		}
		return u.root.Link(target, h.Name)
	case tar.TypeReg:
		return u.file(h, content, mode)
	}
	u.Warnf("warning: %s is not a file, directory or link; not copied", h.Name)
	return nil
}

// file creates a regular file, which must not exist.
func (u *Copy) file(h *tar.Header, content io.Reader, mode fs.FileMode) error {
	f, err := u.root.OpenFile(h.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return errors.Join(u.root.Chmod(h.Name, mode), u.root.Chtimes(h.Name, h.ModTime, h.ModTime))
}

// finish gives directories their modes and times, the innermost first.
func (u *Copy) finish(dirs []*tar.Header) error {
	slices.Reverse(dirs)
	for _, h := range dirs {
		info, err := u.root.Lstat(h.Name)
		if err != nil || !info.IsDir() {
			continue // a later entry has replaced it
		}
		err = errors.Join(u.root.Chtimes(h.Name, h.ModTime, h.ModTime),
			u.root.Chmod(h.Name, fs.FileMode(h.Mode).Perm()|0o700))
		if err != nil {
			return err
		}
	}
	return nil
}

// conflicts returns the files at the destination that would be replaced.
func (u *Copy) conflicts(source, target string) ([]Replaced, error) {
	var existing []Replaced
	err := filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		at := filepath.Join(target, rel)
		info, err := os.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && d.IsDir():
			return fs.SkipDir // nothing below it exists
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && info.IsDir():
			return nil
		case d.IsDir() || info.IsDir():
			return targetError("%s: a directory and a file cannot replace each other", at)
		}
		same, err := sameContents(file, at)
		if err == nil && !same {
			existing = append(existing, Replaced{file, at})
		}
		return err
	})
	return existing, err
}

// sameContents reports whether two paths are regular files with the same bytes.
func sameContents(one, other string) (bool, error) {
	a, err1 := os.Lstat(one)
	b, err2 := os.Lstat(other)
	if err := errors.Join(err1, err2); err != nil {
		return false, err
	}
	if !a.Mode().IsRegular() || !b.Mode().IsRegular() || a.Size() != b.Size() {
		return false, nil
	}
	x, err1 := os.ReadFile(one)
	y, err2 := os.ReadFile(other)
	return bytes.Equal(x, y), errors.Join(err1, err2)
}

// moveInto moves a file to its place, or the files of a directory that exists there already.
func moveInto(source, target string) error {
	from, err := os.Lstat(source)
	if err != nil {
		return err
	}
	at, err := os.Lstat(target)
	if !from.IsDir() || errors.Is(err, fs.ErrNotExist) {
		return os.Rename(source, target)
	}
	if err != nil {
		return err
	}
	if !at.IsDir() {
		return fmt.Errorf("%s is not a directory any more", target)
	}
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := moveInto(filepath.Join(source, e.Name()), filepath.Join(target, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
