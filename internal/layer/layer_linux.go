package layer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// elsewhere is what an overlay calls a directory that hides all below it, and one that
// has come from another place, as root's and as a plain user's.
var elsewhere = []string{"trusted.overlay.opaque", "user.overlay.opaque", "trusted.overlay.redirect", "user.overlay.redirect"}

// metacopy is what an overlay calls a file of which it has all but the content.
var metacopy = []string{"trusted.overlay.metacopy", "user.overlay.metacopy"}

// Written reports whether the upper layer of an overlay has a whole file at a name,
// slash-separated. Links on the way are not seen here.
func Written(upper, name string) bool {
	file := filepath.Join(upper, filepath.FromSlash(name))
	info, err := os.Lstat(file)
	return err == nil && info.Mode().IsRegular() && !has(file, metacopy)
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
	parts := strings.Split(name, "/")
	for i := range parts {
		at := filepath.Join(upper, filepath.Join(parts[:i+1]...))
		info, err := os.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return true // nor below it
		case err != nil || !info.IsDir() || has(at, elsewhere):
			return false
		}
	}
	return false // it is there itself
}
