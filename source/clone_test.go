package source

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// replaced returns the texts of the files that the build sees instead of those in the directory.
func replaced(all []Replacement) map[string]string {
	texts := map[string]string{}
	for _, r := range all {
		texts[r.Name] = string(r.Text)
	}
	return texts
}

func TestClone_HeadIsDetached(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": ""})
	id := gitIn(t, dir, "rev-parse", "HEAD")
	for _, mode := range []Mode{Worktree, All} {
		same(t, replaced(mustOpen(t, Options{Dir: dir, Mode: mode}).Replace), map[string]string{".git/HEAD": id + "\n"})
	}
	linked := filepath.Join(temp(t), "linked")
	gitIn(t, dir, "worktree", "add", "-q", "-b", "side", linked)
	got := mustOpen(t, Options{Dir: linked})
	same(t, replaced(got.Replace), map[string]string{})
	same(t, replaced(got.Extra[0].Replace), map[string]string{"worktrees/linked/HEAD": id + "\n"})

	gitIn(t, dir, "checkout", "-q", "--detach")
	same(t, mustOpen(t, Options{Dir: dir}).Replace, nil)
	empty := temp(t)
	gitIn(t, empty, "init", "-q")
	same(t, mustOpen(t, Options{Dir: empty}).Replace, nil)
}

func TestClone_Depth(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": "1"})
	for _, text := range []string{"2", "3", "4"} {
		write(t, dir, map[string]string{"a": text})
		commit(t, dir)
	}
	gitIn(t, dir, "checkout", "-q", "-b", "side", "HEAD~2")
	write(t, dir, map[string]string{"b": ""})
	commit(t, dir)
	gitIn(t, dir, "checkout", "-q", "main")
	gitIn(t, dir, "-c", "user.name=a", "-c", "user.email=a@b", "merge", "-q", "--no-edit", "side")
	for depth := range 8 {
		want := "0" // a clone by git itself
		target := filepath.Join(temp(t), "clone")
		args := []string{"clone", "-q", "file://" + dir, target}
		if depth > 0 {
			args = append(args, fmt.Sprintf("--depth=%d", depth))
		}
		gitIn(t, dir, args...)
		want = gitIn(t, target, "rev-list", "--count", "HEAD")

		ours := mustOpen(t, Options{Dir: dir, Mode: Commit, Temp: t.TempDir(), Depth: depth})
		same(t, gitIn(t, ours.Dir, "rev-list", "--count", "HEAD"), want)
		same(t, gitIn(t, ours.Dir, "rev-parse", "--is-shallow-repository"),
			gitIn(t, target, "rev-parse", "--is-shallow-repository"))

		// In a worktree, the list of shallow commits is the same.
		shallow := replaced(mustOpen(t, Options{Dir: dir, Depth: depth}).Replace)[".git/shallow"]
		text, _ := os.ReadFile(filepath.Join(ours.Dir, ".git", "shallow"))
		same(t, shallow, string(text))
	}
	same(t, len(mustOpen(t, Options{Dir: dir, Depth: 26}).Replace), 1) // HEAD only
}

func TestClone_EmptyAndUntracked(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{".gitignore": "*.log", "src/a": ""})
	write(t, dir, map[string]string{
		"empty/": "", "deep/er/": "", "src/none/": "", "new/a": "", "new/none/deep/": "", "new/b": "", "c": "", "x.log": "",
		"only/x.log": "",
	})
	got := mustOpen(t, Options{Dir: dir})
	same(t, got.Hide, []string{"deep", "empty", "new/none", "only", "src/none", "x.log"})
	same(t, got.Untracked, 3)
	same(t, mustOpen(t, Options{Dir: dir, Exclude: []string{"new", "empty"}}).Untracked, 1)
}

func TestClone_FilteredFilesArePointers(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"big.bin": "pointer\n", "sub/big.bin": "another\n", "a.txt": "text"})
	write(t, dir, map[string]string{".gitattributes": "*.bin filter=lfs diff=lfs -text\n"})
	commit(t, dir)
	// As after git lfs pull: the files have their contents, and the repository has pointers.
	write(t, dir, map[string]string{"big.bin": "contents", "sub/big.bin": "contents"})
	got := replaced(mustOpen(t, Options{Dir: dir}).Replace)
	delete(got, ".git/HEAD")
	same(t, got, map[string]string{"big.bin": "pointer\n", "sub/big.bin": "another\n"})

	got = replaced(mustOpen(t, Options{Dir: filepath.Join(dir, "sub")}).Replace)
	same(t, got, map[string]string{"big.bin": "another\n"})
}

func TestClone_Submodules(t *testing.T) {
	t.Parallel()
	inner, dir := repo(t, map[string]string{"a": "a", "deep/b": "b"}), repo(t, nil)
	gitIn(t, dir, "submodule", "add", "-q", inner, "sub")
	commit(t, dir)
	got := mustOpen(t, Options{Dir: dir})
	same(t, got.Hide, []string{"sub/.git", "sub/a", "sub/deep"})
	same(t, mustOpen(t, Options{Dir: dir, Submodules: true}).Hide, nil)

	clone := mustOpen(t, Options{Dir: dir, Mode: Commit, Temp: t.TempDir(), Submodules: true})
	same(t, names(t, filepath.Join(clone.Dir, "sub")), []string{".git", "a", "deep"})
	same(t, gitIn(t, filepath.Join(clone.Dir, "sub"), "rev-parse", "HEAD"), gitIn(t, inner, "rev-parse", "HEAD"))
	clone = mustOpen(t, Options{Dir: dir, Mode: Commit, Temp: t.TempDir()})
	same(t, names(t, filepath.Join(clone.Dir, "sub")), nil)

	gitIn(t, dir, "submodule", "deinit", "-q", "-f", "sub")
	for _, mode := range []Mode{Worktree, Commit} {
		err := openError(t, Options{Dir: dir, Mode: mode, Temp: t.TempDir(), Submodules: true})
		contains(t, err.Error(), "not checked out: sub\n", "git submodule update --init --recursive")
	}
}

