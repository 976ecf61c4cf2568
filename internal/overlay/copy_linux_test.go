package overlay

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// layer creates a directory with one of everything that an upper layer can have.
func layer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	long := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	for _, step := range []error{
		os.MkdirAll(at("deep/er"), 0o750), os.WriteFile(at("deep/er/file"), []byte("content"), 0o4755),
		os.Link(at("deep/er/file"), at("second")), os.Symlink("/etc/passwd", at("link")),
		unix.Mknod(at("gone"), unix.S_IFCHR, 0), unix.Mkfifo(at("pipe"), 0o620),
		os.Chmod(at("deep/er/file"), 0o755|os.ModeSetuid), os.Chtimes(at("deep/er/file"), long, long),
		os.Chown(at("deep"), os.Getuid(), os.Getgid()), os.Chmod(at("deep"), 0o705), os.Chtimes(at("deep"), long, long),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if os.Getuid() == 0 {
		for name, value := range map[string]string{"opaque": "y", "origin": "x"} {
			if err := unix.Setxattr(at("deep"), "trusted.overlay."+name, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestCopyTo_KeepsEverything(t *testing.T) {
	from := layer(t)
	to := filepath.Join(t.TempDir(), "copy")
	bytes, err := CopyTo(t.Context(), from, to, "", time.Time{})
	if err != nil || bytes != int64(len("content")) {
		t.Fatalf("copied %d bytes: %v", bytes, err)
	}
	for _, name := range []string{"deep", "deep/er", "deep/er/file", "second", "link", "gone", "pipe"} {
		var a, b unix.Stat_t
		if err := unix.Lstat(filepath.Join(to, name), &b); err != nil {
			t.Fatal(err)
		}
		if err := unix.Lstat(filepath.Join(from, name), &a); err != nil {
			t.Fatal(err)
		}
		if a.Mode != b.Mode || a.Uid != b.Uid || a.Gid != b.Gid || a.Rdev != b.Rdev || a.Mtim != b.Mtim {
			t.Errorf("%s differs: %+v, copy %+v", name, a, b)
		}
	}
	if a, b := inode(t, to, "second"), inode(t, to, "deep/er/file"); a != b {
		t.Error("a hard link became a file of its own")
	}
	if target, err := os.Readlink(filepath.Join(to, "link")); target != "/etc/passwd" || err != nil {
		t.Errorf("the link leads to %q: %v", target, err)
	}
	if os.Getuid() == 0 {
		deep := filepath.Join(to, "deep")
		if !hasAny(deep, opaqueAttributes) || hasAny(deep, []string{"trusted.overlay.origin"}) {
			t.Error("the copy has the wrong attributes of an overlay")
		}
	}
}

func TestCopyTo_KeepsHoles(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	const size, middle = 1 << 40, 1 << 30
	file, err := os.Create(filepath.Join(from, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, err = file.WriteAt([]byte("middle"), middle)
	if err := errors.Join(err, file.Truncate(size)); err != nil {
		t.Fatal(err)
	}
	if bytes, err := CopyTo(t.Context(), from, to, "", time.Time{}); err != nil || bytes > 1<<20 {
		t.Fatalf("copied %d bytes: %v", bytes, err)
	}
	copied, err := os.Open(filepath.Join(to, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	text := make([]byte, len("middle"))
	if _, err := copied.ReadAt(text, middle); err != nil || string(text) != "middle" {
		t.Errorf("the data is %q: %v", text, err)
	}
	if info, err := copied.Stat(); err != nil || info.Size() != size {
		t.Errorf("the size is %v: %v", info.Size(), err)
	}
}

func inode(t *testing.T, dir, name string) uint64 {
	t.Helper()
	info, err := os.Lstat(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestCopyTo_LinksWhatHasNotChanged(t *testing.T) {
	from, copies := layer(t), t.TempDir()
	first, second := filepath.Join(copies, "1"), filepath.Join(copies, "2")
	if _, err := CopyTo(t.Context(), from, first, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	since := time.Now().Add(time.Hour) // everything is older
	if err := os.WriteFile(filepath.Join(from, "new"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	bytes, err := CopyTo(t.Context(), from, second, first, since)
	if err != nil || bytes != int64(len("new")) {
		t.Fatalf("copied %d bytes: %v", bytes, err)
	}
	if inode(t, first, "second") != inode(t, second, "second") {
		t.Error("a file that has not changed was copied")
	}
	if _, err := CopyTo(t.Context(), from, filepath.Join(copies, "3"), first, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if inode(t, first, "second") == inode(t, filepath.Join(copies, "3"), "second") {
		t.Error("a file that is newer than the copy was linked from it")
	}
}
