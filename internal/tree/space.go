package tree

import (
	"os"
	"path/filepath"
)

// FreeSpaceFor returns FreeSpace of a directory that may not exist yet: that of its
// nearest existing parent.
func FreeSpaceFor(dir string) (bytes int64, known bool) {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return FreeSpace(dir)
		}
		dir = filepath.Dir(dir)
	}
}
