package inside

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// laySystem lays what no file system holds: processes, devices, and directories
// that are empty.
func (l *Layout) laySystem() error {
	// The first process of the sandbox mounts one of its own over it.
	if err := l.mountAt("/proc", "/proc", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := l.laySys(); err != nil {
		return err
	}
	if err := l.layDevices(); err != nil {
		return err
	}
	empty := map[string]string{}
	for _, dir := range l.Scratch {
		empty[dir] = "1777"
	}
	if !l.Image {
		empty["/run"] = "755"
		if err := l.layTemporary(); err != nil {
			return err
		}
	}
	if l.Plain && !l.Image { // root's own home is not for others
		empty["/root"] = "700"
	}
	for _, dir := range sorted(empty) {
		if err := l.mountAt("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode="+empty[dir]); err != nil {
			return err
		}
	}
	return nil
}

func (l *Layout) laySys() error {
	if err := l.mountAt("/sys", "/sys", "", unix.MS_BIND|unix.MS_REC, ""); err != nil || l.Privileged {
		return err
	}
	target, handle, err := l.at("/sys") // what is mounted there now
	if err != nil {
		return err
	}
	defer handle.Close()
	readOnly(target)
	return nil
}

// layTemporary lays an empty /tmp, where builds write much.
func (l *Layout) layTemporary() error {
	dir, _ := l.place(l.memory, "tmp")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, os.ModeSticky|0o777)); err != nil {
		return err
	}
	return l.mountAt(dir, "/tmp", "", unix.MS_BIND, "")
}

// devices are those a container has.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// layDevices lays the devices a container has, a place for terminals, and for
// shared memory. A privileged build has those of this machine.
func (l *Layout) layDevices() error {
	if l.Privileged {
		return l.mountAt("/dev", "/dev", "", unix.MS_BIND|unix.MS_REC, "")
	}
	dir := filepath.Join(l.Base, inMemory, "dev")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := l.mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID, "mode=755,size=64k"); err != nil {
		return err
	}
	for _, name := range devices {
		to := filepath.Join(dir, name)
		if err := os.WriteFile(to, nil, 0o666); err != nil {
			return err
		}
		if err := l.mount("/dev/"+name, to, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"pts", "shm"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	if err := l.mount("devpts", filepath.Join(dir, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return err
	}
	if err := l.mount("tmpfs", filepath.Join(dir, "shm"), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=1777"); err != nil {
		return err
	}
	return l.mountAt(dir, "/dev", "", unix.MS_BIND|unix.MS_REC, "")
}

// readOnly keeps a mount, and where the kernel can those below it, from being
// written to. It is a help and no wall: what fails is left.
func readOnly(dir string) {
	attributes := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if unix.MountSetattr(-1, dir, unix.AT_RECURSIVE, attributes) != nil {
		_ = unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
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
