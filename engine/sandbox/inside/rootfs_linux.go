package inside

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/internal/overlay"
	"github.com/buildlocal/buildlocal/internal/untar"
)

// Rootfs describes the file system of a sandbox, and has the state of mounting it.
type Rootfs struct {
	Metadata  bool       // metadata addresses are not blocked
	Redirects []Redirect // services of this program
	Base      string     // an empty directory of the host, for changes
	Layers    []string   // of the image, lowest first; empty for the host's own files
	Image     bool
	Trees     []Tree
	Volumes   []Tree // directories of the host that are mounted writable
	Scratch   []string
	Mask      []string

	Privileged bool     // capabilities and devices are kept
	Plain      bool     // of a non-root user, who is root in the sandbox
	Alone      bool     // the sandbox has a single user
	Main       bool     // Main will follow
	Resume     bool     // Base has the changes of an earlier sandbox with the same layout
	Snapshot   []string // layers of a snapshot, the lowest first, see engine.SnapshotMount
	FailAt     int      // tests: the number of the mount that fails
	Die        bool     // tests: exit before that mount instead, as if killed

	mounts int           // number of mounts so far
	disk   *os.File      // the directory for changes on the disk
	memory bool          // changes are kept in memory
	chosen bool          // memory is final
	keep   bool          // the changes on the disk are not removed at the end
	parts  overlayMethod // how the directories of a non-root user's root are mounted
	root   *os.File      // the root directory of the sandbox
}

// Tree is a directory of the host to mount copy-on-write. See engine.Tree.
type Tree struct {
	Host, Path string
	Hide       []string
	Over       []string
	ReadOnly   bool // of a volume
}

// HostName is the host name in the sandbox.
const HostName = "buildlocal"

// Directories below Base: on the disk, and on a tmpfs that only the sandbox sees.
const (
	onDisk   = "disk"
	inMemory = "memory"
)

