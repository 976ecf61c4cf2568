package inside

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/internal/overlay"
	"golang.org/x/sys/unix"
)

// layRoot lays the root directory: an image, or the machine's own files.
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

// layImage lays the layers of an image over each other. They are called by short
// names, for an option has room for few long ones.
func (l *Rootfs) mountImage(root string) error {
	dir := filepath.Join(l.Base, inMemory, "layers")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	var names []string
	for i, layer := range l.Layers {
		if slices.Contains(l.Layers[i+1:], layer) {
			continue // it counts where it is highest, and an overlay takes it once
		}
		name := strconv.Itoa(i)
		if err := os.Symlink(layer, filepath.Join(dir, name)); err != nil {
			return err
		}
		names = append(names, name)
	}
	if len(names) == 0 { // an image of nothing
		names = []string{"none"}
		if err := os.Mkdir(filepath.Join(dir, "none"), 0o755); err != nil {
			return err
		}
	}
	slices.Reverse(names) // an overlay wants the highest first
	if err := os.Chdir(dir); err != nil {
		return err
	}
	return l.overlay(strings.Join(names, ":"), root, "root", l.copyMetadata(names[0]))
}

// layParts lays the machine's own files for a plain user. An overlay of / is
// refused him: it would uncover what mounts hide. So each entry is laid for itself.
func (l *Rootfs) mountHostDirs(root string) error {
	if err := l.mount("tmpfs", root, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	mounts, err := mounted(func(string) bool { return true })
	if err != nil {
		return err
	}
	// There are many, and little is written to most: that is in memory, which is
	// faster to make and to remove, where the kernel's memory can be laid over.
	memory := filepath.Join(l.Base, inMemory)
	l.parts = overlayMethod{memory: unix.Setxattr(memory, "user.overlay.opaque", []byte("n"), 0) == nil}
	return l.mountEntries("/", root, mounts)
}

// unlaid are directories that are laid otherwise.
var skippedDirs = []string{"/proc", "/sys", "/dev", "/tmp", "/run", "/root", "/lost+found"}

// layEntries lays what a directory holds, each for itself: a directory in which
// nothing is mounted as an overlay of its own, one in which something is by its
// entries.
func (l *Rootfs) mountEntries(dir, target string, mounts []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // not for this user to see
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
		_ = l.mount(from, to, "", unix.MS_BIND, "") // sockets and files that may not be seen stay empty
		remountReadOnly(to)
		return nil
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
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

// show lays what cannot be laid over: it is seen as it is, and not to be written
// to.
func (l *Rootfs) show(from, to string) {
	_ = l.mount(from, to, "", unix.MS_BIND|unix.MS_REC, "")
	remountReadOnly(to)
}

// layHost lays the machine's own file systems: the root, and each further one
// that holds files, below it.
func (l *Rootfs) mountHost(root string) error {
	if err := l.overlay("/", root, "root", l.copyMetadata("/")); err != nil {
		return err
	}
	mounts, err := mounted(func(kind string) bool { return slices.Contains(mountsBelow, kind) })
	if err != nil {
		return err
	}
	for i, at := range mounts {
		info, err := os.Stat(at)
		if err != nil || !info.IsDir() || at == "/" ||
			within(at, "/proc", "/sys", "/dev", "/tmp", "/run", "/var/lib/docker", l.Base) {
			continue
		}
		target := filepath.Join(root, at)
		if l.overlay(overlay.Escape(at), target, fmt.Sprintf("mount%d", i), l.copyMetadata(at)) != nil {
			l.show(at, target)
		}
	}
	return nil
}

func within(path string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") })
}

// holding are the kinds of file systems that hold files of a machine.
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

// mounted returns where file systems of the wanted kinds are mounted, outermost
// first.
func mounted(wanted func(kind string) bool) ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, line := range strings.Split(string(text), "\n") {
		before, behind, found := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		kind := strings.Fields(behind)
		if !found || len(fields) < 5 || len(kind) == 0 || !wanted(kind[0]) {
			continue
		}
		at := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4])
		all = append(all, at)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
