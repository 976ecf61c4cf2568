//go:build unix

package cache

import "syscall"

// nonblocking keeps the opening of a pipe from waiting for somebody who writes.
const nonblocking = syscall.O_NONBLOCK
