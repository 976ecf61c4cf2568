package source

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWorktree_LeavesOutIgnored(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{
		".gitignore":     "*.log\nnode_modules/\n/build/\n",
		"src/a":          "a",
		"src/.gitignore": "generated",
		"kept.log/a":     "",
	})
	gitIn(t, dir, "add", "-f", "kept.log")
	commit(t, dir)
	write(t, dir, map[string]string{
		"src/x.log":               "", // below a tracked directory
		"src/generated":           "",
		"src/node_modules/p/1":    "",
		"src/node_modules/p/2":    "",
		"src/build/not-ignored":   "",
		"node_modules/p/q/1":      "",
		"node_modules/p/q/2":      "",
		"node_modules/p/q/3":      "",
		"build/empty/":            "",
		"new/deep/x.log":          "", // below an untracked directory
		"new/deep/y":              "",
		"new/node_modules/p/n_m/": "",
		"only/sub/x.log":          "", // nothing else in the directory
		"empty/":                  "",
	})
	got := mustOpen(t, Options{Dir: dir})
	same(t, got.Mode, Worktree)
	same(t, got.Hide, []string{"build", "empty", "new/deep/x.log", "new/node_modules", "node_modules", "only",
		"src/generated", "src/node_modules", "src/x.log"})
	same(t, got.Ignored, Ignored{Files: 9, Top: []string{"node_modules/", "src/node_modules/", "new/deep/x.log"}})

	got = mustOpen(t, Options{Dir: filepath.Join(dir, "src"), Mode: Worktree})
	same(t, got.Hide, []string{"generated", "node_modules", "x.log"})
	same(t, got.Ignored, Ignored{Files: 4, Top: []string{"node_modules/", "generated", "x.log"}})
}

func TestWorktree_AnyIgnoredName(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"sub dir/.gitignore": "*\n!.gitignore"})
	want := []string{}
	for _, name := range []string{"\t", "\n", " lead and trail ", "\"quoted\"", "'", "-n", "! x", "? x", "a\nb", "ä",
		"日本", "\xff\xfe", "*", "\\"} {
		if os.WriteFile(filepath.Join(dir, "sub dir", name), nil, 0o644) == nil {
			want = append(want, name)
		}
	}
	got := mustOpen(t, Options{Dir: filepath.Join(dir, "sub dir")})
	same(t, got.Hide, hidden(dir, want, nil))
	same(t, got.Ignored.Files, len(want))
	same(t, len(mustOpen(t, Options{Dir: dir}).Hide), len(want))
}

func TestWorktree_AnyDirectoryName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"-C", "a\nb", "a\n", "ä \" '", "\xff"} {
		dir := filepath.Join(temp(t), name)
		if os.Mkdir(dir, 0o755) != nil {
			continue // not on this file system
		}
		gitIn(t, dir, "init", "-q", "-b", "main")
		write(t, dir, map[string]string{".gitignore": "*.log", name + "/x.log": "", name + "/a": ""})
		commit(t, dir)
		got := mustOpen(t, Options{Dir: filepath.Join(dir, name)})
		same(t, got.Hide, []string{"x.log"})
		got = mustOpen(t, Options{Dir: filepath.Join(dir, name), Mode: Commit, Temp: t.TempDir()})
		same(t, names(t, got.Dir), []string{"a"})
	}
}

func TestWorktree_ExcludedNames(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log", "out/tracked": ""})
	write(t, dir, map[string]string{".buildlocal/run": "", ".buildlocal/run.log": "", "out/tracked": "changed",
		"x.log": ""})
	got := mustOpen(t, Options{Dir: dir, Exclude: []string{".buildlocal", "out/", "missing"}})
	same(t, got.Hide, []string{".buildlocal", "missing", "out", "x.log"})
	same(t, got.Ignored, Ignored{Files: 1, Top: []string{"x.log"}})
	same(t, [3]int{got.Changed, got.Deleted, got.Untracked}, [3]int{})
}

func TestWorktree_NestedRepositories(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "/ignored/\n*.log\n"})
	for _, name := range []string{"ignored", "new", "build/inner"} {
		write(t, dir, map[string]string{name + "/a": "", name + "/x.log": ""})
		gitIn(t, filepath.Join(dir, name), "init", "-q")
	}
	got := mustOpen(t, Options{Dir: dir})
	same(t, got.Hide, []string{"ignored"})
}

