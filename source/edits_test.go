package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inRepository runs a shell script in a directory, with an author for commits.
func inRepository(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a",
		"GIT_COMMITTER_EMAIL=a@b")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
}

// contentsOf opens a directory and returns its contents.
func contentsOf(t *testing.T, dir string) (*Source, *Contents) {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Contents(t.Context(), plainKey)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestChangedSince_UncommittedFiles(t *testing.T) {
	t.Parallel()
	const start = "git init -q; mkdir sub; echo 1 >a; echo 1 >sub/b; echo 1 >c; echo x >'odd *'; " +
		"git add -A; git commit -qm 1"
	tests := map[string]struct{ before, after, want string }{
		"nothing":              {"", "", ""},
		"edited":               {"", "echo 2 >a", "a"},
		"edited before":        {"echo 2 >a", "echo 1 >a", "a"},
		"the same edit":        {"echo 2 >a", "echo 2 >a", ""},
		"another edit":         {"echo 2 >a", "echo 3 >a", "a"},
		"then committed":       {"echo 2 >a; echo new >d", "git add -A; git commit -qm 2", ""},
		"committed and edited": {"echo 2 >a", "git commit -qam 2; echo 3 >a; echo 2 >c", "a|c"},
		"deleted":              {"", "rm c", "c"},
		"deleted, committed":   {"rm c", "git commit -qam 2", ""},
		"untracked":            {"", "mkdir n; echo 1 >n/e; echo 2 >sub/b", "n/e|sub/b"},
		"executable":           {"", "chmod +x a", "a"},
		"a link":               {"", "rm a; ln -s c a", "a"},
		"ignored":              {"", "echo log >.gitignore; echo 1 >log", ".gitignore"},
		"a name like a glob":   {"", "echo 2 >'odd *'", "odd *"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			inRepository(t, dir, start)
			inRepository(t, dir, tt.before)
			_, then := contentsOf(t, dir)
			inRepository(t, dir, tt.after)
			s, now := contentsOf(t, dir)
			changed, err := s.ChangedSince(t.Context(), then, now, plainKey)
			if got := strings.Join(changed, "|"); err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestContents_NamesAreFromTheTop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inRepository(t, dir, "git init -q; mkdir sub; echo 1 >sub/b; git add -A; git commit -qm 1; echo 2 >sub/b")
	s, c := contentsOf(t, filepath.Join(dir, "sub"))
	if _, found := c.Edits["sub/b"]; len(c.Edits) != 1 || !found {
		t.Errorf("edits: %v", c.Edits)
	}
	changed, err := s.ChangedSince(t.Context(), of(c.Commit), c, plainKey)
	if strings.Join(changed, "|") != "sub/b" || err != nil {
		t.Errorf("%q, %v", changed, err)
	}
}

func TestContents_TooManyEdits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inRepository(t, dir, "git init -q; git commit -q --allow-empty -m 1; for i in $(seq 300); do echo >f$i; done")
	s, err := Open(t.Context(), Options{Dir: dir, Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Contents(t.Context(), plainKey); err == nil || s.Untracked != 300 {
		t.Errorf("got %v with %d untracked files", c, s.Untracked)
	}
}
