package control

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// peersAreKnown reports whether peerUser works on this system.
const peersAreKnown = true

// peerUser returns the user of the process that has connected.
func peerUser(conn net.Conn) (uid int, err error) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, errors.New("it is not a Unix socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	var credentials *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		credentials, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, err
	}
	return int(credentials.Uid), nil
}
