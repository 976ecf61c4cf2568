package conn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// CheckSharedFiles returns nil if the engine sees this host's files and may mount them: it
// runs on this host, in its process namespace, as root. A rootless engine runs as another
// user, who may not read the files.
func (e *Engine) CheckSharedFiles() error {
	peer, err := e.peer()
	if err == nil && peer.Uid != 0 {
		return errors.New("the engine is rootless")
	}
	return err
}

// CheckLocal returns nil if the engine runs on this host, rootless or not. A program that
// forwards the socket, as ssh and virtual machines do, is not an engine.
func (e *Engine) CheckLocal() error {
	peer, err := e.peer()
	if err != nil {
		return err
	}
	// The name of the process can be changed by its owner, so it is a hint and not a proof. Nothing
	// but speed depends on it.
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", peer.Pid))
	if err != nil {
		return err
	}
	if !slices.Contains(engines, strings.TrimSpace(string(name))) {
		return fmt.Errorf("%s listens, which is not an engine", strings.TrimSpace(string(name)))
	}
	return nil
}

// engines are the names of processes that listen for an engine. With socket activation,
// systemd listens until it starts the engine.
var engines = []string{"dockerd", "podman", "systemd"}

// peer returns the process that listens on the engine's socket. The kernel reports the
// process ID 0 if that is in another process namespace: a container or a virtual machine.
func (e *Engine) peer() (*unix.Ucred, error) {
	address, local := strings.CutPrefix(e.Host(), "unix://")
	if !local {
		return nil, errors.New("the engine is on another machine")
	}
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err == nil && peer.Pid == 0 {
		err = errors.New("the engine is in a virtual machine or a container")
	}
	return peer, err
}
