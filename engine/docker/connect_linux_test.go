package docker_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
)

func TestPing_NoPermission(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}) {
		return
	}
	host := serve(t, fake{})
	connectTo(t, docker.Options{Host: host})
	path := strings.TrimPrefix(host, "unix://")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	wantFault(t, unreachable(t, docker.Options{Host: host}), engine.NoPermission, host, "usermod -aG docker")
	if err := os.Chmod(filepath.Dir(path), 0); err != nil {
		t.Fatal(err)
	}
	wantFault(t, unreachable(t, docker.Options{Host: host}), engine.NoPermission, host)
}

// sockets returns where engines are looked for, in order.
func sockets(home, runtime string) []string {
	return []string{
		"/var/run/docker.sock",
		runtime + "/docker.sock",
		home + "/.docker/run/docker.sock",
		home + "/.docker/desktop/docker.sock",
		home + "/.colima/default/docker.sock",
		home + "/.config/colima/default/docker.sock",
		home + "/.orbstack/run/docker.sock",
		home + "/.rd/docker.sock",
		runtime + "/podman/podman.sock",
		"/run/podman/podman.sock",
		home + "/.local/share/containers/podman/machine/podman.sock",
	}
}

func TestConnect_FirstSocket(t *testing.T) {
	if !again(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	if err := unix.Mount("none", "/run", "tmpfs", 0, ""); err != nil {
		t.Skipf("hide the sockets of this machine: %v", err)
	}
	home, runtime := shortDir(t), shortDir(t)
	o := docker.Options{Home: home, Runtime: runtime}
	for _, path := range sockets(home, runtime) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		listen(t, "unix", path)
	}
	for i, path := range sockets(home, runtime) {
		if e, err := docker.Connect(o); err != nil || e.Host() != "unix://"+path {
			t.Errorf("socket %d: got %s, %v, want %s", i, e.Host(), err, path)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil { // no socket
			t.Fatal(err)
		}
	}
	// A stopped engine leaves its socket; one that accepts connections takes precedence.
	left, live := sockets(home, runtime)[1], sockets(home, runtime)[8]
	for _, path := range []string{left, live} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: left})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	if e, err := docker.Connect(o); err != nil || e.Host() != "unix://"+left {
		t.Errorf("only a dead socket: got %s, %v, want %s", e.Host(), err, left)
	}
	listen(t, "unix", live)
	if e, err := docker.Connect(o); err != nil || e.Host() != "unix://"+live {
		t.Errorf("somebody listens at another: got %s, %v, want %s", e.Host(), err, live)
	}
	for _, path := range []string{left, live} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	none := "unix:///var/run/docker.sock"
	if e, err := docker.Connect(o); err != nil || e.Host() != none {
		t.Errorf("no socket: got %s, %v, want %s", e.Host(), err, none)
	}
	wantFault(t, unreachable(t, o), engine.NoEngine, none, "the default location")

	// Without Home and Runtime, the directories are not looked for in the working directory.
	t.Chdir(shortDir(t))
	for _, path := range []string{"docker.sock", ".docker/run/docker.sock", "podman/podman.sock"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		listen(t, "unix", path)
	}
	if e, err := docker.Connect(docker.Options{}); err != nil || e.Host() != none {
		t.Errorf("a socket in the working directory: got %s, %v, want %s", e.Host(), err, none)
	}
}
