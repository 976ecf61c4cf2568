//go:build linux || darwin

package tree

import (
	"io/fs"
	"os"
	"syscall"
)

// FreeSpace returns how many bytes this user can still write in a directory. Blocks that
// are reserved for root are counted only if this process runs as root. known is false if
// the directory does not exist.
func FreeSpace(dir string) (bytes int64, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	blocks := s.Bavail
	if os.Geteuid() == 0 {
		blocks = s.Bfree
	}
	return int64(blocks) * int64(s.Bsize), true
}

// Allocated returns how many bytes of a file are stored on the disk, that is, without
// holes.
func Allocated(info fs.FileInfo) int64 {
	const sector = 512 // the unit of st_blocks on all file systems
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return min(info.Size(), int64(stat.Blocks)*sector)
	}
	return info.Size()
}
