//go:build unix

package builds

import (
	"io/fs"
	"syscall"
)

// inode returns the number of a file in its file system. A copy of a directory, a clone and
// an unpacked archive have other ones; a renamed directory keeps it.
func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
