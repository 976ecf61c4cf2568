//go:build !linux

package configure

import "os"

// flushInput does nothing: input typed before a question is taken for the answer. The system
// call has other names there (TIOCFLUSH on macOS).
func flushInput(*os.File) {}
