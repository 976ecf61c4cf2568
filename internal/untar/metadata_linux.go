package untar

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// applyMetadata sets owner, extended attributes, mode and time.
func (u *unpacker) applyMetadata(in int, base string, h *tar.Header) error {
	if u.Owners {
		if err := unix.Fchownat(in, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); isOwnerError(err) {
			return err
		}
	}
	err := attributes(h, func(name, value string) error { return setAttribute(in, base, name, value) })
	if err != nil {
		return err
	}
	// Links have no mode of their own, and chmod would follow them.
	if h.Typeflag != tar.TypeSymlink {
		if err := unix.Fchmodat(in, base, uint32(h.Mode&0o7777), 0); err != nil {
			return err
		}
	}
	return setTime(in, base, h.ModTime)
}

// fileMetadata sets owner, extended attributes and mode of an open file, in this order: a
// change of the owner removes capabilities and setuid.
func (u *unpacker) fileMetadata(fd int, h *tar.Header) error {
	if u.Owners {
		if err := unix.Fchown(fd, h.Uid, h.Gid); isOwnerError(err) {
			return err
		}
	}
	err := attributes(h, func(name, value string) error { return unix.Fsetxattr(fd, name, []byte(value), 0) })
	if err != nil {
		return err
	}
	return unix.Fchmod(fd, uint32(h.Mode&0o7777))
}

// isOwnerError reports whether an owner could not be set for another reason than that its ID
// is not mapped in the user namespace, which is EINVAL.
func isOwnerError(err error) bool { return err != nil && err != unix.EINVAL }

// setTime sets the time of last modification, which caches and build tools look at.
func setTime(in int, base string, at time.Time) error {
	stamp := unix.NsecToTimespec(at.UnixNano())
	if at.IsZero() || at.Year() < 1902 || at.Year() > 2400 { // a time that file systems cannot store
		stamp = unix.Timespec{}
	}
	// The access time has no meaning in a layer.
	return unix.UtimesNanoAt(in, base, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
}

// attributes sets the extended attributes of the stream. Those of overlay are ignored,
// because a layer must not control it, as are those that the file system does not support.
func attributes(h *tar.Header, set func(name, value string) error) error {
	const prefix = "SCHILY.xattr."
	for key, value := range h.PAXRecords {
		name, is := strings.CutPrefix(key, prefix)
		if !is || strings.Contains(name, ".overlay.") {
			continue
		}
		err := set(name, value)
		switch {
		case err == nil,
			errors.Is(err, unix.ENOTSUP),
			errors.Is(err, unix.EPERM),
			errors.Is(err, unix.EACCES),
			errors.Is(err, unix.EINVAL):
		default:
			return fmt.Errorf("set attribute %s: %w", name, err)
		}
	}
	return nil
}

// setAttribute sets an attribute of a file or directory. Links have none.
func setAttribute(in int, base, name, value string) error {
	// There is no setxattrat before Linux 6.13. Opening a named pipe must not wait for its
	// other end.
	fd, err := unix.Openat(in, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ELOOP {
		return unix.ENOTSUP
	}
	if err != nil {
		return err
	}
	return errors.Join(unix.Fsetxattr(fd, name, []byte(value), 0), unix.Close(fd))
}
