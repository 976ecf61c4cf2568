package configure

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushInput discards unread input of a terminal.
func flushInput(terminal *os.File) {
	_ = unix.IoctlSetInt(int(terminal.Fd()), unix.TCFLSH, unix.TCIFLUSH)
}
