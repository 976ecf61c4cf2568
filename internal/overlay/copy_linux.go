package overlay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Copying copies a layer while nothing writes to it. The copy can be a lower layer of other overlays:
// whiteouts, opaque and renamed directories keep their meaning. No link is followed.
type Copying struct {
	From, To int // descriptors of directories; To is empty
	// Earlier is an earlier copy of the same layer that nothing changes, and Since when it was begun.
	// Files that have not changed since then are linked from it. It is -1 without one.
	Earlier int
	Since   time.Time
	// Bytes is the size of the files that were copied.
	Bytes int64

	links map[[2]uint64]string // device and inode → name of the first hard link, below To
}

// clockSlack is how far the times of files lag behind the clock, at most.
const clockSlack = 100 * time.Millisecond

// Run copies the layer. After an error the copy is incomplete.
func (c *Copying) Run(ctx context.Context) error {
	c.links = map[[2]uint64]string{}
	return c.directory(ctx, place{c.From, c.To, c.Earlier, ""})
}

// place is one directory of the three trees, as file descriptors; earlier is -1 if it does not exist.
type place struct {
	from, to, earlier int
	name              string // below To
}

// openFlags open a directory without following a link.
const openFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// directory copies the content of a directory, and then its attributes.
func (c *Copying) directory(ctx context.Context, at place) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	names, err := namesIn(at.from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.entry(ctx, at, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var stat unix.Stat_t
	if err := unix.Fstat(at.from, &stat); err != nil {
		return err
	}
	return copyAttributes(at.from, at.to, &stat)
}

// namesIn lists an open directory.
func namesIn(dir int) ([]string, error) {
	fd, err := unix.Openat(dir, ".", openFlags, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), ".")
	defer file.Close()
	return file.Readdirnames(-1)
}

// entry copies an entry of a directory.
func (c *Copying) entry(ctx context.Context, at place, name string) error {
	var stat unix.Stat_t
	if err := unix.Fstatat(at.from, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		return c.subdirectory(ctx, at, name)
	}
	below := at.name + name
	if stat.Nlink > 1 {
		id := [2]uint64{stat.Dev, stat.Ino}
		if first, copied := c.links[id]; copied {
			return unix.Linkat(c.To, first, at.to, name, 0)
		}
		c.links[id] = below
	}
	if c.unchanged(at, name, &stat) && unix.Linkat(at.earlier, name, at.to, name, 0) == nil {
		return nil
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return c.file(at, name, &stat)
	case unix.S_IFLNK:
		return copyLink(at, name, &stat)
	}
	return copySpecial(at, name, &stat)
}

func (c *Copying) subdirectory(ctx context.Context, at place, name string) error {
	const mine = 0o700 // until everything is in it
	if err := unix.Mkdirat(at.to, name, mine); err != nil {
		return err
	}
	next := place{earlier: -1, name: at.name + name + "/"}
	var err error
	if next.from, err = unix.Openat(at.from, name, openFlags, 0); err != nil {
		return err
	}
	defer unix.Close(next.from)
	if next.to, err = unix.Openat(at.to, name, openFlags, 0); err != nil {
		return err
	}
	defer unix.Close(next.to)
	if at.earlier >= 0 {
		if fd, err := unix.Openat(at.earlier, name, openFlags, 0); err == nil {
			next.earlier = fd
			defer unix.Close(fd)
		}
	}
	return c.directory(ctx, next)
}

// unchanged reports whether the earlier copy has the same file.
func (c *Copying) unchanged(at place, name string, stat *unix.Stat_t) bool {
	if at.earlier < 0 || !time.Unix(stat.Ctim.Unix()).Before(c.Since.Add(-clockSlack)) {
		return false
	}
	var old unix.Stat_t
	return unix.Fstatat(at.earlier, name, &old, unix.AT_SYMLINK_NOFOLLOW) == nil && old.Mode == stat.Mode &&
		old.Size == stat.Size && old.Mtim == stat.Mtim && old.Uid == stat.Uid && old.Gid == stat.Gid && old.Rdev == stat.Rdev
}

