package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLSP_WithEditor starts Neovim without a screen, with the program as its language server.
// testdata/lsp/client.lua has the requests, and answers.txt the expected answers.
func TestLSP_WithEditor(t *testing.T) {
	t.Parallel()
	editor, err := exec.LookPath("nvim")
	if err != nil && os.Getenv("BUILDLOCAL_REQUIRE_ENGINE") == "" {
		t.Skipf("no editor that speaks the Language Server Protocol: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../testdata/lsp")); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "buildlocal")); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(editor, "--headless", "--clean", "-c", "luafile client.lua")
	c.Dir = dir
	c.Env = append(
		os.Environ(),
		"PATH="+dir+":"+os.Getenv("PATH"),
		"HOME="+dir,
		"XDG_CACHE_HOME="+dir,
		"XDG_STATE_HOME="+dir,
		"XDG_DATA_HOME="+dir,
	)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "answers.txt"))
	if err != nil {
		t.Fatal(err)
	}
	golden := "../testdata/lsp/answers.txt"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}
