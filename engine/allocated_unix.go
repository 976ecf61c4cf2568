//go:build unix

package engine

import (
	"io/fs"
	"syscall"
)

// allocated returns the size of a file without its holes.
func allocated(info fs.FileInfo) int64 {
	const block = 512 // the unit on all systems
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return min(info.Size(), stat.Blocks*block)
	}
	return info.Size()
}
