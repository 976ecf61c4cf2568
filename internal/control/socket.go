package control

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// maxSocketPath is the longest path of a socket that all systems accept: 104 bytes on macOS
// and 108 on Linux, with a zero byte.
const maxSocketPath = 103

// shortened calls use with a path of the same socket that is short enough for the system. On
// Linux the directory of a long path is named by a descriptor.
func shortened[T any](path string, use func(short string) (T, error)) (T, error) {
	var none T
	if len(path) <= maxSocketPath {
		return use(path)
	}
	if runtime.GOOS != "linux" {
		return none, fmt.Errorf("the path %s is longer than %d bytes, which sockets cannot have\n"+
			"Set TMPDIR to a directory with a shorter path", path, maxSocketPath)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return none, err
	}
	defer dir.Close()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}
