// Package layer tells what the upper layer of an overlay has, where the host can see
// it.
package layer

import "strings"

// Below returns the name of path, absolute and slash-separated, as seen from dir; false
// where it does not lie in it.
func Below(dir, path string) (string, bool) {
	if path == dir {
		return ".", true
	}
	return strings.CutPrefix(path, dir+"/")
}