func TestWorktree_IgnoredDirectoryIsAll(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*"})
	write(t, dir, map[string]string{"project/src/a": ""})
	for _, sub := range []string{"project", "project/src"} {
		sub = filepath.Join(dir, sub)
		same(t, mustOpen(t, Options{Dir: sub}), &Source{Dir: sub, From: sub, Mode: All})
		contains(t, openError(t, Options{Dir: sub, Mode: Worktree}).Error(), "git ignores all of "+sub, dir, `"all"`)
	}
}

func TestWorktree_CountsUncommittedFiles(t *testing.T) {
	t.Parallel()
	type counts struct{ Changed, Deleted, Untracked int }
	add := func(files map[string]string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { write(t, dir, files) }
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   counts
	}{
		"nothing": {func(*testing.T, string) {}, counts{}},
		"touched": {func(t *testing.T, dir string) { must(t, os.Chtimes(dir+"/sub/a", time.Time{}, time.Unix(1, 0))) },
			counts{}},
		"ignored":   {add(map[string]string{"sub/x.log": ""}), counts{}},
		"empty":     {add(map[string]string{"sub/new/": ""}), counts{}},
		"elsewhere": {add(map[string]string{"other": "x"}), counts{}},
		"changed":   {add(map[string]string{"sub/a": "b"}), counts{Changed: 1}},
		"new":       {add(map[string]string{"sub/new": ""}), counts{Untracked: 1}},
		"deleted":   {func(t *testing.T, dir string) { must(t, os.Remove(dir+"/sub/a")) }, counts{Deleted: 1}},
		"staged": {func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"sub/a": "b", "sub/new": ""})
			gitIn(t, dir, "add", ".")
		}, counts{Changed: 2}},
		"removed from the index": {func(t *testing.T, dir string) { gitIn(t, dir, "rm", "-q", "--cached", "sub/a") },
			counts{Untracked: 1}},
		"renamed": {func(t *testing.T, dir string) { gitIn(t, dir, "mv", "sub/a", "sub/b c") },
			counts{Changed: 1, Deleted: 1}},
		"mode changed": {func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/sub/a", 0o755)) },
			counts{Changed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := repo(t, map[string]string{".gitignore": "*.log", "other": "o", "sub/a": "a", "sub/z": ""})
			c.change(t, dir)
			got := mustOpen(t, Options{Dir: filepath.Join(dir, "sub")})
			same(t, counts{got.Changed, got.Deleted, got.Untracked}, c.want)
		})
	}
}

func TestWorktree_LargeIndexIsNotCompared(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": "1"})
	write(t, dir, map[string]string{"a": "2", "new": ""})
	counts := func() [3]int {
		s := mustOpen(t, Options{Dir: dir})
		return [3]int{s.Changed, s.Deleted, s.Untracked}
	}
	same(t, counts(), [3]int{1, 0, 1})
	var entries strings.Builder
	id, name := gitIn(t, dir, "hash-object", "a"), strings.Repeat("x", 150)
	for i := range maxComparedIndex / len(name) {
		fmt.Fprintf(&entries, "100644 %s\t%s%d\n", id, name, i)
	}
	add := exec.Command("git", "-C", dir, "update-index", "--index-info")
	add.Stdin = strings.NewReader(entries.String())
	must(t, add.Run())
	same(t, counts(), [3]int{0, 0, 1})
}

func TestWorktree_MergeConflictIsAChange(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a b": "1"})
	gitIn(t, dir, "checkout", "-q", "-b", "other")
	write(t, dir, map[string]string{"a b": "2"})
	commit(t, dir)
	gitIn(t, dir, "checkout", "-q", "main")
	write(t, dir, map[string]string{"a b": "3"})
	commit(t, dir)
	if _, err := git(t.Context(), dir, "-c", "user.name=a", "-c", "user.email=a@b", "merge", "other"); err == nil {
		t.Fatal("no conflict")
	}
	same(t, mustOpen(t, Options{Dir: dir}).Changed, 1)
	same(t, mustOpen(t, Options{Dir: dir, Exclude: []string{"a b"}}).Changed, 0)
}

