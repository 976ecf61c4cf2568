//go:build !linux

package layer

// Written is false: there are no overlays here.
func Written(_, _ string) bool { return false }

// Untouched is false: there are no overlays here.
func Untouched(_, _ string) bool { return false }
