//go:build !unix

package watch

// reason describes why the system does not report changes.
func reason(err error) string { return "the system does not report them: " + err.Error() }
