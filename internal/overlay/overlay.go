// Package overlay reads and prepares the layers of overlay file systems of Linux: it
// escapes their mount options, hides files of a lower layer with whiteouts, and reports
// the changes in an upper layer that is visible on the host.
//
// It mounts nothing; the drivers do. On other systems everything is reported as unknown
// or unsupported.
package overlay

import (
	"io/fs"
	"strings"
)

// Escape makes a path safe in the options lowerdir, upperdir and workdir: a comma ends an
// option, and a colon separates layers.
func Escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace(path)
}

// Below returns the name of path, absolute and slash-separated, relative to dir. ok is
// false if path is not in dir.
func Below(dir, path string) (name string, ok bool) {
	if path == dir {
		return ".", true
	}
	return strings.CutPrefix(path, dir+"/")
}

// File is a file of a layer.
type File struct {
	Name string      // slash-separated
	Text []byte      // the contents, unless File has them
	File string      // path of a file with the contents, which gets the mode and the owner too
	Mode fs.FileMode // permissions
}
