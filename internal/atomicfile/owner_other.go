//go:build !unix

package atomicfile

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: a file is owned by the user who creates it.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