// file copies a regular file. File systems that can do it share the blocks of both.
func (c *Copying) file(at place, name string, stat *unix.Stat_t) error {
	in, err := unix.Openat(at.from, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	from := os.NewFile(uintptr(in), name)
	defer from.Close()
	out, err := unix.Openat(at.to, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	to := os.NewFile(uintptr(out), name)
	defer to.Close()
	if unix.IoctlFileClone(out, in) != nil {
		if err := copyData(to, from, stat.Size); err != nil {
			return err
		}
	}
	c.Bytes += min(stat.Size, stat.Blocks*blockSize)
	return errors.Join(copyAttributes(in, out, stat), to.Close())
}

// blockSize is the unit of the blocks of a Stat_t, whatever the file system has.
const blockSize = 512

// copyData copies the content of a file. Its holes remain holes: an image of a disk may be far larger
// than the disk that it is on.
func copyData(to, from *os.File, size int64) error {
	for at := int64(0); at < size; {
		start, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // only a hole follows
			break
		}
		end := size
		if err == nil {
			end, err = unix.Seek(int(from.Fd()), start, unix.SEEK_HOLE)
		}
		if err != nil { // the file system has no holes
			start, end = at, size
		}
		if err := copyRange(to, from, start, end); err != nil {
			return err
		}
		at = end
	}
	return to.Truncate(size)
}

// copyRange copies a part of a file to the same place of another one. The kernel does it, if it can.
func copyRange(to, from *os.File, start, end int64) error {
	_, err := from.Seek(start, io.SeekStart)
	if err == nil {
		_, err = to.Seek(start, io.SeekStart)
	}
	if err == nil {
		_, err = io.Copy(to, io.LimitReader(from, end-start))
	}
	return err
}

// copyAttributes copies owner, mode, extended attributes and times, in this order: a change of the
// owner removes some of the others.
func copyAttributes(from, to int, stat *unix.Stat_t) error {
	if err := unix.Fchown(to, int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(to, stat.Mode&^unix.S_IFMT); err != nil {
		return err
	}
	if err := copyExtended(from, to); err != nil {
		return err
	}
	return unix.UtimesNanoAt(to, "", []unix.Timespec{stat.Atim, stat.Mtim}, unix.AT_EMPTY_PATH)
}

// ofThisLayer are the attributes that an overlay sets for itself in its upper layer. In a copy they
// would be wrong.
var ofThisLayer = []string{"overlay.origin", "overlay.nlink", "overlay.uuid", "overlay.upper"}

// copyExtended copies extended attributes. Those that the user may not set are lost, unless they
// belong to the overlay.
func copyExtended(from, to int) error {
	list := make([]byte, 64<<10)
	n, err := unix.Flistxattr(from, list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return err
	}
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimRight(string(list[:n]), "\x00"), "\x00") {
		_, kind, _ := strings.Cut(name, ".")
		if name == "" || slices.Contains(ofThisLayer, kind) {
			continue
		}
		length, err := unix.Fgetxattr(from, name, value)
		if err == nil {
			err = unix.Fsetxattr(to, name, value[:length], 0)
		}
		if err != nil && strings.HasPrefix(kind, "overlay.") {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// copyLink copies a symbolic link.
func copyLink(at place, name string, stat *unix.Stat_t) error {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(at.from, name, target)
	if err != nil {
		return err
	}
	if err := unix.Symlinkat(string(target[:n]), at.to, name); err != nil {
		return err
	}
	return setOwnerAndTimes(at.to, name, stat)
}

// copySpecial copies a device, a pipe or a socket. Whiteouts are devices too.
func copySpecial(at place, name string, stat *unix.Stat_t) error {
	if err := unix.Mknodat(at.to, name, stat.Mode, int(stat.Rdev)); err != nil {
		return err
	}
	if err := unix.Fchmodat(at.to, name, stat.Mode&^unix.S_IFMT, 0); err != nil {
		return err
	}
	return setOwnerAndTimes(at.to, name, stat)
}

func setOwnerAndTimes(dir int, name string, stat *unix.Stat_t) error {
	if err := unix.Fchownat(dir, name, int(stat.Uid), int(stat.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{stat.Atim, stat.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// CopyTo copies the layer in a directory to another one, which is created in the directory in. See
// Copying; earlier is a directory too, and may be "".
func CopyTo(ctx context.Context, from, to, earlier string, since time.Time) (bytes int64, err error) {
	c := Copying{Earlier: -1, Since: since}
	if err := os.Mkdir(to, 0o700); err != nil {
		return 0, err
	}
	for _, open := range []struct {
		name string
		at   *int
	}{{from, &c.From}, {to, &c.To}, {earlier, &c.Earlier}} {
		if open.name == "" {
			continue
		}
		file, err := os.Open(open.name)
		if errors.Is(err, fs.ErrNotExist) && open.name == earlier {
			continue
		}
		if err != nil {
			return 0, err
		}
		defer file.Close()
		*open.at = int(file.Fd())
	}
	err = c.Run(ctx)
	return c.Bytes, err
}

// LinkTo copies a layer that nothing changes to a directory, which is created, as links to its files.
func LinkTo(ctx context.Context, from, to string) error {
	_, err := CopyTo(ctx, from, to, from, time.Unix(math.MaxInt32, 0)) // each file is older
	return err
}
