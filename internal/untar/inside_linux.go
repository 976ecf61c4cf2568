package untar

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Directory returns a handle of a directory below root, and creates missing directories
// with mode 0755. Links are followed as if root were the root directory.
func Directory(root *os.File, dir string) (*os.File, error) {
	fd, err := makeInside(int(root.Fd()), dir)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// makeInside is Directory for file descriptors. An *os.File costs several system calls and
// allocations, and a layer has thousands of directories.
func makeInside(root int, dir string) (int, error) {
	fd, err := openInside(root, dir)
	if !errors.Is(err, unix.ENOENT) || dir == "." || dir == "/" || dir == "" {
		return fd, err
	}
	above, err := makeInside(root, path.Dir(dir))
	if err != nil {
		return -1, err
	}
	defer unix.Close(above)
	if err := makeMissing(above, path.Base(dir)); err != nil {
		return -1, fmt.Errorf("make %s: %w", dir, err)
	}
	return openInside(root, dir)
}

// makeMissing creates a directory with mode 0755, whatever the umask of the process. Layers
// are shared by builds of different users, and must not depend on who unpacked them first.
func makeMissing(in int, base string) error {
	err := unix.Mkdirat(in, base, 0o755)
	if err == unix.EEXIST { // a link whose target is missing, which opening it reports
		return nil
	}
	var stat unix.Stat_t
	if err == nil {
		err = unix.Fstatat(in, base, &stat, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err == nil && stat.Mode&0o777 != 0o755 {
		err = unix.Fchmodat(in, base, stat.Mode&0o7000|0o755, 0)
	}
	return err
}

// openInside opens a directory below root. The kernel resolves all links within root.
func openInside(root int, dir string) (int, error) {
	if dir == "" {
		dir = "."
	}
	// A path is resolved in one system call, so there is no moment at which a directory on it
	// could be replaced by a link. Links of /proc are refused, since they lead out of any root.
	how := &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(root, dir, how)
		// EAGAIN: something was renamed meanwhile, and the kernel cannot exclude that the path
		// left root.
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: dir, Err: err}
		}
		return fd, nil
	}
}

// Clear removes the content of a directory, but not of file systems that are mounted in it.
func Clear(dir *os.File) error {
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		err = errors.Join(err, removeAt(int(dir.Fd()), name))
	}
	return err
}

// removeAt removes a name with everything below it.
func removeAt(in int, base string) error {
	err := unix.Unlinkat(in, base, 0)
	// Linux reports a directory as EISDIR, POSIX as EPERM.
	if err != unix.EISDIR && err != unix.EPERM {
		return err
	}
	fd, err := unix.Openat(in, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), base)
	err = Clear(dir)
	dir.Close()
	return errors.Join(err, unix.Unlinkat(in, base, unix.AT_REMOVEDIR))
}
