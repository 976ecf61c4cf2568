package inside

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/internal/mounts"
	"github.com/buildlocal/buildlocal/internal/overlay"
	"golang.org/x/sys/unix"
)

// mountRoot mounts the root directory: an image, or the host's own files.
func (l *Rootfs) mountRoot(root string) error {
	var err error
	switch {
	case l.Image:
		err = l.mountImage(root)
	case l.Plain:
		err = l.mountHostDirs(root)
	default:
		err = l.mountHost(root)
	}
	if err != nil {
		return err
	}
	l.root, err = os.Open(root)
	return err
}

// mountImage mounts the layers of an image. They get short names, because the mount option
// has room for few long ones.
func (l *Rootfs) mountImage(root string) error {
	dir := filepath.Join(l.Base, inMemory, "layers")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	var names []string
	for i, layer := range l.Layers {
		if slices.Contains(l.Layers[i+1:], layer) {
			continue // overlay refuses a layer that is listed twice; the highest occurrence counts
		}
		name := strconv.Itoa(i)
		if err := os.Symlink(layer, filepath.Join(dir, name)); err != nil {
			return err
		}
		names = append(names, name)
	}
	if len(names) == 0 { // an image without files
		names = []string{"none"}
		if err := os.Mkdir(filepath.Join(dir, "none"), 0o755); err != nil {
			return err
		}
	}
	slices.Reverse(names)                 // overlay lists the highest layer first
	if err := os.Chdir(dir); err != nil { // the names are relative; setup leaves dir again
		return err
	}
	return l.overlay(strings.Join(names, ":"), root, "root", l.copyMetadata(names[0]))
}

// mountHostDirs mounts the host's own files for a non-root user. The kernel refuses an
// overlay of / in a user namespace, because it would uncover directories below other
// mounts. So each entry is mounted separately.
func (l *Rootfs) mountHostDirs(root string) error {
	if err := l.mount("tmpfs", root, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	points, err := mounts.Points(nil)
	if err != nil {
		return err
	}
	// There are many entries, and builds write little to most of them. Their changes are kept
	// in memory, which is faster to create and to remove, if the kernel supports overlays on
	// tmpfs.
	// The upper layer needs extended attributes in the namespace "user", which tmpfs has since
	// Linux 6.6.
	memory := filepath.Join(l.Base, inMemory)
	l.parts = overlayMethod{memory: unix.Setxattr(memory, "user.overlay.opaque", []byte("n"), 0) == nil}
	return l.mountEntries("/", root, points)
}

// skippedDirs are directories that are mounted in another way.
var skippedDirs = []string{"/proc", "/sys", "/dev", "/tmp", "/run", "/root", "/lost+found"}

// mountEntries mounts each entry of a directory: directories without mounts in them as an
// overlay, and those with mounts entry by entry.
func (l *Rootfs) mountEntries(dir, target string, mounts []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // the user may not read it
	}
	for _, e := range entries {
		from, to := filepath.Join(dir, e.Name()), filepath.Join(target, e.Name())
		if slices.Contains(skippedDirs, from) || from == l.Base {
			continue
		}
		if err := l.mountEntry(e, from, to, mounts); err != nil {
			return err
		}
	}
	return nil
}

func (l *Rootfs) mountEntry(e fs.DirEntry, from, to string, mounts []string) error {
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		link, err := os.Readlink(from)
		if err != nil {
			return nil
		}
		return os.Symlink(link, to)
	case !e.IsDir():
		if err := os.WriteFile(to, nil, 0o600); err != nil {
			return err
		}
		_ = l.mount(from, to, "", unix.MS_BIND, "") // sockets and inaccessible files stay empty
		remountReadOnly(to)
		return nil
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	// An overlay does not show file systems that are mounted in its lower layer.
	if slices.ContainsFunc(mounts, func(at string) bool { return at != from && within(at, from) }) {
		return l.mountEntries(from, to, mounts)
	}
	if l.overlayWith(
		l.parts,
		overlay.Escape(from),
		to,
		"entry"+strings.ReplaceAll(from, "/", "_"),
		l.copyMetadata(from),
	) != nil {
		l.show(from, to)
	}
	return nil
}

// show mounts something read-only that cannot be the lower layer of an overlay.
func (l *Rootfs) show(from, to string) {
	_ = l.mount(from, to, "", unix.MS_BIND|unix.MS_REC, "")
	remountReadOnly(to)
}

// mountHost mounts the host's own file systems: the root, and below it every other one that
// has files.
func (l *Rootfs) mountHost(root string) error {
	if err := l.overlay("/", root, "root", l.copyMetadata("/")); err != nil {
		return err
	}
	points, err := mounts.Points(func(kind string) bool { return slices.Contains(mountsBelow, kind) })
	if err != nil {
		return err
	}
	for _, at := range points {
		info, err := os.Stat(at)
		if err != nil || !info.IsDir() || at == "/" ||
			within(at, "/proc", "/sys", "/dev", "/tmp", "/run", "/var/lib/docker", l.Base) {
			continue
		}
		target := filepath.Join(root, at)
		if l.overlay(overlay.Escape(at), target, mountName(at), l.copyMetadata(at)) != nil {
			l.show(at, target)
		}
	}
	return nil
}

// mountName returns the name of the upper directory of a mounted file system. It depends on the
// path alone, because other mounts may have come and gone when a sandbox is resumed.
func mountName(at string) string { return fmt.Sprintf("mount-%x", sha256.Sum256([]byte(at))) }

// MountNames returns the names of the upper directories of the host's file systems that are mounted in
// a sandbox of its files, except for the root, and where each of them is.
func MountNames() map[string]string {
	points, _ := mounts.Points(nil) // without them, the changes there are not known
	all := map[string]string{}
	for _, at := range points {
		if at != "/" {
			all[mountName(at)] = at
		}
	}
	return all
}

// within reports whether path is one of the directories or below one.
func within(path string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") })
}

// mountsBelow are the types of file systems that have files of a host.
var mountsBelow = []string{
	"ext2",
	"ext3",
	"ext4",
	"xfs",
	"btrfs",
	"tmpfs",
	"zfs",
	"f2fs",
	"overlay",
	"9p",
	"virtiofs",
	"nfs",
	"nfs4",
}
