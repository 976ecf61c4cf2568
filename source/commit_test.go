package source

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCommit_IsCleanClone(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log", "a": "old", "sub/b": ""})
	write(t, dir, map[string]string{"a": "changed", "new": "", "x.log": "", "sub/.buildlocal/x": ""})
	gitIn(t, dir, "remote", "add", "origin", "https://me:secret@example.com/org/repo.git")
	temp := temp(t)
	id := gitIn(t, dir, "rev-parse", "HEAD")

	got := mustOpen(t, Options{Dir: dir, Mode: Commit, Temp: temp, Exclude: []string{"sub"}})
	same(t, filepath.Dir(got.Dir), temp)
	same(t, got, &Source{
		Dir: got.Dir, From: dir, Mode: Commit, Hide: []string{"sub"},
		Git: &Git{Commit: id, Branch: "main", Remote: "https://example.com/org/repo.git"},
	})
	same(t, names(t, got.Dir), []string{".git", ".gitignore", "a", "sub"})
	same(t, gitIn(t, got.Dir, "status", "--porcelain"), "")
	same(t, gitIn(t, got.Dir, "rev-parse", "HEAD"), id)
	same(t, gitIn(t, got.Dir, "remote", "get-url", "origin"), "https://example.com/org/repo.git")
	text, err := os.ReadFile(filepath.Join(got.Dir, "a"))
	must(t, err)
	same(t, string(text), "old")

	sub := mustOpen(t, Options{Dir: filepath.Join(dir, "sub"), Mode: Commit, Temp: temp})
	same(t, names(t, sub.Dir), []string{"b"})
}

func TestClone_IndependentOfOrigin(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(t *testing.T, dir, made string){
		"plain":    func(t *testing.T, dir, made string) { gitIn(t, dir, "clone", "-q", dir, made) },
		"borrowed": func(t *testing.T, dir, made string) { gitIn(t, dir, "clone", "-q", "--shared", dir, made) },
		"shallow":  func(t *testing.T, dir, made string) { gitIn(t, dir, "clone", "-q", "--depth=1", "file://"+dir, made) },
		"symlinked": func(t *testing.T, dir, made string) {
			gitIn(t, dir, "clone", "-q", dir, made)
			must(t, os.Rename(made+"/.git/objects", made+"/.git/elsewhere"))
			must(t, os.Symlink("elsewhere", made+"/.git/objects"))
		},
		"packed": func(t *testing.T, dir, made string) {
			gitIn(t, dir, "clone", "-q", dir, made)
			gitIn(t, made, "gc", "-q")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, made := repo(t, map[string]string{"a": "1"}), filepath.Join(temp(t), "made")
			write(t, dir, map[string]string{"a": "2"})
			commit(t, dir)
			make(t, dir, made)
			got := mustOpen(t, Options{Dir: made, Mode: Commit, Temp: t.TempDir()})
			must(t, os.RemoveAll(dir))
			must(t, os.RemoveAll(made))
			same(t, gitIn(t, got.Dir, "status", "--porcelain"), "")
			gitIn(t, got.Dir, "fsck", "--full")
			gitIn(t, got.Dir, "log", "-p")
		})
	}
}

func TestClone_NoRemotes(t *testing.T) {
	t.Parallel()
	got := mustOpen(t, Options{Dir: repo(t, map[string]string{"a": ""}), Mode: Commit, Temp: t.TempDir()})
	same(t, gitIn(t, got.Dir, "remote"), "")
	same(t, got.Git.Remote, "")
}

func TestCommit_AnyRef(t *testing.T) {
	t.Parallel()
	up := repo(t, map[string]string{"a": "1"})
	first := gitIn(t, up, "rev-parse", "HEAD")
	dir := filepath.Join(temp(t), "clone")
	gitIn(t, up, "branch", "remote-only")
	gitIn(t, up, "clone", "-q", up, dir)
	gitIn(t, dir, "tag", "-m", "a tag", "v1")
	gitIn(t, dir, "branch", "feature/x")
	write(t, dir, map[string]string{"a": "2"})
	lost := commit(t, dir)
	gitIn(t, dir, "reset", "-q", "--hard", "HEAD~1")
	write(t, dir, map[string]string{"a": "3"})
	last := commit(t, dir)
	for _, c := range []struct{ ref, id, branch string }{
		{"", last, "main"},
		{"HEAD", last, "main"},
		{"@", last, "main"},
		{"main", last, "main"},
		{"HEAD~1", first, ""},
		{"feature/x", first, "feature/x"},
		{"v1", first, ""},
		{first[:7], first, ""},
		{last, last, ""},
		{"origin/remote-only", first, ""},
		{lost, lost, ""}, // on no branch any more
	} {
		t.Run(c.ref, func(t *testing.T) {
			t.Parallel()
			got := mustOpen(t, Options{Dir: dir, Mode: Commit, Ref: c.ref, Temp: t.TempDir()})
			same(t, got.Git, &Git{Commit: c.id, Branch: c.branch, Remote: up})
			same(t, gitIn(t, got.Dir, "rev-parse", "HEAD"), c.id)
		})
	}
}

func TestCommit_UnknownRef(t *testing.T) {
	t.Parallel()
	dir, temp := repo(t, map[string]string{"a": ""}), t.TempDir()
	for _, ref := range []string{"nope", "--all", "-", "HEAD:a", "HEAD~9", "0000000000000000000000000000000000000000",
		"^HEAD", "main..main", "a b", "\n"} {
		e := openError(t, Options{Dir: dir, Mode: Commit, Ref: ref, Temp: temp})
		contains(t, e.Problem, "no commit", dir)
		contains(t, e.Hint, "git branch --all")
	}
	same(t, names(t, temp), nil)
}

func TestCommit_MissingDirectory(t *testing.T) {
	t.Parallel()
	dir, temp := repo(t, map[string]string{"a": ""}), t.TempDir()
	write(t, dir, map[string]string{"sub/new": ""})
	e := openError(t, Options{Dir: filepath.Join(dir, "sub"), Mode: Commit, Temp: temp})
	contains(t, e.Error(), `commit "HEAD"`, "has no directory sub")
	same(t, names(t, temp), nil)
}

func TestCommit_RequiresTemp(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": ""})
	if _, err := Open(t.Context(), Options{Dir: dir, Mode: Commit, Temp: filepath.Join(dir, "missing")}); err == nil {
		t.Error("no error")
	}
}