func TestVersion_BeforeFirstCommit(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	gitIn(t, dir, "init", "-q", "-b", "trunk")
	write(t, dir, map[string]string{".gitignore": "*.log", "x.log": ""})
	same(t, mustOpen(t, Options{Dir: dir}).Hide, []string{"x.log"})
	same(t, mustOpen(t, Options{Dir: dir}).Git, &Git{Branch: "trunk"})
	same(t, mustOpen(t, Options{Dir: dir, Mode: All}).Git, &Git{Branch: "trunk"})
	contains(t, openError(t, Options{Dir: dir, Mode: Commit, Temp: t.TempDir()}).Problem, `no commit "HEAD"`)
}

func TestVersion_DetachedHead(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": ""})
	gitIn(t, dir, "checkout", "-q", "--detach")
	same(t, mustOpen(t, Options{Dir: dir}).Git, &Git{Commit: gitIn(t, dir, "rev-parse", "HEAD")})
}

func TestExtra_LinkedWorktree(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log", "sub/a": ""})
	linked := filepath.Join(temp(t), "linked")
	gitIn(t, dir, "worktree", "add", "-q", "-b", "side", linked)
	write(t, linked, map[string]string{"x.log": ""})
	common := filepath.Join(dir, ".git")
	for _, mode := range []Mode{Worktree, All} {
		got := mustOpen(t, Options{Dir: linked, Mode: mode})
		same(t, hosts(got.Extra), []string{common})
		same(t, got.Git.Branch, "side")
	}
	same(t, mustOpen(t, Options{Dir: linked}).Hide, []string{"x.log"})
	same(t, mustOpen(t, Options{Dir: filepath.Join(linked, "sub")}).Extra, nil)
	same(t, mustOpen(t, Options{Dir: dir}).Extra, nil)

	clone := mustOpen(t, Options{Dir: linked, Mode: Commit, Temp: t.TempDir()})
	same(t, clone.Extra, nil)
	same(t, clone.Git.Branch, "side")
	same(t, gitIn(t, clone.Dir, "rev-parse", "HEAD"), clone.Git.Commit)
}

func TestExtra_Submodule(t *testing.T) {
	t.Parallel()
	inner, dir := repo(t, map[string]string{"a": ""}), repo(t, nil)
	gitIn(t, dir, "submodule", "add", "-q", inner, "sub")
	commit(t, dir)
	common := filepath.Join(dir, ".git", "modules", "sub")
	got := mustOpen(t, Options{Dir: filepath.Join(dir, "sub")})
	same(t, hosts(got.Extra), []string{common})
	same(t, got.Git.Commit, gitIn(t, inner, "rev-parse", "HEAD"))

	got = mustOpen(t, Options{Dir: filepath.Join(dir, "sub"), Mode: Commit, Temp: t.TempDir()})
	same(t, names(t, got.Dir), []string{".git", "a"})
	write(t, dir, map[string]string{"sub/a": "changed"})
	same(t, mustOpen(t, Options{Dir: dir}).Changed, 0)
}

func TestExtra_Alternates(t *testing.T) {
	t.Parallel()
	lender := repo(t, map[string]string{"a": ""})
	dir := filepath.Join(temp(t), "borrower")
	gitIn(t, lender, "clone", "-q", "--shared", lender, dir)
	objects := filepath.Join(lender, ".git", "objects")
	same(t, hosts(mustOpen(t, Options{Dir: dir}).Extra), []string{objects})
}

func TestGit_IgnoresHookEnvironment(t *testing.T) {
	dir, other := repo(t, map[string]string{".gitignore": "*.log"}), repo(t, map[string]string{"b": ""})
	write(t, dir, map[string]string{"x.log": ""})
	temp := t.TempDir()
	for name, value := range map[string]string{
		"GIT_DIR":              filepath.Join(other, ".git"),
		"GIT_WORK_TREE":        other,
		"GIT_INDEX_FILE":       filepath.Join(other, ".git", "index"),
		"GIT_PREFIX":           "sub/",
		"GIT_CONFIG_COUNT":     "nonsense",
		"GIT_OPTIONAL_LOCKS":   "1",
		"LC_ALL":               "de_DE.UTF-8",
		"GIT_OBJECT_DIRECTORY": filepath.Join(other, ".git", "objects"),
	} {
		t.Setenv(name, value)
	}
	got := mustOpen(t, Options{Dir: dir})
	same(t, got.Hide, []string{"x.log"})
	same(t, got.Changed, 0)
	got = mustOpen(t, Options{Dir: dir, Mode: Commit, Temp: temp})
	same(t, names(t, got.Dir), []string{".git", ".gitignore"})
}

