package control

import "golang.org/x/sys/unix"

// userOf returns the user at the other end of a socket, as the kernel knows it.
func userOf(fd int) (int, error) {
	credentials, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(credentials.Uid), nil
}
