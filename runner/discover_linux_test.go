package runner

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

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
		if got := mayHaveReports(viewed{dir: dir}, "/.", true).reports; got != want {
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
		if !mayHaveReports(viewed{dir: dir}, source, true).reports {
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
		file := filepath.Join(dir, StateDir, "env.sh")
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		if got := mayHaveReports(viewed{dir: dir}, "/.", true).settings; got != want {
			t.Errorf("%.60q: %v, want %v", text, got, want)
		}
	}
	if !mayHaveReports(viewed{dir: t.TempDir()}, "/.", true).settings {
		t.Error("false without a file of variables")
	}
}

func TestHasReport(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a/b/report.xml": true, "x.trx": true, ".resultset.json": true, "my-cucumber-1.json": true,
		"node_modules/a.xml": false, "a/.git/b.xml": false, "a.json": false, "hidden/a.xml": false, "hidden.xml": false,
	} {
		fsys := fstest.MapFS{name: {Data: []byte("x")}, "other/file": {Data: []byte("x")}}
		if got := hasReport(t.Context(), fsys, []string{"hidden", "hidden.xml"}); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if !hasReport(ended, fstest.MapFS{"a": {}}, nil) {
		t.Error("a search that was stopped found nothing; want true")
	}
	if !hasReport(t.Context(), os.DirFS(filepath.Join(t.TempDir(), "missing")), nil) {
		t.Error("an unreadable source has no reports; want true")
	}
}

// watched is a container in which a file was written or not.
type watched struct {
	viewed
	written string
}

func (w watched) Untouched(string) bool             { return false }
func (w watched) Written(string) (dir, name string) { return "", "" }
func (w watched) MayHaveWritten(path string, match func(string) bool) bool {
	return path == "/src" && match(w.written)
}

func TestSearchMounted(t *testing.T) {
	t.Parallel()
	tree := engine.Tree{Host: "host", Path: "/src"}
	step := func(r *Runner) *reportStep {
		return &reportStep{Runner: r, plan: &Plan{Sources: []Source{{Path: "/src"}}}}
	}
	source := func(name string) func(string) fs.FS {
		return func(string) fs.FS { return fstest.MapFS{name: {}} }
	}
	for name, c := range map[string]struct {
		runner  Runner
		trees   []engine.Tree
		written string
		want    bool
	}{
		"no report":         {Runner{HostFS: source("a.txt")}, []engine.Tree{tree}, "b.txt", false},
		"one in the source": {Runner{HostFS: source("a.xml")}, []engine.Tree{tree}, "b.txt", true},
		"one was written":   {Runner{HostFS: source("a.txt")}, []engine.Tree{tree}, "b.xml", true},
		"no files":          {Runner{}, []engine.Tree{tree}, "b.txt", true},
		"a copied source":   {Runner{HostFS: source("a.txt")}, nil, "b.txt", true},
		"files of the cache": {
			Runner{HostFS: source("a.txt")}, []engine.Tree{{Path: "/src", Overlays: []string{"x"}}}, "b.txt", true,
		},
		"another tree over it": {Runner{HostFS: source("a.txt")}, []engine.Tree{tree, {Path: "/src/sub"}}, "b.txt", true},
		"a volume over it": {
			Runner{HostFS: source("a.txt"), Volumes: []engine.Volume{{Path: "/src/sub"}}}, []engine.Tree{tree}, "b.txt", true,
		},
	} {
		s := step(&c.runner)
		s.searchMounted(t.Context(), c.trees, len(c.trees) > 0 && c.trees[0].Overlays != nil)
		if got := s.mayHaveMounted(t.Context(), watched{written: c.written}); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
