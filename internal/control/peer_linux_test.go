package control_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/internal/control"
)

// TestPeer_OtherUserIsRefused connects as another user, whom the modes of the files would
// admit. It needs root.
func TestPeer_OtherUserIsRefused(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to start a process of another user")
	}
	path, child := openSocket(t, control.Options{}), otherUser(t)
	want := "refused: connect to the build: the build belongs to another user"
	if got := outputOf(t, path, child); !strings.Contains(got, want) {
		t.Errorf("another user: %s", got)
	}
	if got := outputOf(t, path, nil); !strings.Contains(got, "running") {
		t.Errorf("this user: %s", got)
	}
}

// TestPeer_RootIsAllowed lets a server decide as one of another user would.
func TestPeer_RootIsAllowed(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to start a process of another user")
	}
	var asked []int
	path := openSocket(t, control.Options{Allows: func(uid int) bool {
		asked = append(asked, uid)
		return uid == 0
	}})
	if got := outputOf(t, path, nil); !strings.Contains(got, "running") {
		t.Errorf("root: %s", got)
	}
	if got := outputOf(t, path, otherUser(t)); !strings.Contains(got, "refused") {
		t.Errorf("another user: %s", got)
	}
	if len(asked) != 2 || asked[0] != 0 || asked[1] != unprivileged {
		t.Errorf("asked about %d", asked)
	}
}

// unprivileged is the ID of a user without rights.
const unprivileged = 65534

// openSocket serves at a path that all users can reach.
func openSocket(t *testing.T, o control.Options) string {
	t.Helper()
	path := serve(t, o)
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// otherUser returns a function that starts a copy of this program as another user.
func otherUser(t *testing.T) func(*exec.Cmd) {
	t.Helper()
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "client")
	text, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(program, text, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func(c *exec.Cmd) {
		c.Path, c.Dir = program, "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}
	}
}

func outputOf(t *testing.T, path string, configure func(*exec.Cmd)) string {
	t.Helper()
	child, output := startClient(t, path, configure)
	text, err := io.ReadAll(output)
	if err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	return string(text)
}