func TestClone_SubmodulesOfOddKinds(t *testing.T) {
	t.Parallel()
	deepest := repo(t, map[string]string{"c": ""})
	inner, dir := repo(t, map[string]string{"b": ""}), repo(t, map[string]string{"a": ""})
	gitIn(t, inner, "submodule", "add", "-q", deepest, "deep er")
	commit(t, inner)
	gitIn(t, dir, "submodule", "add", "-q", inner, "libs/with space")
	gitIn(t, dir, "submodule", "update", "-q", "--init", "--recursive")
	commit(t, dir)
	sub := "libs/with space"
	same(t, names(t, filepath.Join(dir, sub, "deep er")), []string{".git", "c"})
	for _, gitmodules := range []bool{true, false} {
		if !gitmodules { // as in a repository with an embedded one, whose list is missing
			must(t, os.Remove(filepath.Join(dir, ".gitmodules")))
		}
		got := mustOpen(t, Options{Dir: dir})
		same(t, got.Hide, []string{sub + "/.git", sub + "/.gitmodules", sub + "/b", sub + "/deep er"})
		got = mustOpen(t, Options{Dir: filepath.Join(dir, "libs")})
		same(t, got.Hide, []string{"with space/.git", "with space/.gitmodules", "with space/b", "with space/deep er"})
	}
	gitIn(t, dir, "checkout", "-q", "--", ".gitmodules")
	same(t, mustOpen(t, Options{Dir: dir, Submodules: true}).Hide, nil)
	clone := mustOpen(t, Options{Dir: dir, Mode: Commit, Temp: t.TempDir(), Submodules: true})
	same(t, names(t, filepath.Join(clone.Dir, sub, "deep er")), []string{".git", "c"})
	clone = mustOpen(t, Options{Dir: dir, Mode: Commit, Temp: t.TempDir()})
	same(t, names(t, filepath.Join(clone.Dir, sub)), nil)

	gitIn(t, filepath.Join(dir, sub), "submodule", "deinit", "-q", "-f", "deep er")
	for _, mode := range []Mode{Worktree, Commit} {
		err := openError(t, Options{Dir: dir, Mode: mode, Temp: t.TempDir(), Submodules: true})
		contains(t, err.Error(), "not checked out: "+sub+"/deep er\n", "git submodule update --init --recursive")
	}
}

func TestShareExtra_OneDirectoryForAllWorktrees(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": "1"})
	first := gitIn(t, dir, "rev-parse", "HEAD")
	write(t, dir, map[string]string{"a": "2"})
	second := commit(t, dir)
	one, two := filepath.Join(temp(t), "one"), filepath.Join(temp(t), "two")
	gitIn(t, dir, "worktree", "add", "-q", "-b", "one", one)
	gitIn(t, dir, "worktree", "add", "-q", "-b", "two", two, first)
	all := []*Source{mustOpen(t, Options{Dir: one, Depth: 1}), mustOpen(t, Options{Dir: two, Depth: 1})}
	ShareExtra(all)
	ids := []string{first, second}
	slices.Sort(ids)
	want := map[string]string{"worktrees/one/HEAD": second + "\n", "worktrees/two/HEAD": first + "\n",
		"shallow": strings.Join(ids, "\n") + "\n"}
	for _, s := range all {
		same(t, len(s.Extra), 1)
		same(t, replaced(s.Extra[0].Replace), want)
	}
}

func TestTar_WritesReplacements(t *testing.T) {
	t.Parallel()
	dir := temp(t)
	write(t, dir, map[string]string{"a": "old", "sub/b": "kept"})
	large := filepath.Join(temp(t), "large")
	must(t, os.WriteFile(large, []byte("more"), 0o600))
	s := &Source{Dir: dir, Mode: All, Replace: []Replacement{
		{Name: "a", Text: []byte("new"), Mode: 0o644}, {Name: "sub/more", File: large, Mode: 0o755},
		{Name: "top", Text: []byte("top"), Mode: 0o644},
	}}
	for _, prefix := range []string{"", "in/here"} {
		var out bytes.Buffer
		must(t, s.Tar(&out, prefix))
		got := map[string]string{}
		for r := tar.NewReader(&out); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			must(t, err)
			if h.Typeflag == tar.TypeReg {
				text, _ := io.ReadAll(r)
				got[strings.TrimPrefix(h.Name, prefix+"/")] += string(text)
			}
		}
		same(t, got, map[string]string{"a": "new", "sub/b": "kept", "sub/more": "more", "top": "top"})
	}
}

// The build's git must accept the layer: this is a check with git itself, over copied files.
func TestClone_GitReadsReplacedFiles(t *testing.T) {
	t.Parallel()
	dir := repo(t, map[string]string{"a": "1"})
	write(t, dir, map[string]string{"a": "2"})
	commit(t, dir)
	s := mustOpen(t, Options{Dir: dir, Depth: 1})
	copied := filepath.Join(temp(t), "copy")
	must(t, exec.Command("cp", "-a", dir, copied).Run())
	for _, r := range s.Replace {
		must(t, os.WriteFile(filepath.Join(copied, r.Name), r.Text, r.Mode))
	}
	same(t, gitIn(t, copied, "rev-list", "--count", "HEAD"), "1")
	same(t, gitIn(t, copied, "rev-parse", "--abbrev-ref", "HEAD"), "HEAD")
	same(t, gitIn(t, copied, "status", "--porcelain"), "")
}
