package layer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// opaque is what an overlay calls a directory that hides all below it, as root's and as
// a plain user's.
var opaque = []string{"trusted.overlay.opaque", "user.overlay.opaque"}

// metacopy is what an overlay calls a file of which it has all but the content.
var metacopy = []string{"trusted.overlay.metacopy", "user.overlay.metacopy"}

// Written returns the file that the upper layer of an overlay has at a name,
// slash-separated; "" where it has no whole one.
func Written(upper, name string) string {
	file := filepath.Join(upper, filepath.FromSlash(name))
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() || has(file, metacopy) {
		return ""
	}
	return file
}

func has(file string, attributes []string) bool {
	return slices.ContainsFunc(attributes, func(name string) bool {
		_, err := unix.Lgetxattr(file, name, nil)
		return err == nil
	})
}

// Untouched reports that the upper layer of an overlay has nothing at a name,
// slash-separated, and hides nothing there: it is as it is below.
func Untouched(upper, name string) bool {
	if _, err := os.Lstat(upper); err != nil {
		return false // it cannot be seen
	}
	for dir := filepath.Dir(filepath.FromSlash(name)); dir != "."; dir = filepath.Dir(dir) {
		if has(filepath.Join(upper, dir), opaque) {
			return false
		}
	}
	_, err := os.Lstat(filepath.Join(upper, filepath.FromSlash(name)))
	return errors.Is(err, fs.ErrNotExist)
}
