package docker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
)

// sharesFiles reports whether the engine sees this machine's files and may mount
// them: it is here, and is root. A rootless engine is another user.
func (e *Engine) checkSharedFiles() error {
	peer, err := e.peer()
	if err == nil && peer.Uid != 0 {
		return errors.New("the engine is rootless")
	}
	return err
}

// isHere reports whether the engine is on this machine. It is not where a program of
// somebody's forwards a socket, as ssh and those of virtual machines do.
func (e *Engine) checkLocal() error {
	peer, err := e.peer()
	if err != nil {
		return err
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", peer.Pid))
	if err != nil {
		return err
	}
	if !slices.Contains(engines, strings.TrimSpace(string(name))) {
		return fmt.Errorf("%s listens, which is no engine", strings.TrimSpace(string(name)))
	}
	return nil
}

// engines are the programs that listen for one: systemd does until it starts it.
var engines = []string{"dockerd", "podman", "systemd"}

// peer returns who listens, where that is in this machine's namespace of processes: a
// virtual machine or a container shows no process.
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
	err = raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, failed); err == nil && peer.Pid == 0 {
		err = errors.New("the engine is in a machine of its own")
	}
	return peer, err
}

// oneFileSystem refuses a tree with another file system mounted in it, which an
// overlay does not show.
func checkSingleFileSystem(tree engine.Tree) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := mountinfoUnescaper.Replace(fields[4])
		if below, found := strings.CutPrefix(point, tree.Host+"/"); found && !hidden(tree, below) {
			return fmt.Errorf("%s is a file system of its own", point)
		}
	}
	return nil
}

// unescape reads a name of mountinfo.
var mountinfoUnescaper = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func hidden(tree engine.Tree, name string) bool {
	return slices.ContainsFunc(tree.Hide, func(h string) bool { return name == h || strings.HasPrefix(name, h+"/") })
}
