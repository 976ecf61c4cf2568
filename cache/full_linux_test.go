package cache_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSave_FullDiskKeepsPrevious(t *testing.T) {
	p := newPlace(t)
	if err := syscall.Mount("tmpfs", p.dir, "tmpfs", 0, "size=256k"); err != nil {
		if os.Geteuid() == 0 && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != "" {
			t.Fatal(err)
		}
		t.Skipf("no small disk can be made: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(p.dir, syscall.MNT_DETACH) })
	p.save(t, name, "src/deps/x", "old")
	large := stream(t, "src/deps/x", strings.Repeat("x", 1<<20))
	if _, err := p.open(t).Save(t.Context(), p.saving(name), large); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want that the disk is full", err)
	}
	s := p.open(t)
	if got := contents(t, s, find(t, s, name)); got[2] != "src/deps/x 0 644 old" {
		t.Errorf("found %q", got)
	}
	if left := names(t, filepath.Join(p.dir, "app")); len(left) != 2 {
		t.Errorf("left is %q", left)
	}
	// Not even a note that it was used can be written: it is found all the same.
	if err := os.WriteFile(filepath.Join(p.dir, "fill"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	find(t, p.open(t), name)
}
