//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a new file the owner of another one, if that is not the current user.
func keepOwner(file *os.File, like fs.FileInfo) error {
	// A user other than root may not give files away, so chown is called only if needed.
	stat, ok := like.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Getuid() && int(stat.Gid) == os.Getgid() {
		return nil
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}
