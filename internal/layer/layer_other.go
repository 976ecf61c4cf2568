//go:build !linux

package layer

// Written is nothing: there are no overlays here.
func Written(_, _ string) string { return "" }

// Untouched is false: there are no overlays here.
func Untouched(_, _ string) bool { return false }
