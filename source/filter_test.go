package source

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestOpen_RunsNoCommandOfTheRepository opens repositories whose own configuration
// names commands. That of a clone is the user's, that of an archive is a stranger's.
func TestOpen_RunsNoCommandOfTheRepository(t *testing.T) {
	t.Parallel()
	ran := filepath.Join(temp(t), "ran")
	command := "touch '" + ran + "'; cat"
	filtered := func(name, key string) func(dir string) {
		return func(dir string) {
			write(t, dir, map[string]string{".gitattributes": "* filter=" + name + "\n"})
			gitIn(t, dir, "config", "filter."+name+".required", "true")
			gitIn(t, dir, "config", "filter."+name+"."+key, command)
		}
	}
	for name, prepare := range map[string]func(dir string){
		"a filter":                       filtered("x", "clean"),
		"a filter with dots":             filtered("a.b.c", "clean"),
		"a filter with an equals sign":   filtered("a=b", "clean"),
		"a filter that is a process":     filtered("x", "process"),
		"the filter of git-lfs":          filtered("lfs", "clean"),
		"a watcher of the file system":   func(dir string) { gitIn(t, dir, "config", "core.fsmonitor", command) },
		"a filter of an inner work tree": func(dir string) { embed(t, dir, filtered("y", "clean")) },
		"a filter of a submodule": func(dir string) {
			embed(t, dir, filtered("y", "clean"))
			write(t, dir, map[string]string{".gitmodules": "[submodule \"sub\"]\n\tpath = sub\n\turl = ./sub\n"})
		},
	} {
		dir := repo(t, map[string]string{"a": "text"})
		prepare(dir)
		touchAll(t, dir)
		mustOpen(t, Options{Dir: dir})
		mustOpen(t, Options{Dir: dir, Mode: All})
		mustOpen(t, Options{Dir: dir, Mode: Commit, Temp: t.TempDir()})
		if exists(ran) {
			t.Errorf("%s: its command was run", name)
			must(t, os.Remove(ran))
		}
	}
}

// embed puts a repository into another one as a submodule without a list of them.
func embed(t *testing.T, dir string, prepare func(dir string)) {
	t.Helper()
	inner := filepath.Join(dir, "sub")
	must(t, os.Rename(repo(t, map[string]string{"b": "text"}), inner))
	gitIn(t, dir, "add", "sub")
	prepare(inner)
}

// touchAll changes the times of all files, so that git reads them again.
func touchAll(t *testing.T, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() && e.Name() == ".git" {
			return filepath.SkipDir
		}
		if e.Type().IsRegular() {
			return os.Chtimes(name, time.Time{}, time.Unix(1_000_000_000, 0))
		}
		return nil
	}))
}

func TestOpen_OnlyObjectStoresAsExtra(t *testing.T) {
	t.Parallel()
	dir, private := repo(t, map[string]string{"a": "text"}), temp(t)
	write(t, private, map[string]string{"id_rsa": "key", "objects/id_rsa": "key"})
	link := filepath.Join(dir, ".git", "objects", "objects")
	must(t, os.Symlink(private, link))
	write(t, dir, map[string]string{".git/objects/info/alternates": private + "\n" + private + "/objects\n" + link +
		"\n/\n"})
	for _, mode := range []Mode{Worktree, All} {
		same(t, mustOpen(t, Options{Dir: dir, Mode: mode}).Extra, nil)
	}
}
