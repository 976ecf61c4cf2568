package watch

import "github.com/buildlocal/buildlocal/internal/mounts"

// kindAt returns the type of the file system at a path, or "".
func kindAt(path string) string {
	kind, err := mounts.KindAt(path)
	if err != nil {
		return ""
	}
	return kind
}
