//go:build unix

package regular

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFS_OpensRegularFilesAndDirectories(t *testing.T) {
	dir := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = errors.Join(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644), os.Symlink("pipe", filepath.Join(dir, "link")),
		os.Symlink("/dev/zero", filepath.Join(dir, "zero")), os.Mkdir(filepath.Join(dir, "sub"), 0o755),
		os.WriteFile(filepath.Join(dir, "sub", "f"), []byte("0123456789"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	tree := FS(dir, 10)
	for _, name := range []string{"pipe", "link", "zero", "socket"} {
		_, err := fs.ReadFile(tree, name)
		var wrong *Error
		if !errors.As(err, &wrong) {
			t.Errorf("reading %s: %v; want an Error", name, err)
		}
	}
	if text, err := fs.ReadFile(tree, "sub/f"); err != nil || string(text) != "0123456789" {
		t.Errorf("a file at the limit: %q, %v", text, err)
	}
	if _, err := fs.ReadDir(tree, "sub"); err != nil {
		t.Errorf("a directory: %v", err)
	}
}

func TestFS_LimitsReads(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree := FS(dir, 9)
	_, err := fs.ReadFile(tree, "f")
	var large *TooLargeError
	if !errors.As(err, &large) {
		t.Errorf("fs.ReadFile: %v; want a TooLargeError", err)
	}
	file, err := tree.Open("f")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var copied strings.Builder
	if _, err := io.Copy(&copied, file); !errors.As(err, &large) || copied.Len() > 9 {
		t.Errorf("io.Copy: %d bytes, %v; want a TooLargeError after 9", copied.Len(), err)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	var wrong *Error
	if err := Check(pipe); !errors.As(err, &wrong) {
		t.Errorf("a pipe: %v; want an Error", err)
	}
	if err := Check(filepath.Join(dir, "absent")); err != nil {
		t.Errorf("an absent file: %v", err)
	}
}
