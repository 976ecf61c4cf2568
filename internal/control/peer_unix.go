//go:build linux || darwin || freebsd

package control

import (
	"errors"
	"net"
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
	var failed error
	err = raw.Control(func(fd uintptr) { uid, failed = userOf(int(fd)) })
	return uid, errors.Join(err, failed)
}
