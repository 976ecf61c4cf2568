//go:build unix

package cmd

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a file the owner that another one has, where that is not who
// runs the program.
func keepOwner(file *os.File, like fs.FileInfo) error {
	stat, ok := like.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Getuid() && int(stat.Gid) == os.Getgid() {
		return nil
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}

// belongsTo reports whether a file is a user's.
func belongsTo(info fs.FileInfo, uid int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(stat.Uid) == uid
}
