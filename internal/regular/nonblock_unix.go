//go:build unix

package regular

import "syscall"

// nonblock makes opening a named pipe return at once, and keeps a terminal from becoming the
// controlling terminal of this process.
const nonblock = syscall.O_NONBLOCK | syscall.O_NOCTTY
