//go:build unix

package artifacts_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/artifacts"
)

// placed is artifacts, a directory for them, the ledger, and a home beside them.
type placed struct{ from, dest, book, home string }

func place(t *testing.T, names ...string) placed {
	t.Helper()
	outer := t.TempDir()
	p := placed{filepath.Join(outer, "from"), filepath.Join(outer, "work", "dest"), filepath.Join(outer, "state",
		"book.json"), filepath.Join(outer, "home")}
	for _, name := range names {
		file(t, filepath.Join(p.from, name), "artifact")
	}
	file(t, filepath.Join(p.home, ".bashrc"), "precious")
	if err := os.MkdirAll(p.dest, 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func file(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (p placed) intact(t *testing.T) {
	t.Helper()
	if text, err := os.ReadFile(filepath.Join(p.home, ".bashrc")); err != nil || string(text) != "precious" {
		t.Errorf("a file outside the directory is %q, %v", text, err)
	}
	if entries, _ := os.ReadDir(p.home); len(entries) != 1 {
		t.Errorf("the directory outside has %d files", len(entries))
	}
}

// preciousSum is the hash with which a ledger would allow to remove that file.
func preciousSum() string { return fmt.Sprintf("%x", sha256.Sum256([]byte("precious"))) }

func TestPut_RefusesLedgerOutsideDest(t *testing.T) {
	for _, path := range []string{"../../home/.bashrc", "/etc/passwd", "..", "a/../../../home/.bashrc"} {
		p := place(t, "a")
		file(t, p.book, fmt.Sprintf(`{"files":[{"path":%q,"sha256":%q}]}`, base64.StdEncoding.EncodeToString([]byte(path)),
			preciousSum()))
		if err := artifacts.Put(p.from, p.dest, p.book, nil); err == nil || !strings.Contains(err.Error(),
			"outside the directory") {
			t.Errorf("%s: %v", path, err)
		}
		p.intact(t)
	}
	p := place(t, "a")
	file(t, p.book, fmt.Sprintf(`{"directories":[%q]}`, base64.StdEncoding.EncodeToString([]byte("../../home"))))
	if err := artifacts.Put(p.from, p.dest, p.book, nil); err == nil {
		t.Error("a ledger with a directory outside is followed")
	}
	p.intact(t)
}

func TestPut_DoesNotWriteThroughLinks(t *testing.T) {
	for name, link := range map[string]string{"out of the directory": "../../home", "within the directory": "other",
		"to nothing": "../../home/new"} {
		p := place(t, "sub/b.txt")
		file(t, filepath.Join(p.dest, "other", "c"), "mine")
		if err := os.Symlink(link, filepath.Join(p.dest, "sub")); err != nil {
			t.Fatal(err)
		}
		if err := artifacts.Put(p.from, p.dest, p.book, nil); err == nil {
			t.Errorf("a link %s is written through", name)
		}
		p.intact(t)
		if _, err := os.Stat(filepath.Join(p.dest, "other", "b.txt")); err == nil {
			t.Errorf("a link %s was written through", name)
		}
	}
}

func TestPut_DoesNotRemoveThroughLinks(t *testing.T) {
	p := place(t, "sub/b.txt")
	if err := artifacts.Put(p.from, p.dest, p.book, nil); err != nil {
		t.Fatal(err)
	}
	// The copied directory is now elsewhere, with the same contents, behind a link.
	err := errors.Join(os.RemoveAll(filepath.Join(p.dest, "sub")), os.Symlink("../../home", filepath.Join(p.dest, "sub")))
	file(t, filepath.Join(p.home, "b.txt"), "artifact")
	if err != nil {
		t.Fatal(err)
	}
	next := place(t, "c")
	if err := artifacts.Put(next.from, p.dest, p.book, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(p.home, "b.txt")); err != nil {
		t.Error("a file behind a link was removed")
	}
}

func TestPut_RefusesGitDirectory(t *testing.T) {
	for _, name := range []string{".git/hooks/post-checkout", "module/.git", "module/.GIT/config"} {
		p := place(t, name)
		file(t, filepath.Join(p.dest, filepath.Dir(name), "existing"), "x")
		if filepath.Base(name) == ".git" {
			file(t, filepath.Join(p.dest, name), "gitdir: x")
		}
		if err := artifacts.Put(p.from, p.dest, p.book, nil); err == nil {
			t.Errorf("%s is put into a repository", name)
		}
	}
	p := place(t, ".git/config") // a directory of its own that no one has: as with any other name
	for range 2 {
		if err := artifacts.Put(p.from, p.dest, p.book, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestPut_PipeConflicts(t *testing.T) {
	p := place(t, "a")
	if err := syscall.Mkfifo(filepath.Join(p.dest, "a"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := artifacts.Put(p.from, p.dest, p.book, nil); err == nil {
		t.Error("a named pipe is replaced")
	}
	if err := syscall.Mkfifo(p.book, 0o644); err == nil {
		t.Fatal("the ledger's directory exists before anything was put")
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(p.book), 0o755), syscall.Mkfifo(p.book, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := artifacts.Put(p.from, p.dest, p.book, nil); err == nil {
		t.Error("a named pipe is read as a ledger")
	}
}
