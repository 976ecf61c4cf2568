//go:build !linux

package configure

import "os"

// flushInput does nothing: input typed before a question is taken for the answer.
func flushInput(*os.File) {}
