package configure

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushInput discards unread input of a terminal (tcflush(3) with TCIFLUSH). An error is
// ignored: the question is asked anyway.
func flushInput(terminal *os.File) {
	_ = unix.IoctlSetInt(int(terminal.Fd()), unix.TCFLSH, unix.TCIFLUSH)
}
