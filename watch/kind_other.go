//go:build !linux

package watch

// kindAt returns the type of the file system at a path. It is known on Linux only.
func kindAt(string) string { return "" }
