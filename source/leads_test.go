//go:build unix

package source

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repositories makes a private repository of the user's and, beside it, a source with a
// repository of its own.
func repositories(t *testing.T) (private, src string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	outer := t.TempDir()
	private, src = filepath.Join(outer, "private"), filepath.Join(outer, "src")
	for _, dir := range []string{private, src} {
		runGit(t, outer, "init", "-q", dir)
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(dir), 0o644); err != nil {
			t.Fatal(err)
		}
		runGit(t, dir, "add", "file")
		runGit(t, dir, "commit", "-qm", "x")
	}
	return private, src
}

func runGit(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "-c",
		"protocol.file.allow=always"}, args...)...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestLeads_FindsReferencesOutside(t *testing.T) {
	for name, spoil := range map[string]func(private, src string) error{
		"a .git file": func(private, src string) error {
			return errors.Join(os.RemoveAll(filepath.Join(src, ".git")), os.WriteFile(filepath.Join(src, ".git"),
				[]byte("gitdir: "+private+"/.git\n"), 0o644))
		},
		"a relative .git file": func(_, src string) error {
			return errors.Join(os.RemoveAll(filepath.Join(src, ".git")), os.WriteFile(filepath.Join(src, ".git"),
				[]byte("gitdir: ../private/.git\n"), 0o644))
		},
		"a linked .git": func(_, src string) error {
			return errors.Join(os.RemoveAll(filepath.Join(src, ".git")),
				os.Symlink("../private/.git", filepath.Join(src, ".git")))
		},
		"alternates": func(private, src string) error {
			return os.WriteFile(filepath.Join(src, ".git/objects/info/alternates"),
				[]byte("# a comment\n"+private+"/.git/objects\n"), 0o644)
		},
		"relative alternates": func(_, src string) error {
			return os.WriteFile(filepath.Join(src, ".git/objects/info/alternates"), []byte("../../../private/.git/objects\n"),
				0o644)
		},
		"a directory that is not git's": func(_, src string) error {
			return os.WriteFile(filepath.Join(src, ".git/objects/info/alternates"), []byte("/etc\n"), 0o644)
		},
		"a common directory": func(private, src string) error {
			return os.WriteFile(filepath.Join(src, ".git/commondir"), []byte(private+"/.git\n"), 0o644)
		},
		"linked objects": func(private, src string) error {
			return errors.Join(os.RemoveAll(filepath.Join(src, ".git/objects")), os.Symlink(private+"/.git/objects",
				filepath.Join(src, ".git/objects")))
		},
		"linked refs": func(private, src string) error {
			return errors.Join(os.RemoveAll(filepath.Join(src, ".git/refs/heads")), os.Symlink(private+"/.git/refs/heads",
				filepath.Join(src, ".git/refs/heads")))
		},
		"a .git file with a common directory": func(private, src string) error {
			rg := filepath.Join(src, "rg")
			return errors.Join(os.RemoveAll(filepath.Join(src, ".git")), os.Mkdir(rg, 0o755),
				os.WriteFile(filepath.Join(src, ".git"), []byte("gitdir: rg\n"), 0o644),
				os.WriteFile(filepath.Join(rg, "commondir"), []byte(private+"/.git\n"), 0o644),
				os.WriteFile(filepath.Join(rg, "gitdir"), []byte(src+"/.git\n"), 0o644))
		},
		"a linked .git with a common directory": func(private, src string) error {
			return errors.Join(os.Rename(filepath.Join(src, ".git"), filepath.Join(src, "rg")),
				os.Symlink("rg", filepath.Join(src, ".git")),
				os.WriteFile(filepath.Join(src, "rg/commondir"), []byte(private+"/.git\n"), 0o644))
		},
		"alternates of alternates": func(private, src string) error {
			return errors.Join(os.MkdirAll(filepath.Join(src, ".git/x/objects/info"), 0o755),
				os.WriteFile(filepath.Join(src, ".git/objects/info/alternates"), []byte("../x/objects\n"), 0o644),
				os.WriteFile(filepath.Join(src, ".git/x/objects/info/alternates"), []byte(private+"/.git/objects\n"), 0o644))
		},
		"a linked directory of objects": func(private, src string) error {
			entries, err := filepath.Glob(private + "/.git/objects/[0-9a-f][0-9a-f]")
			return errors.Join(err, os.RemoveAll(filepath.Join(src, ".git/objects", filepath.Base(entries[0]))),
				os.Symlink(entries[0], filepath.Join(src, ".git/objects", filepath.Base(entries[0]))))
		},
		"a linked tag": func(private, src string) error {
			return os.Symlink(private+"/.git/refs/heads/master", filepath.Join(src, ".git/refs/tags/leak"))
		},
	} {
		private, src := repositories(t)
		if err := spoil(private, src); err != nil {
			t.Fatal(err)
		}
		below := filepath.Join(src, "below", "it")
		if err := os.MkdirAll(below, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{src, below} {
			if leads := Leads(dir); len(leads) != 1 || leads[0].Line == 0 || leads[0].Text == "" {
				t.Errorf("%s: %+v; want one lead", name, leads)
			}
		}
	}
}

func TestLeads_KnowsRepositoriesThatNameTheSource(t *testing.T) {
	private, src := repositories(t)
	if leads := Leads(src); len(leads) > 0 {
		t.Errorf("a plain repository: %+v", leads)
	}
	if leads := Leads(t.TempDir()); len(leads) > 0 {
		t.Errorf("no repository: %+v", leads)
	}
	worktree := filepath.Join(filepath.Dir(src), "worktree")
	runGit(t, src, "worktree", "add", "-q", worktree)
	if leads := Leads(worktree); len(leads) > 0 {
		t.Errorf("a linked worktree: %+v", leads)
	}
	runGit(t, src, "submodule", "--quiet", "add", private, "sub")
	if leads := Leads(filepath.Join(src, "sub")); len(leads) > 0 {
		t.Errorf("a submodule: %+v", leads)
	}
	// Another worktree's git directory names another directory.
	stolen := filepath.Join(filepath.Dir(src), "stolen")
	text, err := os.ReadFile(filepath.Join(worktree, ".git"))
	if err := errors.Join(err, os.Mkdir(stolen, 0o755), os.WriteFile(filepath.Join(stolen, ".git"), text,
		0o644)); err != nil {
		t.Fatal(err)
	}
	if leads := Leads(stolen); len(leads) != 1 {
		t.Errorf("a copy of a worktree's .git: %+v; want one lead", leads)
	}
}
