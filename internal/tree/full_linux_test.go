package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/internal/tree"
)

// smallDisk mounts a file system of 1 MB.
func smallDisk(t *testing.T) string {
	t.Helper()
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=1000k"); err != nil {
		if os.Geteuid() == 0 && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") != "" {
			t.Fatal(err)
		}
		t.Skipf("no small disk can be made: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	return small
}

// stream is a tree of files in a fixed order. It counts how often it is read.
type stream struct {
	names   []string
	content map[string][]byte
	reads   int
}

// CopyOut implements tree.Source.
func (s *stream) CopyOut(_ context.Context, path string) (io.ReadCloser, error) {
	s.reads++
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	single := strings.TrimPrefix(path, "/src/")
	if single == path {
		_ = w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755})
	}
	for _, name := range s.names {
		if single != path && name != single {
			continue
		}
		_ = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(s.content[name]))})
		_, _ = w.Write(s.content[name])
	}
	return io.NopCloser(&out), w.Close()
}

func dense(size int) []byte {
	text := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(text)
	return text
}

func collectAll(t *testing.T, s *stream, dest string) error {
	t.Helper()
	_, err := tree.Collect(
		t.Context(),
		s,
		tree.Selection{Root: "/src", Files: []string{"**/*"}},
		dest,
		tree.Observer{Say: func(string, ...any) {}},
	)
	return err
}

func TestCollect_ChecksSpaceFirst(t *testing.T) {
	dest := smallDisk(t)
	s := &stream{
		names:   []string{"a", "large", "b"},
		content: map[string][]byte{"a": dense(300 << 10), "large": dense(3 << 20), "b": dense(10)},
	}
	err := collectAll(t, s, dest)
	var full *tree.NoSpaceError
	if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v; want a NoSpaceError", err)
	}
	if need := int64(300<<10 + 3<<20 + 10); full.Need != need || full.Free > 1000<<10 || full.Free < 992<<10 {
		t.Errorf("it needs %d and has %d free; want %d and about %d", full.Need, full.Free, need, 1000<<10)
	}
	if want := "no space left in " + dest + ": 1MB free; files need 3.5MB\n"; !strings.Contains(err.Error(), want) {
		t.Errorf("it says %q; want %q", err, want)
	}
	if _, err := os.Lstat(dest + "/large"); err == nil {
		t.Error("some of the large file was written")
	}
}

func TestCollect_CountsSparseData(t *testing.T) {
	dest := smallDisk(t)
	sparse := make([]byte, 8<<20)
	copy(sparse[5<<20:], dense(100<<10))
	s := &stream{
		names:   []string{"a", "sparse", "b"},
		content: map[string][]byte{"a": dense(300 << 10), "sparse": sparse, "b": dense(300 << 10)},
	}
	if err := collectAll(t, s, dest); err != nil {
		t.Fatal(err)
	}
	for name, want := range s.content {
		if got, err := os.ReadFile(dest + "/" + name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
}

func TestCheckSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := tree.CheckSpace(dir, "artifacts", 1); err != nil {
		t.Errorf("one byte: %v", err)
	}
	err := tree.CheckSpace(dir, "artifacts", 1<<60)
	var full *tree.NoSpaceError
	if !errors.As(err, &full) || full.Dir != dir || !strings.Contains(err.Error(), "artifacts need 1.2EB") {
		t.Errorf("more than there is: %v", err)
	}
}
