package engine

import (
	"context"
	"time"
)

// ChangeKind says how a file of a container differs.
type ChangeKind string

// The kinds of changes.
const (
	FileAdded   ChangeKind = "added"
	FileChanged ChangeKind = "changed"
	FileRemoved ChangeKind = "removed"
)

// Change is a file of a container that differs from its image, or from the host's directory of a Tree.
type Change struct {
	// Path is absolute. A new directory is one change with everything below it, and its path ends with
	// a slash.
	Path string
	Kind ChangeKind
	// Files and Bytes are those of the file or directory now; 0 if it was removed, and -1 if they are not known.
	Files int
	Bytes int64
	Time  time.Time // of the last change; zero if it is not known
}

// Differ is a Container that knows which of its files have changed.
type Differ interface {
	// Changes returns the changes in no order. Files in volumes and Scratch do not count.
	Changes(ctx context.Context) ([]Change, error)
}
