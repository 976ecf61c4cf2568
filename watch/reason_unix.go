//go:build unix

package watch

import (
	"errors"
	"runtime"
	"syscall"
)

// reason describes why the system does not report changes, with what the user can do about it.
func reason(err error) string {
	linux := runtime.GOOS == "linux"
	switch {
	case linux && errors.Is(err, syscall.ENOSPC):
		return "the limit of watched directories is reached; raise it with sysctl fs.inotify.max_user_watches=524288"
	case linux && errors.Is(err, syscall.EMFILE):
		return "the limit of programs that watch files is reached; raise it with sysctl fs.inotify.max_user_instances=512"
	case errors.Is(err, syscall.EMFILE):
		return "the limit of open files is reached; raise it with ulimit -n"
	}
	return "the system does not report them: " + err.Error()
}