func TestGit_CheckoutOfOtherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := repo(t, map[string]string{".gitignore": "*.log", "sub/a": ""})
	write(t, dir, map[string]string{"x.log": ""})
	must(t, filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, 12345, 12345)
	}))
	same(t, mustOpen(t, Options{Dir: dir}).Hide, []string{"x.log"})
	got := mustOpen(t, Options{Dir: filepath.Join(dir, "sub"), Mode: Commit, Temp: t.TempDir()})
	same(t, names(t, got.Dir), []string{"a"})
}

func TestOpen_DoesNotWriteToRepository(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log", "a": "a", "b": "b", ".gitattributes": "*.big filter=lfs\n",
		"x.big": "x"})
	write(t, dir, map[string]string{"a": "changed", "x.log": "", "new": "", "x.big": "y"})
	must(t, os.Chtimes(filepath.Join(dir, "b"), time.Time{}, time.Unix(1, 0))) // the index wants a refresh
	ran := filepath.Join(temp(t), "ran")
	gitIn(t, dir, "config", "filter.lfs.clean", "touch "+ran)
	gitIn(t, dir, "config", "core.fsmonitor", "touch "+ran)
	write(t, dir, map[string]string{".git/hooks/post-checkout": "#!/bin/sh\ntouch " + ran})
	must(t, os.Chmod(filepath.Join(dir, ".git/hooks/post-checkout"), 0o755))
	before := snapshot(t, dir)
	for _, mode := range []Mode{"", Worktree, Commit, All} {
		mustOpen(t, Options{Dir: dir, Mode: mode, Temp: t.TempDir()})
	}
	same(t, snapshot(t, dir), before)
	if _, err := os.Stat(ran); err == nil {
		t.Error("something of the user's was started")
	}
}

// snapshot returns the contents of dir, to the byte and the nanosecond.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		files[name] = fmt.Sprint(info.Mode(), info.ModTime().UnixNano())
		if e.Type().IsRegular() {
			text, err := os.ReadFile(name)
			files[name] += fmt.Sprintf(" %x", sha256.Sum256(text))
			return err
		}
		return nil
	}))
	return files
}

// names returns the names in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCount_StopsAtLimit(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a/1": "", "a/b/2": "", "a/b/3": "", "c": "", "d/": ""})
	all := []string{"a/", "c", "d/", "gone/"}
	same(t, count(dir, nil, 5), Ignored{})
	same(t, count(dir, all, 5), Ignored{Files: 4, Top: []string{"a/", "c", "d/"}})
	same(t, count(dir, all, 4), Ignored{Files: 4, Top: []string{"a/", "c", "d/"}})
	same(t, count(dir, all, 3), Ignored{Files: 3, More: true, Top: []string{"a/", "c", "d/"}})
	same(t, count(dir, all, 2), Ignored{Files: 2, More: true, Top: []string{"a/", "c", "d/"}})
}

func TestHidden_OmitsNestedNames(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a/b/c": "", "z": ""})
	same(t, hidden(dir, []string{"a", "a-b", "q"}, []string{"a/b/c", "z", "missing"}), []string{"a", "a-b", "missing",
		"q", "z"})
}

func TestRemote_Precedence(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": ""})
	remote := func(want string) {
		t.Helper()
		same(t, mustOpen(t, Options{Dir: dir}).Git.Remote, want)
	}
	remote("")
	gitIn(t, dir, "remote", "add", "fork", "https://token@example.com/fork")
	remote("https://example.com/fork")
	gitIn(t, dir, "remote", "add", "up.url", "git@example.com:up")
	remote("")
	gitIn(t, dir, "config", "branch.main.remote", "up.url")
	remote("git@example.com:up")
	gitIn(t, dir, "remote", "add", "origin", "https://me:pass@example.com/origin")
	gitIn(t, dir, "remote", "set-url", "--add", "origin", "https://example.com/second")
	remote("https://example.com/origin")
}

func TestFirstMissing_ExcludedDirectory(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a/b": ""})
	same(t, hidden(dir, nil, []string{"a/out/deep", "new/out", "a/b"}), []string{"a/b", "a/out", "new"})
}

// hosts returns the directories of the host.
func hosts(all []Extra) []string {
	var dirs []string
	for _, e := range all {
		dirs = append(dirs, e.Host)
	}
	return dirs
}
