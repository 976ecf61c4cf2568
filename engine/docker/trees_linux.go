package docker

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
)

// sharesFiles reports whether the engine sees this machine's files and may mount
// them: it is here, and is root. A rootless engine is another user.
func (e *Engine) sharesFiles() error {
	peer, err := e.peer()
	if err == nil && peer.Uid != 0 {
		return errors.New("the engine is rootless")
	}
	return err
}

// isHere reports whether the engine is on this machine. It is not where a program of
// somebody's forwards a socket, as ssh and those of virtual machines do.
func (e *Engine) isHere() error {
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
func oneFileSystem(tree engine.Tree) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := unescape.Replace(fields[4])
		if below, found := strings.CutPrefix(point, tree.Host+"/"); found && !hidden(tree, below) {
			return fmt.Errorf("%s is a file system of its own", point)
		}
	}
	return nil
}

// unescape reads a name of mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func hidden(tree engine.Tree, name string) bool {
	return slices.ContainsFunc(tree.Hide, func(h string) bool { return name == h || strings.HasPrefix(name, h+"/") })
}

// whiteouts fills dir with an overlay layer that hides names of the tree: a
// character device 0/0 for each, in directories that look like the tree's own.
func whiteouts(dir string, tree engine.Tree) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	made := map[string]bool{}
	for _, name := range tree.Hide {
		if err := likeParents(dir, tree.Host, path.Dir(name), made); err != nil {
			return err
		}
		err := unix.Mknod(filepath.Join(dir, name), unix.S_IFCHR, int(unix.Mkdev(0, 0)))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("hide %s: %w", name, err)
		}
	}
	return alike(dir, tree.Host, made)
}

func likeParents(dir, host, name string, made map[string]bool) error {
	if made[name] {
		return nil
	}
	made[name] = true
	if name == "." {
		return nil
	}
	if err := likeParents(dir, host, path.Dir(name), made); err != nil {
		return err
	}
	err := os.Mkdir(filepath.Join(dir, name), 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// alike gives the directories of the layer the mode, owner and times of the
// tree's own: they are the ones that are seen.
func alike(dir, host string, made map[string]bool) error {
	made["."] = true
	for name := range made {
		info, err := os.Lstat(filepath.Join(host, name))
		if name == "." {
			info, err = os.Stat(host)
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is no directory", filepath.Join(host, name))
		}
		copied := filepath.Join(dir, name)
		if err := os.Chmod(copied, info.Mode()); err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			_ = os.Lchown(copied, int(stat.Uid), int(stat.Gid)) // only root may
		}
		if err := os.Chtimes(copied, info.ModTime(), info.ModTime()); err != nil {
			return err
		}
	}
	return nil
}

// freeSpace returns how many bytes may still be written in a directory of this machine.
func freeSpace(dir string) (int64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return int64(fs.Bavail) * fs.Bsize, err
}
