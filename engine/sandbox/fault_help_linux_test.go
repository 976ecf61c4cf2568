package sandbox

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/buildlocal/buildlocal/engine"
)

// layoutOfTest is a small file system, which can hold an overlay.
type layoutOfTest struct{ dir string }

func (l *layoutOfTest) mount() error {
	return unix.Mount("tmpfs", l.dir, "tmpfs", 0, "size=8m,nr_inodes=500")
}

func (l *layoutOfTest) unmount() { _ = unix.Unmount(l.dir, unix.MNT_DETACH) }

// fill makes empty files until there is no room for one more.
func fill(dir string) {
	for i := 0; ; i++ {
		if os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o600) != nil {
			return
		}
	}
}

func bigTar(t *testing.T) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	const size = 20 << 20
	if err := w.WriteHeader(&tar.Header{Name: "big", Typeflag: tar.TypeReg, Mode: 0o644, Size: size}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(make([]byte, size))
	w.Close()
	return &b
}

func isFull(err error) bool {
	var f *engine.Fault
	return errors.As(err, &f) && f.Kind == engine.DiskFull && f.Hint != ""
}
