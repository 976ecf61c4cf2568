package artifacts_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/internal/tree"
)

func TestZip_DiskFullLeavesNoFile(t *testing.T) {
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); err != nil {
		if os.Geteuid() == 0 && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != "" {
			t.Fatal(err)
		}
		t.Skipf("no small disk can be made: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	dir, text := t.TempDir(), make([]byte, 1<<20)
	_, _ = rand.Read(text)
	if err := os.WriteFile(filepath.Join(dir, "large"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	err := artifacts.Zip(filepath.Join(small, "a.zip"), dir, []tree.File{{Path: "large", Size: 1 << 20, Mode: 0o644}}, nil)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want that the disk is full", err)
	}
	if left, err := os.ReadDir(small); err != nil || len(left) != 0 {
		t.Errorf("left is %v, %v", left, err)
	}
}
