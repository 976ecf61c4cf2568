package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStateOf_States(t *testing.T) {
	t.Parallel()
	repo, outside := t.TempDir(), t.TempDir()
	for _, args := range [][]string{{"init", "-q"}, {"config", "user.email", "a@b"}, {"config", "user.name", "a"}} {
		gitIn(t, repo, args...)
	}
	for name, text := range map[string]string{".gitignore": "ignored\ndir/*\n", "tracked": "", "untracked": "",
		"ignored": "", "dir/forced": "", "dir/below": "", "*": ""} {
		file := filepath.Join(repo, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gitIn(t, repo, "add", "tracked", "-f", "dir/forced")
	if err := os.WriteFile(filepath.Join(outside, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]State{
		repo + "/tracked": Tracked, repo + "/untracked": Untracked, repo + "/ignored": IgnoredFile,
		repo + "/dir/forced": Tracked, repo + "/dir/below": IgnoredFile, repo + "/*": Untracked, outside + "/file": Outside,
	} {
		if got, err := StateOf(t.Context(), file); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", file, got, err, want)
		}
	}
}

func TestStateOf_RelativeOrLinkedPath(t *testing.T) {
	dir := repo(t, map[string]string{".gitignore": "ignored", "sub/deep/tracked": ""})
	write(t, dir, map[string]string{"sub/deep/ignored": "", "sub/deep/new": ""})
	link := filepath.Join(temp(t), "link")
	must(t, os.Symlink(filepath.Join(dir, "sub", "deep"), link))
	t.Chdir(filepath.Join(dir, "sub"))
	for file, want := range map[string]State{
		"deep/tracked": Tracked, "deep/ignored": IgnoredFile, "deep/new": Untracked, link + "/tracked": Tracked,
		"../sub/deep/tracked": Tracked,
	} {
		if got, err := StateOf(t.Context(), filepath.FromSlash(file)); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", file, got, err, want)
		}
	}
}

func TestCredentials_UsesUsersHelpers(t *testing.T) {
	repo, ran := t.TempDir(), filepath.Join(t.TempDir(), "ran")
	gitIn(t, repo, "init", "-q")
	// The repository's own helper may have come with the source.
	gitIn(t, repo, "config", "credential.helper", "!touch "+ran+"; :")
	t.Chdir(repo)
	user := filepath.Join(t.TempDir(), "gitconfig")
	t.Setenv("GIT_CONFIG_GLOBAL", user)
	gitIn(t, repo, "config", "--global", "credential.https://known.example.helper",
		"!echo username=me; echo password=pw; :")
	got, err := Credentials(t.Context(), "protocol=https\nhost=known.example\npath=a/b\n\n")
	if err != nil || !strings.Contains(got, "username=me\npassword=pw\n") {
		t.Errorf("got %q, %v", got, err)
	}
	for question, want := range map[string]string{
		"protocol=https\nhost=other.example\n": "no credentials for https://other.example",
		"protocol=http\nhost=known.example\n":  "something other than the credentials of an https host",
		"protocol=https\n":                     "something other",
		"":                                     "something other",
		"protocol=https\nhost=known.example\x00\nx":           "something other",
		"protocol=https\nhost=known.example\nprotocol=http\n": "something other",
	} {
		if got, err := Credentials(t.Context(), question); got != "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v", question, got, err)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the repository's helper ran")
	}
}
