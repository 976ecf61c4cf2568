//go:build !linux && !darwin

package tree

import "io/fs"

// FreeSpace is unknown on this system.
func FreeSpace(string) (bytes int64, known bool) { return 0, false }

// Allocated returns the size of a file.
func Allocated(info fs.FileInfo) int64 { return info.Size() }
