//go:build unix

package reports_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/reports"
)

// A report that an opened pipe waited for would end this test at its time limit.
func TestOpen_NotARegularFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "pipe.xml"), 0o644), os.Mkdir(filepath.Join(dir, "dir.xml"),
		0o755)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pipe.xml", "dir.xml"} {
		var wrong *regular.Error
		if _, err := reports.Open(t.Context(), root, name); !errors.As(err, &wrong) {
			t.Errorf("Open(%s) returns %v; want that it is not regular", name, err)
		}
		if _, err := reports.OpenFile(t.Context(), filepath.Join(dir, name)); !errors.As(err, &wrong) {
			t.Errorf("OpenFile(%s) returns %v; want that it is not regular", name, err)
		}
	}
}

func TestReadSet_NotARegularFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/dev/zero", filepath.Join(dir, reports.SetName)); err != nil {
		t.Fatal(err)
	}
	if _, err := reports.ReadSet(dir); err == nil || !strings.Contains(err.Error(), "is a device") {
		t.Errorf("got %v; want that it is a device", err)
	}
}
