//go:build unix

package builds

import (
	"io/fs"
	"syscall"
)

// inode returns the number that the file system has for a file.
func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
