package layer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// opaque is what an overlay calls a directory that hides all below it, as root's and as
// a plain user's.
var opaque = []string{"trusted.overlay.opaque", "user.overlay.opaque"}

// Untouched reports that the upper layer of an overlay has nothing at a name,
// slash-separated, and hides nothing there: it is as it is below.
func Untouched(upper, name string) bool {
	if _, err := os.Lstat(upper); err != nil {
		return false // it cannot be seen
	}
	for dir := filepath.Dir(filepath.FromSlash(name)); dir != "."; dir = filepath.Dir(dir) {
		for _, attribute := range opaque {
			if _, err := unix.Lgetxattr(filepath.Join(upper, dir), attribute, nil); err == nil {
				return false
			}
		}
	}
	_, err := os.Lstat(filepath.Join(upper, filepath.FromSlash(name)))
	return errors.Is(err, fs.ErrNotExist)
}
