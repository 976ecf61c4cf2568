//go:build !linux && !darwin && !freebsd && !windows

package control

import (
	"errors"
	"net"
)

// peersAreKnown reports whether peerUser works on this system.
const peersAreKnown = false

// peerUser is not called: Listen fails.
func peerUser(net.Conn) (uid int, err error) { return 0, errors.ErrUnsupported }
