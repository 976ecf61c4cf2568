package inside

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mountSystem mounts the parts without files: processes, devices, and empty directories.
func (l *Rootfs) mountSystem() error {
	// The first process of the sandbox mounts its own over it.
	if err := l.mountAt("/proc", "/proc", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := l.mountSys(); err != nil {
		return err
	}
	if err := l.mountDevices(); err != nil {
		return err
	}
	for _, dir := range l.Scratch {
		if err := l.mountAt("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
			return err
		}
	}
	if l.Image {
		return nil
	}
	if err := l.mountAt("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	if l.Plain { // root's home directory is not for other users
		if err := l.mountTmpfs("/root", 0o700); err != nil {
			return err
		}
	}
	return l.mountTmpfs("/tmp", os.ModeSticky|0o777)
}

// mountSys mounts the host's /sys, read-only for unprivileged builds. A non-root user cannot
// mount a new instance without a network namespace of its own.
func (l *Rootfs) mountSys() error {
	if err := l.mountAt("/sys", "/sys", "", unix.MS_BIND|unix.MS_REC, ""); err != nil || l.Privileged {
		return err
	}
	target, handle, err := l.at("/sys") // the file system that is mounted there now
	if err != nil {
		return err
	}
	defer handle.Close()
	remountReadOnly(target)
	return nil
}

// mountTmpfs mounts a directory to which a build may write much. It is empty, or as a snapshot has it.
// It is on the disk if that supports upper layers, because a tmpfs would use memory.
func (l *Rootfs) mountTmpfs(at string, mode os.FileMode) error {
	name := "empty" + strings.ReplaceAll(at, "/", "_")
	dir, _ := l.place(l.memory, name)
	if copied := l.copied(name); copied != "" && !l.Resume {
		if err := copyLayer(copied, dir); err != nil {
			return err
		}
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, mode)); err != nil {
		return err
	}
	return l.bind(dir, at)
}

// bind mounts a directory of the host at a path of the sandbox. Devices that the build
// creates in it cannot be used.
func (l *Rootfs) bind(dir, at string) error {
	if err := l.mountAt(dir, at, "", unix.MS_BIND, ""); err != nil || l.Privileged {
		return err
	}
	target, handle, err := l.at(at) // the file system that is mounted there now
	if err != nil {
		return err
	}
	defer handle.Close()
	_ = unix.MountSetattr(-1, target, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NODEV})
	return nil
}

// makeReadOnly makes what is mounted at a path read-only.
func (l *Rootfs) makeReadOnly(at string) error {
	target, handle, err := l.at(at)
	if err != nil {
		return err
	}
	defer handle.Close()
	attributes := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(-1, target, 0, attributes); err != nil {
		return fmt.Errorf("mount %s read-only: %w", at, err)
	}
	return nil
}

// devices are the devices of a container.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// mountDevices mounts the devices of a container, terminals, and shared memory. A
// privileged build gets those of the host.
func (l *Rootfs) mountDevices() error {
	if l.Privileged {
		return l.mountAt("/dev", "/dev", "", unix.MS_BIND|unix.MS_REC, "")
	}
	dir := filepath.Join(l.Base, inMemory, "dev")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := l.mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=64k"); err != nil {
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
	for name, to := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0",
		"stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"pts", "shm"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	if err := l.mount("devpts", filepath.Join(dir, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC,
		"newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return err
	}
	if err := l.mount("tmpfs", filepath.Join(dir, "shm"), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC,
		"mode=1777"); err != nil {
		return err
	}
	return l.mountAt(dir, "/dev", "", unix.MS_BIND|unix.MS_REC, "")
}

// remountReadOnly makes a mount read-only, and those below it if the kernel supports that
// (since 5.12). Errors are ignored, because it is only a precaution.
func remountReadOnly(dir string) {
	attributes := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if unix.MountSetattr(-1, dir, unix.AT_RECURSIVE, attributes) != nil {
		_ = unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
}
