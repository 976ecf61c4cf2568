//go:build unix

package source

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestTar_LeavesOutSocketsAndPipes(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "s") // a socket's path must be short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	same(t, unpack(t, pack(t, &Source{Dir: dir}, "")), nil)
}
