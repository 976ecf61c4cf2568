package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// layout is what the file system of a sandbox is made of.
type layout struct {
	Base    string // an empty directory of the host, where the layers are mounted
	Trees   []layoutTree
	Scratch []string
	Mask    []string

	Privileged bool // all capabilities are kept
	Plain      bool // a plain user's: one user, who is root inside
}

// hostName is the name of the machine inside.
const hostName = "buildlocal"

type layoutTree struct {
	Host, Path string
	Hide       []string
}

// lay mounts the file system of a sandbox and enters it. It runs in a mount
// namespace of its own, which takes all of it along when it ends.
func lay(l layout) error {
	root := filepath.Join(l.Base, "root")
	steps := []func() error{
		func() error { return mount("none", "/", "", unix.MS_REC|unix.MS_SLAVE, "") },
		func() error { return mount("tmpfs", l.Base, "tmpfs", 0, "mode=700") },
		func() error { return l.layRoot(root) },
		func() error { return l.laySystem(root) },
		func() error { return l.layTrees(root) },
		func() error { return l.layMasks(root) },
		func() error { return enter(root) },
		func() error { return unix.Sethostname([]byte(hostName)) },
		func() error { return l.drop() },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// kept are the capabilities of a build that is not privileged: those Docker
// leaves a container.
var kept = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
}

// drop takes the other capabilities from all that this thread will start.
func (l layout) drop() error {
	if l.Privileged {
		return nil
	}
	for capability := range unix.CAP_LAST_CAP + 1 {
		if slices.Contains(kept, capability) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0)
		if err != nil && err != unix.EINVAL { // one the kernel does not know
			return fmt.Errorf("drop a capability: %w", err)
		}
	}
	return nil
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}

// overlay mounts a copy-on-write view of lower at target. What is written stands
// in the layout's own tmpfs, below a directory of this name.
func (l layout) overlay(lower, target, name string) error {
	upper, work := filepath.Join(l.Base, "upper", name), filepath.Join(l.Base, "work", name)
	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := l.sameMode(lower, upper); err != nil {
		return err
	}
	// Without redirect_dir a directory of the lower layer cannot be renamed; a
	// plain user cannot have it.
	option := "redirect_dir=on"
	if l.Plain {
		option = "userxattr"
	}
	return mount("overlay", target, "overlay", 0, option+",lowerdir="+escape(lower)+",upperdir="+escape(upper)+",workdir="+escape(work))
}

// escape keeps a path from being taken for more than one option or layer.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `:`, `\:`).Replace(path)
}

// sameMode gives a directory the mode, owner and times of another one. A plain
// user is the owner of all that is new.
func (l layout) sameMode(like, dir string) error {
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	if stat := info.Sys().(*syscall.Stat_t); !l.Plain {
		err = os.Chown(dir, int(stat.Uid), int(stat.Gid))
	}
	return errors.Join(err, os.Chmod(dir, info.Mode()), os.Chtimes(dir, info.ModTime(), info.ModTime()))
}

// layRoot lays the machine's own files.
func (l layout) layRoot(root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if !l.Plain {
		return l.layHost(root)
	}
	// An overlay of / is refused a plain user: it would uncover what mounts hide.
	if err := mount("tmpfs", root, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	mounts, err := mountPoints()
	if err != nil {
		return err
	}
	return l.layEntries("/", root, mounts)
}

// unlaid are directories that are laid otherwise.
var unlaid = []string{"/proc", "/sys", "/dev", "/tmp", "/run", "/root", "/lost+found"}

// layEntries lays what a directory holds, each for itself: a directory in which
// nothing is mounted as an overlay of its own, one in which something is by its
// entries.
func (l layout) layEntries(dir, target string, mounts []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // not for this user to see
	}
	for _, e := range entries {
		from, to := filepath.Join(dir, e.Name()), filepath.Join(target, e.Name())
		if slices.Contains(unlaid, from) || within(l.Base, from) && from == l.Base {
			continue
		}
		if err := l.layEntry(e, from, to, mounts); err != nil {
			return err
		}
	}
	return nil
}

func (l layout) layEntry(e fs.DirEntry, from, to string, mounts []string) error {
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
		_ = mount(from, to, "", unix.MS_BIND, "") // sockets and files that may not be seen stay empty
		readOnly(to)
		return nil
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	if slices.ContainsFunc(mounts, func(at string) bool { return at != from && within(at, from) }) {
		return l.layEntries(from, to, mounts)
	}
	if l.overlay(from, to, "entry"+strings.ReplaceAll(from, "/", "_")) != nil {
		_ = mount(from, to, "", unix.MS_BIND|unix.MS_REC, "")
		readOnly(to)
	}
	return nil
}

