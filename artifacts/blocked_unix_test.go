//go:build unix

package artifacts_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// A pipe that was opened would end this test at its time limit.
func TestRead_RefusesIrregularFiles(t *testing.T) {
	t.Parallel()
	for kind, put := range map[string]func(name string) error{
		"pipe":      func(name string) error { return syscall.Mkfifo(name, 0o600) },
		"zeros":     func(name string) error { return os.Symlink("/dev/zero", name) },
		"directory": func(name string) error { return os.Mkdir(name, 0o700) },
	} {
		dir := t.TempDir()
		if err := put(filepath.Join(dir, artifacts.ManifestName)); err != nil {
			t.Fatal(err)
		}
		var wrong *regular.Error
		if _, err := artifacts.Read(dir); !errors.As(err, &wrong) {
			t.Errorf("%s: Read returns %v; want that it is not regular", kind, err)
		}
		err := artifacts.Zip(filepath.Join(dir, "a.zip"), dir, []tree.File{{Path: artifacts.ManifestName, Mode: 0o644}}, nil)
		if left, _ := filepath.Glob(filepath.Join(dir, "a.zip*")); !errors.As(err,
			&wrong) && kind != "zeros" || len(left) > 0 {
			t.Errorf("%s: Zip returns %v, and left %v; want that it is not regular", kind, err, left)
		}
		if err == nil {
			t.Errorf("%s: Zip packs it", kind)
		}
	}
}
