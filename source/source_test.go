package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestMain keeps the user's settings out of the tests.
func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "GIT_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	os.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	m.Run()
}

// temp returns a new directory, absolute and without symlinks.
func temp(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// write makes files below dir. A name that ends in "/" is a directory.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(file, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte(text), 0o644))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gitIn runs git as a user would.
func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	args = append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "-c",
		"protocol.file.allow=always"}, args...)
	cmd := exec.Command("git", args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// repo makes a repository with one commit of files, on the branch main.
func repo(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := temp(t)
	gitIn(t, dir, "init", "-q", "-b", "main")
	write(t, dir, files)
	commit(t, dir)
	return dir
}

// commit commits all files in dir and returns the commit ID.
func commit(t *testing.T, dir string) string {
	t.Helper()
	gitIn(t, dir, "add", ".")
	gitIn(t, dir, "commit", "-q", "--allow-empty", "-m", "a commit")
	return gitIn(t, dir, "rev-parse", "HEAD")
}

func mustOpen(t *testing.T, o Options) *Source {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openError returns the error of Open, which must be an *Error.
func openError(t *testing.T, o Options) *Error {
	t.Helper()
	_, err := Open(t.Context(), o)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %#v, want an *Error", err)
	}
	return e
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Source{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}

func TestParseMode_Valid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		mode Mode
		ref  string
	}{
		{"", "", ""},
		{"worktree", Worktree, ""},
		{"commit", Commit, ""},
		{"commit=HEAD~1", Commit, "HEAD~1"},
		{"commit=a=b", Commit, "a=b"},
		{"all", All, ""},
	} {
		mode, ref, err := ParseMode(c.text)
		if mode != c.mode || ref != c.ref || err != nil {
			t.Errorf("%q: got %q, %q, %v", c.text, mode, ref, err)
		}
	}
}

func TestParseMode_Unknown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"tree", "Commit", "commit=", "all=x", "worktree=", "=", "=main"} {
		_, _, err := ParseMode(text)
		if err == nil {
			t.Errorf("%q: no error", text)
			continue
		}
		contains(t, err.Error(), "worktree, commit, commit=REF or all")
	}
	if _, err := Open(t.Context(), Options{Dir: t.TempDir(), Mode: "tree"}); err == nil {
		t.Error("Open takes an unknown mode")
	}
}

func TestOpen_OutsideGitIsAll(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a": "a", ".gitignore": "a", ".buildlocal/log": "l", "out/x": "x"})
	for _, mode := range []Mode{"", All} {
		got := mustOpen(t, Options{Dir: dir, Mode: mode, Exclude: []string{".buildlocal", "./out/", "missing", ".", "../x",
			"out/x"}})
		same(t, got, &Source{Dir: dir, From: dir, Mode: All, Hide: []string{".buildlocal", "missing", "out"}})
	}
}

func TestAll_IncludesIgnoredFilesAndVersion(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log"})
	write(t, dir, map[string]string{"a.log": "a", "new": "n"})
	gitIn(t, dir, "remote", "add", "origin", "https://me:secret@example.com/org/repo")
	id := gitIn(t, dir, "rev-parse", "HEAD")
	want := &Source{Dir: dir, From: dir, Mode: All,
		Git:     &Git{Commit: id, Branch: "main", Remote: "https://example.com/org/repo"},
		Replace: []Replacement{{Name: ".git/HEAD", Text: []byte(id + "\n"), Mode: 0o644}}}
	same(t, mustOpen(t, Options{Dir: dir, Mode: All}), want)

	gitIn(t, dir, "checkout", "-q", "--detach")
	want.Git.Branch, want.Replace = "", nil
	same(t, mustOpen(t, Options{Dir: dir, Mode: All}), want)
}

func TestOpen_SymlinkOrRelativeDir(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"sub/a": "a"})
	link := filepath.Join(temp(t), "link")
	must(t, os.Symlink(filepath.Join(dir, "sub"), link))
	same(t, mustOpen(t, Options{Dir: link}).Dir, filepath.Join(dir, "sub"))

	here, err := os.Getwd()
	must(t, err)
	here, err = filepath.EvalSymlinks(here)
	must(t, err)
	same(t, mustOpen(t, Options{Dir: ".", Mode: All}).Dir, here)
}

func TestOpen_InvalidDirectory(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"file": ""})
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))

	e := openError(t, Options{Dir: filepath.Join(dir, "missing")})
	contains(t, e.Error(), filepath.Join(dir, "missing"), "does not exist", "\nUse the directory")
	if !errors.Is(e, fs.ErrNotExist) {
		t.Error("it is not fs.ErrNotExist")
	}
	contains(t, openError(t, Options{Dir: filepath.Join(dir, "dangling")}).Problem, "does not exist")
	contains(t, openError(t, Options{Dir: filepath.Join(dir, "file")}).Error(), "is a file", "such as "+dir+".")
	contains(t, openError(t, Options{Dir: filepath.Join(dir, "file", "x")}).Problem, "cannot be read")
}

func TestOpen_UnreadableDirectory(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root reads every directory")
	}
	dir := temp(t)
	must(t, os.Chmod(dir, 0))
	contains(t, openError(t, Options{Dir: dir}).Error(), dir, "permission denied", "readable")
}

func TestOpen_GitModesRequireRepository(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	for _, mode := range []Mode{Worktree, Commit} {
		contains(t, openError(t, Options{Dir: dir, Mode: mode}).Error(), string(mode), "requires a git repository", dir,
			"--source-mode all")
	}
	gitIn(t, dir, "init", "-q")
	same(t, mustOpen(t, Options{Dir: filepath.Join(dir, ".git")}).Mode, All)
}

func TestOpen_WithoutGitIsAll(t *testing.T) {
	dir := repo(t, map[string]string{"a": "a"})
	t.Setenv("PATH", t.TempDir())
	for _, mode := range []Mode{"", All} {
		same(t, mustOpen(t, Options{Dir: dir, Mode: mode}), &Source{Dir: dir, From: dir, Mode: All})
	}
	for _, mode := range []Mode{Worktree, Commit} {
		contains(t, openError(t, Options{Dir: dir, Mode: mode}).Error(), "git, which is not installed", "Install git",
			"--source-mode all")
	}
}

func TestOpen_BrokenRepositoryHasHint(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": "a"})
	write(t, dir, map[string]string{".git/config": "[core"})
	for _, mode := range []Mode{"", Worktree, Commit} {
		contains(t, openError(t, Options{Dir: dir, Mode: mode}).Error(), dir, "bad config", "--source-mode all")
	}
	same(t, mustOpen(t, Options{Dir: dir, Mode: All}), &Source{Dir: dir, From: dir, Mode: All})
}

func TestOpen_WorktreeWithoutRepository(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{".git": "gitdir: /nowhere/.git/worktrees/x\n"})
	same(t, mustOpen(t, Options{Dir: dir}), &Source{Dir: dir, From: dir, Mode: All})
}

func TestOpen_ContextCanceled(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": "a"})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	for _, mode := range []Mode{"", Worktree, Commit, All} {
		if _, err := Open(ctx, Options{Dir: dir, Mode: mode, Temp: t.TempDir()}); !errors.Is(err, cause) {
			t.Errorf("%q: got %v", mode, err)
		}
	}
}