// layHost lays the machine's own file systems: the root, and each further one
// that holds files, below it.
func (l layout) layHost(root string) error {
	if err := l.overlay("/", root, "root"); err != nil {
		return err
	}
	mounts, err := fileSystems()
	if err != nil {
		return err
	}
	for i, at := range mounts {
		info, err := os.Stat(at)
		if err != nil || !info.IsDir() || at == "/" || within(at, "/proc", "/sys", "/dev", "/tmp", "/run", "/var/lib/docker", l.Base) {
			continue
		}
		// One that cannot be laid over is seen as it is, and not to be written to.
		target := filepath.Join(root, at)
		if l.overlay(at, target, fmt.Sprintf("mount%d", i)) != nil {
			_ = mount(at, target, "", unix.MS_BIND|unix.MS_REC, "")
			readOnly(target)
		}
	}
	return nil
}

func within(path string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") })
}

// holding are the kinds of file systems that hold files of a machine.
var holding = map[string]bool{"ext2": true, "ext3": true, "ext4": true, "xfs": true, "btrfs": true, "tmpfs": true, "zfs": true, "f2fs": true, "overlay": true, "9p": true, "virtiofs": true, "nfs": true, "nfs4": true}

// fileSystems returns where they are mounted, outermost first.
func fileSystems() ([]string, error) {
	return mounted(func(kind string) bool { return holding[kind] })
}

// mountPoints returns where anything is mounted.
func mountPoints() ([]string, error) { return mounted(func(string) bool { return true }) }

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

// laySystem lays what no file system of the machine holds: processes, devices,
// and directories that are empty.
func (l layout) laySystem(root string) error {
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "run"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	proc := filepath.Join(root, "proc")
	if mount("proc", proc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "") != nil {
		if err := mount("/proc", proc, "", unix.MS_BIND|unix.MS_REC, ""); err != nil { // in a container that hides some of it
			return err
		}
	}
	for _, dir := range []string{"/sys", "/dev"} {
		if err := mount(dir, filepath.Join(root, dir), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	if !l.Privileged {
		readOnly(filepath.Join(root, "sys"))
	}
	empty := map[string]string{"/tmp": "1777", "/run": "755"}
	for _, dir := range l.Scratch {
		empty[dir] = "1777"
	}
	if l.Plain { // root's own home is not for others
		empty["/root"] = "700"
	}
	for _, dir := range sorted(empty) {
		target := filepath.Join(root, dir)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := mount("tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode="+empty[dir]); err != nil {
			return err
		}
	}
	return resolver(root)
}

// readOnly keeps a mount, and where the kernel can those below it, from being
// written to. It is a help and no wall: what fails is left.
func readOnly(dir string) {
	attributes := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if unix.MountSetattr(-1, dir, unix.AT_RECURSIVE, attributes) != nil {
		_ = mount("none", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
}

func sorted(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// resolver keeps names of machines known where their file is a link into /run.
func resolver(root string) error {
	const file = "/etc/resolv.conf"
	text, err := os.ReadFile(file)
	target, linked := os.Readlink(file)
	if err != nil || linked != nil {
		return nil
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join("/etc", target)
	}
	inside := filepath.Join(root, target)
	if err := os.MkdirAll(filepath.Dir(inside), 0o755); err != nil {
		return err
	}
	return os.WriteFile(inside, text, 0o644)
}

func (l layout) layTrees(root string) error {
	for i, t := range l.Trees {
		target := filepath.Join(root, t.Path)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		name := fmt.Sprintf("tree%d", i)
		if err := l.hide(t, filepath.Join(l.Base, "upper", name)); err != nil {
			return err
		}
		if err := l.overlay(t.Host, target, name); err != nil {
			return err
		}
	}
	return nil
}

// hide makes whiteouts in the upper layer: what is not to be seen. The
// directories on the way are as they are below.
func (l layout) hide(t layoutTree, upper string) error {
	for _, hidden := range t.Hide {
		if _, err := os.Lstat(filepath.Join(t.Host, hidden)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var made []string
		for dir := filepath.Dir(hidden); dir != "."; dir = filepath.Dir(dir) {
			made = append(made, dir)
		}
		slices.Reverse(made)
		if err := os.MkdirAll(upper, 0o755); err != nil {
			return err
		}
		for _, dir := range made {
			if err := os.Mkdir(filepath.Join(upper, dir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		err := unix.Mknod(filepath.Join(upper, hidden), unix.S_IFCHR, 0)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("hide %s: %w", hidden, err)
		}
		for _, dir := range slices.Backward(made) {
			if err := l.sameMode(filepath.Join(t.Host, dir), filepath.Join(upper, dir)); err != nil {
				return err
			}
		}
	}
	return nil
}

// layMasks lays something empty over what is not to be seen.
func (l layout) layMasks(root string) error {
	for _, path := range l.Mask {
		target := filepath.Join(root, path)
		info, err := os.Stat(target)
		switch {
		case err != nil:
			continue
		case info.IsDir():
			err = mount("tmpfs", target, "tmpfs", unix.MS_RDONLY, "mode=755")
		default:
			err = mount("/dev/null", target, "", unix.MS_BIND, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// enter makes root the root directory, and lets go of the old one.
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
