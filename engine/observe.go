package engine

// Opened are files of a tree that processes have opened, as paths below the tree with slashes, sorted.
type Opened struct {
	Files []string `json:"files,omitempty"`
	Dirs  []string `json:"dirs,omitempty"` // that were opened, for instance to list them; "." is the tree itself
}

// Observer is a Container that can record which files its processes open.
type Observer interface {
	// Observe begins to record the files of the tree at a path, which is one of Spec.Mounts. next
	// returns the files that were opened since the last call, and stop ends the record. Files whose
	// existence was only tested are not recorded. The error wraps ErrUnsupported if nothing can be
	// recorded.
	Observe(path string) (next func() Opened, stop func(), err error)
}
