package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFetch_ByCommitOrBranch gets a commit from a repository that only a rule of the user's own
// configuration leads to.
func TestFetch_ByCommitOrBranch(t *testing.T) {
	origin, config := t.TempDir(), filepath.Join(t.TempDir(), "config")
	inRepository(t, origin, "git init -q -b main; echo 1 >a; git add -A; git commit -qm 1; git commit -qm 2 --allow-empty")
	id, err := git(t.Context(), origin, "rev-parse", "HEAD~1")
	if err != nil {
		t.Fatal(err)
	}
	commit := strings.TrimSpace(id)
	text := "[url \"file://" + origin + "\"]\n insteadOf = https://example.com/acme/shop\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	dir := filepath.Join(t.TempDir(), "cache")
	const url = "https://example.com/acme/shop"
	for range 2 { // the second time it is there
		if err := Fetch(t.Context(), dir, url, commit); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := FindCommit(t.Context(), dir, commit); !found || err != nil {
		t.Errorf("not found: %v", err)
	}
	s, err := Open(t.Context(), Options{Dir: dir, Mode: Commit, Ref: commit, Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "a")); err != nil {
		t.Error(err)
	}
	missing := strings.Repeat("0", 39) + "1"
	if err := Fetch(t.Context(), dir, url, missing); err == nil {
		t.Error("a commit that does not exist was fetched")
	}
}

func TestFetch_RefusesOddNames(t *testing.T) {
	t.Parallel()
	commit := strings.Repeat("1", 40)
	for _, url := range []string{
		"", "-x", "ext::sh -c id", "/tmp/repository", "file:///tmp/repository", "--upload-pack=id",
	} {
		dir := filepath.Join(t.TempDir(), "new")
		if err := Fetch(t.Context(), dir, url, commit); err == nil || exists(dir) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if err := Fetch(t.Context(), t.TempDir(), "https://example.com/a/b", "--output=x"); err == nil {
		t.Error("an option was taken for a commit")
	}
}

func TestRemoteFor_AnySpelling(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inRepository(t, dir, "git init -q; git remote add fork https://github.com/me/shop; "+
		"git remote add acme git@GitHub.com:acme/Shop.git; git commit -q --allow-empty -m 1")
	if got := RemoteFor(t.Context(), dir, "https://user:token@github.com/acme/shop"); got != "acme" {
		t.Errorf("got %q", got)
	}
	if got := RemoteFor(t.Context(), dir, "https://github.com/other/shop"); got != "" {
		t.Errorf("got %q", got)
	}
}
