package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFindBuildspecs_UsualNameFirst looks from a subdirectory of a repository whose top has the
// usual buildspec and another one.
func TestFindBuildspecs_UsualNameFirst(t *testing.T) {
	top := t.TempDir()
	for _, name := range []string{".git/HEAD", "buildspec.yaml", "buildspec.yml", "sub/deep/main.go"} {
		file := filepath.Join(top, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(top, "sub", "deep"))
	found := FindBuildspecs(".")
	if len(found) != 2 || found[0].Path != "../../buildspec.yml" || strings.Contains(found[0].Flags, "-b") {
		t.Errorf("got %+v, want the usual buildspec first, without -b, and the other one", found)
	}
}
