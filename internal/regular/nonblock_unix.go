//go:build unix

package regular

import "syscall"

// nonblock opens a named pipe at once, and no terminal becomes the process's own.
const nonblock = syscall.O_NONBLOCK | syscall.O_NOCTTY
