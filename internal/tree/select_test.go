package tree_test

import (
	"path"
	"slices"
	"testing"

	"github.com/buildlocal/buildlocal/internal/tree"
)

func TestSelects_FilesBelowDirs(t *testing.T) {
	t.Parallel()
	s := tree.Selection{
		Root: "/src", Base: "out", Files: []string{"web/**/*.js", "a.txt", "/src/out/abs/*", "/other/*"},
		Exclude: []string{"web/x.js"},
	}
	dirs := s.Dirs()
	slices.Sort(dirs)
	if want := []string{"/src/out/a.txt", "/src/out/abs", "/src/out/web"}; !slices.Equal(dirs, want) {
		t.Errorf("got the directories %q, want %q", dirs, want)
	}
	for name, want := range map[string]bool{
		"/src/out/web/a/b.js": true, "/src/out/web/x.js": false, "/src/out/a.txt": true, "/src/out/abs/f": true,
		"/src/out/abs/d/f": false, "/src/web/a.js": false, "/other/f": false, "a.txt": false,
	} {
		if got := s.Selects(name); got != want {
			t.Errorf("%s: selected: %t, want %t", path.Clean(name), got, want)
		}
	}
	if s.Base = "o*"; s.Dirs() != nil || s.Selects("/src/o*/a.txt") {
		t.Errorf("a pattern of directories: got %q", s.Dirs())
	}
}
