//go:build unix

package regular

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestRead_NotARegularFile(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		pipe: "named pipe", link: "named pipe", socket: "socket", "/dev/zero": "device", dir: "directory",
	} {
		_, err := Read(name, 10)
		var wrong *Error
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%s) returns %v; want an Error that says %s", name, err, want)
		}
	}
}

func TestRead_LimitsSize(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(name, 10); err != nil || string(text) != "0123456789" {
		t.Errorf("at the limit: %q, %v", text, err)
	}
	var large *TooLargeError
	if _, err := Read(name, 9); !errors.As(err, &large) {
		t.Errorf("above the limit: %v; want a TooLargeError", err)
	}
}

func TestReadIn_StaysBelowItsRoot(t *testing.T) {
	outer := t.TempDir()
	secret, dir := filepath.Join(outer, "secret"), filepath.Join(outer, "dir")
	if err := errors.Join(os.WriteFile(secret, []byte("x"), 0o600), os.Mkdir(dir, 0o755),
		os.Symlink("../secret", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, name := range []string{"link", "../secret"} {
		if text, err := ReadIn(root, name, 10); err == nil {
			t.Errorf("%s was read: %q", name, text)
		}
	}
	if _, err := ReadIn(root, "absent", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}

func TestReadNamed_ReadsDescriptorsUntilContextEnds(t *testing.T) {
	if text, err := ReadNamed(t.Context(), os.DevNull, 10); err != nil || len(text) != 0 {
		t.Errorf("the null device: %q, %v", text, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	name := filepath.Join("/dev/fd", strconv.Itoa(int(r.Fd())))
	if _, err := ReadNamed(ctx, name, 10); !errors.Is(err, stopped) {
		t.Errorf("an open pipe: %v; want the context's cause", err)
	}
	if _, err := w.WriteString("A=1"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	for _, name := range []string{"/dev/fd/../null/1", "/dev/fd/x", "/dev/fd/"} {
		if isDescriptor(name) {
			t.Errorf("%s counts as a descriptor", name)
		}
	}
}
