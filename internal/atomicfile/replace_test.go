package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/buildlocal/buildlocal/internal/atomicfile"
)

func TestReplace_KeepsModeAndLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Skip(err)
	}
	if err := atomicfile.Replace(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "new" {
		t.Errorf("got %q, %v", text, err)
	}
	before, _ := os.Lstat(link)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 || before.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("got mode %v, %v, and %v of the link", info.Mode(), err, before.Mode())
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("leftovers: %v", left)
	}
}

func TestReplace_MissingFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := atomicfile.Replace(filepath.Join(dir, "none"), nil); err == nil {
		t.Error("got no error")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("leftovers: %v", left)
	}
}
