package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listed returns the files and directories of a listing; directories end in "/".
func listed(t *testing.T, l *Listing) []string {
	t.Helper()
	var all []string
	l.WalkAll(t.Context(), func(name string, e fs.DirEntry) {
		if e.IsDir() {
			name += "/"
		}
		all = append(all, name)
	})
	slices.Sort(all)
	return all
}

func TestList_FilesOfABuild(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log\nnode_modules\n", "a": "", "sub/b": "", "out/x": ""})
	write(t, dir, map[string]string{"new/c": "", "x.log": "", "sub/node_modules/y/z": "", "sub/forced.log": ""})
	gitIn(t, dir, "add", "-f", "sub/forced.log")
	for name, test := range map[string]struct {
		mode Mode
		want []string
	}{
		"worktree": {"", []string{".gitignore", "a", "new/", "new/c", "sub/", "sub/b", "sub/forced.log"}},
		"all": {All, []string{".gitignore", "a", "new/", "new/c", "sub/", "sub/b", "sub/forced.log", "sub/node_modules/",
			"sub/node_modules/y/", "sub/node_modules/y/z", "x.log"}},
	} {
		l, err := List(t.Context(), Options{Dir: dir, Mode: test.mode, Exclude: []string{"out", "missing/dir"}})
		must(t, err)
		if diff := cmp.Diff(test.want, listed(t, l)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if test.mode != "" {
			continue
		}
		// A build sees the same files.
		opened := mustOpen(t, Options{Dir: dir, Exclude: []string{"out"}, Temp: t.TempDir()})
		files := slices.DeleteFunc(listed(t, l), func(name string) bool { return strings.HasSuffix(name, "/") })
		names := opened.Names(t.Context())
		slices.Sort(names)
		if diff := cmp.Diff(names, files); diff != "" {
			t.Errorf("a build sees others (-build +listing):\n%s", diff)
		}
	}
}

func TestList_OutsideOfARepository(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a": "", "sub/b": ""})
	l, err := List(t.Context(), Options{Dir: dir})
	must(t, err)
	if got := strings.Join(listed(t, l), " "); got != "a sub/ sub/b" || l.Busy() != "" {
		t.Errorf("got %s, %q", got, l.Busy())
	}
	if _, err := List(t.Context(), Options{Dir: filepath.Join(dir, "missing")}); err == nil {
		t.Error("a missing directory is no error")
	}
}

func TestListing_Busy(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": ""})
	l, err := List(t.Context(), Options{Dir: dir})
	must(t, err)
	for name, want := range map[string]string{
		"index.lock": "a git command", "rebase-merge": "a rebase", "MERGE_HEAD": "a merge", "other": "",
	} {
		file := filepath.Join(dir, ".git", name)
		must(t, os.WriteFile(file, nil, 0o644))
		if got := l.Busy(); got != want {
			t.Errorf("%s: got %q; want %q", name, got, want)
		}
		must(t, os.Remove(file))
	}
	if (*Listing)(nil).Busy() != "" {
		t.Error("no listing is busy")
	}
}