// setup mounts the file system of a sandbox and makes it the root. It runs in a mount
// namespace, which removes all mounts when it ends. Before it detaches the host's files it
// calls wait, for processes that still need them.
func (l *Rootfs) setup(wait func() error) error {
	root := filepath.Join(l.Base, inMemory, "root")
	steps := []func() error{
		// Mounts of the host may appear here, but none of these reach the host.
		func() error { return l.mount("none", "/", "", unix.MS_REC|unix.MS_SLAVE, "") },
		l.prepare,
		func() error { return l.mountRoot(root) },
		l.mountSystem,
		l.mountTrees,
		l.mountVolumes,
		l.mountMasks,
		l.setHostname,
		wait,
		func() error { return enter(root) },
		func() error { return unix.Sethostname([]byte(HostName)) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// prepare creates the directories for changes.
func (l *Rootfs) prepare() error {
	disk, memory := filepath.Join(l.Base, onDisk), filepath.Join(l.Base, inMemory)
	for _, dir := range []string{disk, memory} {
		if err := os.Mkdir(dir, 0o755); err != nil && !(l.Resume && errors.Is(err, fs.ErrExist)) {
			return err
		}
	}
	if err := l.clearWork(); err != nil {
		return err
	}
	var err error
	if l.disk, err = os.Open(disk); err != nil {
		return err
	}
	if err := l.mount("tmpfs", memory, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(memory, "root"), 0o755)
}

// clearWork removes the work directories of an earlier sandbox. The kernel refuses those of an
// overlay that was mounted with the option volatile.
func (l *Rootfs) clearWork() error {
	if !l.Resume {
		return nil
	}
	return os.RemoveAll(filepath.Join(l.Base, onDisk, "work"))
}

// inMemoryOnly reports whether some changes are not on the disk.
func (l *Rootfs) inMemoryOnly() bool { return l.memory || l.parts.memory }

// remove removes all changes, unless they are kept. It also works when the host's root is detached.
func (l *Rootfs) remove() {
	if l.disk != nil {
		// The mounts use these directories. The handle was opened before the host's root was
		// detached, and no path leads to it any more.
		_ = unix.Unmount("/", unix.MNT_DETACH)
		if !l.keep {
			_ = untar.Clear(l.disk)
		}
	}
}

// keptCapabilities are the capabilities of an unprivileged build: those that Docker gives
// to containers.
var keptCapabilities = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW,
	unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL,
	unix.CAP_AUDIT_WRITE,
}

// removedCapabilities returns the capabilities that no process gets.
func (l *Rootfs) removedCapabilities() []int {
	var all []int
	for capability := 0; capability <= unix.CAP_LAST_CAP && !l.Privileged; capability++ {
		if !slices.Contains(keptCapabilities, capability) {
			all = append(all, capability)
		}
	}
	return all
}

// mount mounts something at a path of the host, or at one that at has returned.
func (l *Rootfs) mount(source, target, kind string, flags uintptr, data string) error {
	l.mounts++
	if l.mounts == l.FailAt {
		if l.Die {
			os.Exit(1)
		}
		return fmt.Errorf("mount %s on %s: %w", source, target, unix.EPERM)
	}
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}

// at returns a path at which a directory of the sandbox can be mounted on. It creates the
// directory if it is missing. Links of an image are followed within the sandbox. The caller
// closes the handle.
func (l *Rootfs) at(dir string) (target string, handle *os.File, err error) {
	handle, err = untar.Directory(l.root, strings.TrimPrefix(dir, "/"))
	if err != nil {
		return "", nil, fmt.Errorf("make %s in the sandbox: %w", dir, err)
	}
	// mount(2) needs a path. This one leads to the directory that was checked, even if a link
	// has replaced it.
	return "/proc/self/fd/" + strconv.Itoa(int(handle.Fd())), handle, nil
}

// mountAt mounts something at a directory of the sandbox.
func (l *Rootfs) mountAt(source, dir, kind string, flags uintptr, data string) error {
	target, handle, err := l.at(dir)
	if err != nil {
		return err
	}
	defer handle.Close()
	return l.mount(source, target, kind, flags, data)
}

// place returns the upper and work directories of an overlay, on the disk or in memory.
func (l *Rootfs) place(memory bool, name string) (upper, work string) {
	in := onDisk
	if memory {
		in = inMemory
	}
	return filepath.Join(l.Base, in, "upper", name), filepath.Join(l.Base, in, "work", name)
}

// overlay mounts a copy-on-write view of lower, an option value with directories of the
// host, at target. name identifies its upper directory, which is on the disk, or in memory
// if the disk's file system does not support upper layers. prepare can fill it before the
// mount.
func (l *Rootfs) overlay(lower, target, name string, prepare func(upper string) error) error {
	var failed error
	// With volatile nothing is synced to the disk, which is pointless for a build. Kernels
	// before 5.10 do not support it.
	for _, way := range []overlayMethod{{false, ",volatile"}, {false, ""}, {true, ""}} {
		// The first overlay decides for the others, and Response.Memory reports the choice.
		if l.chosen && way.memory != l.memory {
			continue
		}
		err := l.overlayWith(way, lower, target, name, prepare)
		if err == nil {
			l.memory, l.chosen = way.memory, true
			return nil
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// overlayMethod is where an overlay keeps changes, and a mount option.
type overlayMethod struct {
	memory bool
	option string
}

func (l *Rootfs) overlayWith(w overlayMethod, lower, target, name string, prepare func(upper string) error) error {
	upper, work := l.place(w.memory, name)
	if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	if copied := l.copied(name); copied != "" && !l.Resume {
		prepare = func(upper string) error { return copyLayer(copied, upper) }
	}
	if prepare != nil && !l.Resume {
		if err := prepare(upper); err != nil {
			return err
		}
	}
	return l.mount(
		"overlay",
		target,
		"overlay",
		l.flags(),
		l.option()+w.option+",lowerdir="+l.above(name)+lower+
			",upperdir="+overlay.Escape(upper)+",workdir="+overlay.Escape(work),
	)
}

// option returns the basic mount options. Without redirect_dir, directories of lower layers
// cannot be renamed; non-root users are not allowed to use it.
func (l *Rootfs) option() string {
	if l.Plain {
		return "userxattr"
	}
	return "redirect_dir=on"
}

// flags returns the mount flags. Unprivileged builds cannot use devices that they create.
func (l *Rootfs) flags() uintptr {
	if l.Privileged {
		return 0
	}
	return unix.MS_NODEV
}

// copyMetadata returns a function that gives a directory the mode, owner and times of
// another one. Non-root users own all new files.
func (l *Rootfs) copyMetadata(like string) func(dir string) error {
	return func(dir string) error {
		info, err := os.Stat(like)
		if err != nil {
			return err
		}
		if stat := info.Sys().(*syscall.Stat_t); !l.Plain {
			err = os.Chown(dir, int(stat.Uid), int(stat.Gid))
		}
		return errors.Join(err, os.Chmod(dir, info.Mode()), os.Chtimes(dir, info.ModTime(), info.ModTime()))
	}
}

func (l *Rootfs) mountTrees() error {
	for i, t := range l.Trees {
		target, handle, err := l.at(t.Path)
		if err != nil {
			return err
		}
		err = l.mountTree(t, target, TreeName(i))
		handle.Close()
		if err != nil {
			return fmt.Errorf("%w %s: %w", ErrTree, t.Host, err)
		}
	}
	return nil
}

func (l *Rootfs) mountVolumes() error {
	for _, v := range l.Volumes {
		if err := l.bind(v.Host, v.Path); err != nil {
			return err
		}
		if v.ReadOnly {
			if err := l.makeReadOnly(v.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// TreeName returns the name of a tree's upper directory.
func TreeName(i int) string { return fmt.Sprintf("%s%d", treePrefix, i) }

const treePrefix = "tree"

// Upper returns the directory of the host with the changes to tree i, unless they are kept
// in memory.
func Upper(base string, i int) string {
	return filepath.Join(base, onDisk, "upper", TreeName(i))
}

// Uppers returns the directory of the host with all changes that are on the disk.
func Uppers(base string) string { return filepath.Join(base, onDisk, "upper") }

// RootName is the name of the upper directory of the root directory.
const RootName = "root"

// RootUpper returns the directory of the host with the changes to the root directory.
func RootUpper(base string) string { return filepath.Join(base, onDisk, "upper", "root") }

// mountTree mounts a tree. Hidden names are hidden in the upper layer. If there are
// overlays over the tree, which Hide does not apply to, they are hidden in a layer between.
func (l *Rootfs) mountTree(t Tree, target, name string) error {
	// Files of a snapshot with hidden names were made by the build, so the names are hidden below it.
	if len(t.Over) == 0 && len(l.snapshots(name)) == 0 {
		return l.overlay(overlay.Escape(t.Host), target, name, func(upper string) error {
			return overlay.Hide(upper, t.Host, hiddenNames(t), !l.Plain)
		})
	}
	hidden := filepath.Join(l.Base, inMemory, name+"-hidden")
	if err := errors.Join(os.Mkdir(hidden, 0o755), overlay.Hide(hidden, t.Host, hiddenNames(t), !l.Plain)); err != nil {
		return err
	}
	lower := ""
	for _, dir := range t.Over {
		lower += overlay.Escape(dir) + ":"
	}
	return l.overlay(lower+overlay.Escape(hidden)+":"+overlay.Escape(t.Host), target, name, l.copyMetadata(t.Host))
}

// hiddenNames returns the names to hide that exist: the source may have changed since they
// were listed.
func hiddenNames(t Tree) []string {
	return slices.DeleteFunc(slices.Clone(t.Hide), func(name string) bool {
		_, err := os.Lstat(filepath.Join(t.Host, name))
		return errors.Is(err, fs.ErrNotExist)
	})
}

// ErrTree is wrapped by the error for a directory that cannot be the lower layer of an
// overlay, such as one on a FUSE file system.
var ErrTree = errors.New("lay over")

// mountMasks mounts something empty over files and directories that the build must not see.
func (l *Rootfs) mountMasks() error {
	for _, masked := range l.Mask {
		// Links are resolved as the build does it: within the sandbox.
		how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
		fd, err := unix.Openat2(int(l.root.Fd()), strings.TrimPrefix(masked, "/"), how)
		if err != nil {
			continue // it does not exist
		}
		err = l.mask(fd)
		_ = unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}

// mask mounts an empty directory or /dev/null over an open file, depending on its type.
func (l *Rootfs) mask(fd int) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	target := "/proc/self/fd/" + strconv.Itoa(fd)
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		return l.mount("tmpfs", target, "tmpfs", unix.MS_RDONLY, "mode=755")
	}
	return l.mount("/dev/null", target, "", unix.MS_BIND, "")
}

// setHostname sets the host name, and writes the files for resolving names. An image gets
// the host's.
func (l *Rootfs) setHostname() error {
	hosts, _ := os.ReadFile("/etc/hosts")
	if len(hosts) == 0 {
		hosts = []byte("127.0.0.1\tlocalhost\n::1\tlocalhost\n")
	}
	hosts = fmt.Appendf(hosts, "127.0.1.1\t%s\n", HostName)
	err := errors.Join(l.write("etc/hosts", hosts), l.write("etc/hostname", []byte(HostName+"\n")))
	resolver, unknown := os.ReadFile("/etc/resolv.conf")
	if unknown == nil {
		err = errors.Join(err, l.write("etc/resolv.conf", resolver))
	}
	// With a single user, apt cannot switch to its download user.
	if apt := filepath.Join(l.Base, inMemory, "root/etc/apt/apt.conf.d"); l.Alone && l.Image && exists(apt) {
		err = errors.Join(err, l.write("etc/apt/apt.conf.d/99buildlocal", []byte("APT::Sandbox::User \"root\";\n")))
	}
	return err
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// write replaces a file in the sandbox. It follows no link at the name: /etc/resolv.conf
// often is one to a file below /run, which a sandbox does not have.
func (l *Rootfs) write(name string, text []byte) error {
	dir, err := untar.Directory(l.root, path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	base := path.Base(name)
	switch err := unix.Unlinkat(int(dir.Fd()), base, 0); err {
	case nil, unix.ENOENT:
	case unix.EBUSY: // something is mounted on it, as in containers
		file := filepath.Join(l.Base, inMemory, base)
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
		return l.mount(file, fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), base), "", unix.MS_BIND, "")
	default:
		return fmt.Errorf("write /%s: %w", name, err)
	}
	fd, err := unix.Openat(
		int(dir.Fd()),
		base,
		unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC,
		0o644,
	)
	if err != nil {
		return fmt.Errorf("write /%s: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// enter makes root the root directory and detaches the old one. With "." twice the old root
// is mounted over the new one and needs no directory of its own, see pivot_root(2).
func enter(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("enter the sandbox: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the host: %w", err)
	}
	return os.Chdir("/")
}
