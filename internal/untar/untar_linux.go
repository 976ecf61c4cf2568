package untar

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Unpacking configures how a tar stream is unpacked.
type Unpacking struct {
	// Opaque names the extended attribute that makes a directory hide the one in lower layers,
	// such as trusted.overlay.opaque. If it is set, the stream is a layer of an image: names
	// that begin with .wh. are whiteouts, and are converted to those of overlay. If it is
	// empty, such names have no special meaning.
	Opaque string
	// Owners keeps the owners in the stream, if the process may set them. Otherwise all files
	// are owned by the process's user.
	Owners bool
	// Strict refuses absolute names. Otherwise they are relative to the directory.
	Strict bool
	// Largest bounds the size of a file in bytes; 0 means 128 GiB. A few bytes of header can
	// describe a huge sparse file.
	Largest int64
}

// maxFileSize is more than the largest image in CodeBuild (100 GB uncompressed).
const maxFileSize = 128 << 30

// ErrTooLarge is wrapped by the error for a file that is larger than Largest.
var ErrTooLarge = errors.New("the file is too large")

// ErrEscape is wrapped by the error for a name that leaves the directory.
var ErrEscape = errors.New("the name leaves its directory")

// Unpack writes a tar stream below dir, which must exist. Links in the stream are followed
// as if dir were the root directory, so that nothing is ever written elsewhere. Devices are
// skipped, because a build environment has its own. Missing parent directories are created
// with mode 0755.
func Unpack(dir string, from io.Reader, how Unpacking) error {
	root, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer root.Close()
	u := &unpacker{Unpacking: how, root: int(root.Fd()), handle: -1, made: map[string]bool{}}
	defer u.forget()
	e := readEntries(from)
	defer e.close()
	for {
		h, err := e.next()
		if err == io.EOF {
			return u.finish()
		}
		if err != nil {
			return err
		}
		if err := u.entry(h, e); err != nil {
			return fmt.Errorf("unpack %q: %w", h.Name, err)
		}
	}
}

// unpacker unpacks one stream.
type unpacker struct {
	Unpacking
	root int
	made map[string]bool // names that a layer itself has created: whiteouts do not apply to them
	dirs []directory     // they get their times when they are complete

	at     string // the directory that was used last
	handle int    // its handle, or -1
}

// directory is a directory of the stream.
type directory struct {
	name string
	time time.Time
}

// forget closes the handle of the last directory, which may be removed next.
func (u *unpacker) forget() {
	if u.handle >= 0 {
		_ = unix.Close(u.handle)
	}
	u.at, u.handle = "", -1
}

// parent returns a handle of the parent directory of a name, which is created if it is missing.
// It is valid until the next call. Entries mostly follow others of the same directory, so the
// last handle saves most look-ups. More handles would have to be checked against links that
// replace a directory.
func (u *unpacker) parent(name string) (int, error) {
	dir := path.Dir(name)
	if u.handle >= 0 && u.at == dir {
		return u.handle, nil
	}
	u.forget()
	handle, err := makeInside(u.root, dir)
	if err != nil {
		return -1, err
	}
	u.at, u.handle = dir, handle
	return handle, nil
}

// local returns a name relative to the target directory, which itself is ".".
func (u *unpacker) local(name string) (string, error) {
	clean := path.Clean(name)
	if u.Strict && path.IsAbs(clean) {
		return "", ErrEscape
	}
	clean = strings.TrimLeft(clean, "/")
	if clean == "" {
		clean = "."
	}
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", ErrEscape
	}
	return clean, nil
}

// whiteout is the prefix of whiteouts in layers, as aufs had them; the image specification
// adopted it.
const whiteout = ".wh."

// entry unpacks one entry. The headers of a stream may be contradictory or hostile, so nothing
// is assumed about their order: a name may exist already, and its parent may be a link.
func (u *unpacker) entry(h *tar.Header, text *entries) error {
	name, err := u.local(h.Name)
	if err != nil {
		return err
	}
	// Checked before anything is created: a full disk would affect more than this image.
	if h.Size > cmp.Or(u.Largest, maxFileSize) {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, h.Size)
	}
	if base := path.Base(name); u.Opaque != "" && strings.HasPrefix(base, whiteout) {
		return u.hide(path.Dir(name), strings.TrimPrefix(base, whiteout))
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return errors.New("the root is a directory, and nothing else")
		}
		// Its time changes again with each entry, but nothing depends on it.
		return u.applyMetadata(u.root, ".", h)
	}
	in, err := u.parent(name)
	if err != nil {
		return err
	}
	base := path.Base(name)
	switch h.Typeflag {
	case tar.TypeDir:
		err = u.directory(in, name)
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		u.remember(name)
		return u.file(in, h, base, text)
	case tar.TypeSymlink:
		err = u.withReplace(in, base, func() error { return unix.Symlinkat(h.Linkname, in, base) })
	case tar.TypeLink:
		return u.link(in, name, h.Linkname)
	case tar.TypeFifo:
		err = u.withReplace(in, base, func() error { return unix.Mknodat(in, base, unix.S_IFIFO|0o600, 0) })
	default:
		return nil
	}
	if err != nil {
		return err
	}
	u.remember(name)
	if h.Typeflag == tar.TypeDir {
		u.dirs = append(u.dirs, directory{name, h.ModTime})
	}
	return u.applyMetadata(in, base, h)
}

