package docker_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

// TestSnapshot_UnprivilegedUser takes a snapshot of a tree whose changes only root can read.
func TestSnapshot_UnprivilegedUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 &&
		!again(t, &syscall.SysProcAttr{Credential: &syscall.Credential{
			Uid: unprivileged, Gid: unprivileged, Groups: []uint32{groupOf(t)},
		}}) {
		return
	}
	e := connect(t)
	host := newTree(t, "snapshot", map[string]string{"given": "given\n", "gone": "x", "hidden": "of the host\n"})
	spec := newSpec(t)
	spec.Mounts.Trees = []engine.Tree{{Host: host, Path: "/src", Hide: []string{"hidden"}}}
	c := mounted(t, e, spec)
	sh(t, c, "cd /src && echo mine >hidden && echo changed >given && rm gone && mkdir /kept && echo kept >/kept/file")
	dir := filepath.Join(t.TempDir(), "snapshot")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.RemoveSnapshot(context.Background(), dir) })
	to := engine.SnapshotTo{Dir: dir, Name: filepath.Base(spec.Mounts.Temp) + "-unprivileged"}
	if _, err := c.Snapshot(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	next := newSpec(t)
	next.Mounts.Trees, next.Snapshot = spec.Mounts.Trees, dir
	c = mounted(t, e, next)
	const want = "changed\nmine\nkept\n./given\n./hidden\n"
	if got := sh(t, c, "cd /src && cat given hidden /kept/file && find . -type f | sort"); got != want {
		t.Errorf("inside: %q, want %q", got, want)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
