// Package atomicfile writes files completely or not at all, so that a reader, a crash or a full
// disk never leaves a partial file under the final name.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/atomicwriter"
)

// Write replaces the file name by one with the given contents, and creates its directory if
// needed. If perm gives others no access, neither does a new directory. Write returns an error,
// and changes nothing, if name is a symlink or another file that is not regular. After a power
// failure the file has the old contents or the new ones: atomicwriter synchronizes it.
func Write(name string, text []byte, perm fs.FileMode) error {
	// A new directory has the permissions to list and to search it that correspond to reading
	// the file.
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

// CreatePart creates a file below root that the caller renames once it is complete. Its name is
// prefix and a suffix that is unique among all writers, including those in this process.
func CreatePart(root *os.Root, prefix string, perm fs.FileMode) (file *os.File, name string, err error) {
	// O_EXCL also skips the leftovers of a killed process that had the same ID.
	for n := 0; ; n++ {
		name = fmt.Sprintf("%s%d-%d.part", prefix, os.Getpid(), n)
		file, err = root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if !errors.Is(err, fs.ErrExist) {
			return file, name, err
		}
	}
}
