//go:build !unix

package builds

import "io/fs"

// inode is 0: fs.FileInfo has no such number on this system.
func inode(fs.FileInfo) uint64 { return 0 }
