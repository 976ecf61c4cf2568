package inside

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/overlay"
)

// snapshot copies all changes on the disk into the first directory. The second, if there is one, is
// that of an earlier copy.
func (s *server) snapshot(r Request, files []int) {
	defer closeAll(files)
	c := overlay.Copying{To: files[0], Earlier: -1, Since: r.Since}
	if len(files) > 1 {
		c.Earlier = files[1]
	}
	err := s.layout.openUppers(func(dir int) error {
		c.From = dir
		return c.Run(context.Background())
	})
	if err != nil {
		s.fault(r.ID, err)
		return
	}
	s.send(Response{ID: r.ID, Done: true, Bytes: c.Bytes})
}

// openUppers opens the directory with all changes on the disk.
func (l *Rootfs) openUppers(with func(dir int) error) error {
	if l.disk == nil {
		return errors.New("the sandbox has no changes on the disk")
	}
	const upper = "upper"
	fd, err := unix.Openat(int(l.disk.Fd()), upper, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return with(fd)
}

// above returns the layers of the snapshot above the lower layers of an overlay, the highest first,
// as an option value.
func (l *Rootfs) above(name string) string {
	option := ""
	if l.copied(name) != "" {
		return option
	}
	for _, dir := range l.snapshots(name) {
		option = overlay.Escape(dir) + ":" + option
	}
	return option
}

// snapshots returns the directories of the snapshot with changes to the overlay with a name, the
// lowest first.
func (l *Rootfs) snapshots(name string) []string { return engine.SnapshotMount(l.Snapshot, name) }

// copied returns the directory of the snapshot that an overlay gets as a copy, or "". The kernel
// refuses a lower layer that is a directory of another one, and the host's own files have the
// directory of the snapshot. So the upper layer of a sandbox of these files has all changes to them,
// and only the highest layer of a snapshot counts.
func (l *Rootfs) copied(name string) string {
	all := l.snapshots(name)
	if l.Image || len(all) == 0 || strings.HasPrefix(name, treePrefix) {
		return ""
	}
	return all[len(all)-1]
}

// copyLayer makes upper a copy of a layer, whatever an attempt to mount it before has left there.
func copyLayer(layer, upper string) error {
	if err := os.RemoveAll(upper); err != nil {
		return err
	}
	_, err := overlay.CopyTo(context.Background(), layer, upper, "", time.Time{})
	return err
}
