package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRoot_UpToTheTop(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"services/api/a": "", "web/b": ""})
	api := filepath.Join(dir, "services", "api")
	must(t, os.Symlink("../..", filepath.Join(api, "up")))
	link := filepath.Join(temp(t), "link")
	must(t, os.Symlink(api, link))
	linked := filepath.Join(temp(t), "linked")
	gitIn(t, dir, "worktree", "add", "-q", linked)
	for _, c := range []struct{ dir, value, want string }{
		{api, "repository", dir}, {api, "../..", dir}, {api, "..", filepath.Join(dir, "services")}, {api, ".", api},
		{api, "../../", dir}, {api, dir, dir}, {api, "up", dir}, {dir, "repository", dir}, {link, "../..", dir},
		{filepath.Join(linked, "services", "api"), "repository", linked},
	} {
		got, err := Root(c.dir, c.value)
		must(t, err)
		same(t, got, c.want)
	}
}

func TestRoot_NoFurther(t *testing.T) {
	t.Parallel()
	outer := repo(t, map[string]string{"a": ""})
	inner := filepath.Join(outer, "inner")
	write(t, outer, map[string]string{"inner/api/a": "", "inner/web/": ""})
	gitIn(t, inner, "init", "-q")
	submodule := filepath.Join(outer, "sub")
	gitIn(t, outer, "submodule", "add", "-q", repo(t, map[string]string{"api/a": ""}), "sub")
	plain := temp(t)
	must(t, os.Symlink(outer, filepath.Join(inner, "api", "out")))
	for _, c := range []struct{ dir, value, want string }{
		{inner, "..", `".." leads out of the repository ` + inner + ", to " + outer},
		{filepath.Join(inner, "api"), "../..", "leads out of the repository " + inner},
		{filepath.Join(inner, "api"), "out", "leads out of the repository " + inner},
		{filepath.Join(inner, "api"), "/", "leads out of the repository " + inner},
		{filepath.Join(submodule, "api"), "../..", "leads out of the repository " + submodule},
		{filepath.Join(inner, "api"), "../web", "does not contain " + filepath.Join(inner, "api")},
		{inner, "api", "does not contain " + inner},
		{inner, "missing", "does not exist"},
		{filepath.Join(inner, "api"), "a", "is a file, not a directory"},
		{plain, "repository", plain + " is not in a git repository"},
		{plain, "..", plain + " is not in a git repository"},
	} {
		got, err := Root(c.dir, c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("Root(%s, %s) returns %s, %v; want %q and a hint", c.dir, c.value, got, err, c.want)
		}
	}
	top, err := Root(filepath.Join(submodule, "api"), RepositoryRoot)
	must(t, err)
	same(t, top, submodule)
}