// remember notes a name that the layer has created.
//
// The disk cannot answer that: an entry may have created the same name as a whiteout.
func (u *unpacker) remember(name string) {
	if u.Opaque != "" {
		u.made[name] = true
	}
}

// directory creates a directory, or keeps an existing one. If it replaces a name that a
// whiteout has hidden, it is made opaque.
func (u *unpacker) directory(in int, name string) error {
	base := path.Base(name)
	// The mode of the entry is set later. Until then other users cannot look into the
	// directory, and this one can write to it.
	err := unix.Mkdirat(in, base, 0o700)
	if err != unix.EEXIST {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Fstatat(in, base, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil
	}
	hidden := u.Opaque != "" && stat.Mode&unix.S_IFMT == unix.S_IFCHR
	err = u.withReplace(in, base, func() error { return unix.Mkdirat(in, base, 0o700) })
	if err == nil && hidden {
		err = setAttribute(in, base, u.Opaque, "y")
	}
	return err
}

// withReplace runs do. If the name exists, it removes that and runs do again. Looking first
// would cost a system call for each entry, and hardly any name exists already.
func (u *unpacker) withReplace(in int, base string, do func() error) error {
	err := do()
	if err != unix.EEXIST {
		return err
	}
	if err := removeAt(in, base); err != nil {
		return err
	}
	return do()
}

// file creates a file. Its metadata is set with its handle, which saves looking it up again.
func (u *unpacker) file(in int, h *tar.Header, base string, text *entries) error {
	fd := -1
	err := u.withReplace(in, base, func() (err error) {
		// With O_EXCL, a link that has the name is never followed: the file is always a new
		// one.
		fd, err = unix.Openat(in, base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	err = fill(fd, text)
	if err == nil {
		err = u.fileMetadata(fd, h)
	}
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return setTime(in, base, h.ModTime)
}

// fill writes the text of an entry.
func fill(fd int, text *entries) error {
	for part := text.more(); len(part) > 0; part = text.more() {
		for len(part) > 0 {
			written, err := unix.Write(fd, part)
			if err != nil && err != unix.EINTR {
				return err
			}
			part = part[max(written, 0):]
		}
	}
	return nil
}

// link creates a hard link to a file of the same stream. Without AT_SYMLINK_FOLLOW, a link to a
// symbolic link is one to itself, not to its target.
func (u *unpacker) link(in int, name, target string) error {
	to, err := u.local(target)
	if err != nil {
		return err
	}
	if to == name {
		return nil
	}
	dir, err := openInside(u.root, path.Dir(to))
	if err != nil {
		return fmt.Errorf("link to %q: %w", target, err)
	}
	defer unix.Close(dir)
	base := path.Base(name)
	err = u.withReplace(in, base, func() error { return unix.Linkat(dir, path.Base(to), in, base, 0) })
	if err != nil {
		return fmt.Errorf("link to %q: %w", target, err)
	}
	u.remember(name)
	return nil
}

// opaque is the name of a whiteout that hides everything of the directory in lower layers.
const opaque = ".wh..opq"

// hide creates a whiteout for a name in lower layers. None is needed if this layer has a
// file of that name, and a directory is made opaque instead.
func (u *unpacker) hide(dir, name string) error {
	if name == "" || name == "." || name == ".." {
		return ErrEscape
	}
	if strings.HasPrefix(name, whiteout) && name != opaque {
		return nil // private metadata of the storage driver aufs
	}
	// Any name in dir will do.
	in, err := u.parent(path.Join(dir, "x"))
	if err != nil {
		return err
	}
	if name == opaque {
		return setAttribute(in, ".", u.Opaque, "y")
	}
	if !u.made[path.Join(dir, name)] {
		// A character device 0:0 is the whiteout of overlay. Creating one needs no privilege.
		err := unix.Mknodat(in, name, unix.S_IFCHR, 0)
		if err != unix.EEXIST {
			return err
		}
	}
	var stat unix.Stat_t
	err = unix.Fstatat(in, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		return setAttribute(in, name, u.Opaque, "y")
	}
	return err
}

// finish sets the times of directories, which changed while files were created in them.
// Directories that were replaced since are missing.
func (u *unpacker) finish() error {
	for i := len(u.dirs) - 1; i >= 0; i-- {
		d := u.dirs[i]
		in, err := u.parent(d.name)
		if err != nil {
			return err
		}
		if err := setTime(in, path.Base(d.name), d.time); err != nil && err != unix.ENOENT {
			return err
		}
	}
	return nil
}
