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
	"time"
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

// Change is a name of an overlay that is not as in its lower layers.
type Change struct {
	Name    string // slash-separated; a new directory ends with a slash
	Removed bool
	New     bool // the lower layers do not have it
	Files   int  // of the file, or of a new directory
	Bytes   int64
	Time    time.Time // of the last change
}

// Merge adds the changes of a higher layer to those of lower ones.
func Merge(lower, higher []Change) []Change {
	at := map[string]int{}
	all := append([]Change{}, lower...)
	for i, c := range all {
		at[strings.TrimSuffix(c.Name, "/")] = i
	}
	for _, c := range higher {
		i, had := at[strings.TrimSuffix(c.Name, "/")]
		if !had {
			at[strings.TrimSuffix(c.Name, "/")] = len(all)
			all = append(all, c)
			continue
		}
		c.New = all[i].New
		all[i] = c
	}
	kept := all[:0]
	for _, c := range all {
		if !c.Removed || !c.New { // else it was added and removed
			kept = append(kept, c)
		}
	}
	return kept
}
