//go:build unix

package cache

import "syscall"

// nonblocking makes opening a named pipe return without a writer.
const nonblocking = syscall.O_NONBLOCK
