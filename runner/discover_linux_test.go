package runner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

// viewed is a container whose root is a directory of the host.
type viewed struct {
	engine.Container
	dir string
}

func (v viewed) View() (*os.Root, error) { return os.OpenRoot(v.dir) }

func TestMayHaveReports(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a/b/report.xml": true, "x.trx": true, ".resultset.json": true, "my-cucumber-1.json": true, ".xml": true,
		"node_modules/a.xml": false, "a/.git/b.xml": false, "a.json": false, "cucumber.js": false,
		"a.xml/file": false, "xml": false,
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := mayHaveReports(viewed{dir: dir}, "/.").reports; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestMayHaveReports_UnlistedSource(t *testing.T) {
	t.Parallel()
	many := t.TempDir()
	for i := range maxListed + 1 {
		name := string(rune('a'+i%26)) + string(rune('0'+i/26))
		if err := os.Symlink("nowhere", filepath.Join(many, name)); err != nil {
			t.Fatal(err)
		}
	}
	pipe := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(pipe, "src"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, source := range map[string]string{many: "/.", t.TempDir(): "/missing", pipe: "/src"} {
		if !mayHaveReports(viewed{dir: dir}, source).reports {
			t.Errorf("%s: false, want true if not everything is listed", dir)
		}
	}
}

func TestMayHaveReports_Settings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"export HOME='/root'\nset -- complete\n":               false,
		"export CODEBUILD_CONFIG_AUTO_DISCOVER='false'\n":      true,
		"export CODEBUILD_CONFIG_AUTO_DISCOVER_DIR='out/**'\n": true,
		strings.Repeat("x", maxVariables+1):                    true,
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, stateDir, "env.sh")
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		if got := mayHaveReports(viewed{dir: dir}, "/.").settings; got != want {
			t.Errorf("%.60q: %v, want %v", text, got, want)
		}
	}
	if !mayHaveReports(viewed{dir: t.TempDir()}, "/.").settings {
		t.Error("false without a file of variables")
	}
}
