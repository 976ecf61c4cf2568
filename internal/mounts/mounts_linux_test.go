package mounts_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/internal/mounts"
)

func TestPoints_OddNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b\tc\\d\ne")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	for name, c := range map[string]struct {
		wanted func(kind string) bool
		want   bool
	}{
		"all":        {nil, true},
		"its type":   {func(kind string) bool { return kind == "tmpfs" }, true},
		"other type": {func(kind string) bool { return kind != "tmpfs" }, false},
	} {
		points, err := mounts.Points(c.wanted)
		if got := slices.Contains(points, dir); err != nil || got != c.want {
			t.Errorf("%s: got %t, %v; want %t", name, got, err, c.want)
		}
	}
}

func TestKindAt_InnermostMount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	for path, want := range map[string]string{dir: "tmpfs", filepath.Join(dir, "sub"): "tmpfs", "/proc": "proc"} {
		if got, err := mounts.KindAt(path); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", path, got, err, want)
		}
	}
}
