// Package atomicfile writes a file completely or not at all.
package atomicfile

import (
	"errors"
	"fmt"
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

// CreatePart creates a new file below root, to be renamed once it is complete. Its name
// is prefix and a unique ending: other writers, in this process too, get their own.
func CreatePart(root *os.Root, prefix string, perm fs.FileMode) (file *os.File, name string, err error) {
	for n := 0; ; n++ {
		name = fmt.Sprintf("%s%d-%d.part", prefix, os.Getpid(), n)
		file, err = root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if !errors.Is(err, fs.ErrExist) {
			return file, name, err
		}
	}
}
