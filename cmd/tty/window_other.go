//go:build !unix

package tty

// windowChanges returns nil: this system sends no signal when the size of the terminal changes.
func windowChanges() <-chan struct{} { return nil }
