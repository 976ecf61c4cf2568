//go:build !unix

package rundir

import "io/fs"

// isOwnedBy returns true: the owner of a file is not known on this system.
func isOwnedBy(fs.FileInfo, int) bool { return true }
