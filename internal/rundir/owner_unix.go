//go:build unix

package rundir

import (
	"io/fs"
	"syscall"
)

// isOwnedBy reports whether a file is owned by a user.
func isOwnedBy(info fs.FileInfo, uid int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(stat.Uid) == uid
}
