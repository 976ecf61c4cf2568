// Package atomicfile writes a file completely or not at all.
package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/atomicwriter"
)

// Write replaces the file name by one that holds text, and makes its directory.
// A directory that it makes is private where perm is. A link or anything else
// that is not a regular file is an error, and stays.
func Write(name string, text []byte, perm fs.FileMode) error {
	const searchable = 0o111
	dirPerm := fs.FileMode(0o700)
	if perm&0o077 != 0 {
		dirPerm |= searchable | 0o044
	}
	if err := os.MkdirAll(filepath.Dir(name), dirPerm); err != nil {
		return err
	}
	return atomicwriter.WriteFile(name, text, perm)
}
