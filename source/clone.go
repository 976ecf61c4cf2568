package source

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Replacement is a file that the build sees instead of the one in the directory, or in addition.
type Replacement struct {
	Name string      // slash-separated, below the directory
	Text []byte      // the contents, unless File has them
	File string      // path of a file with the contents, for large ones; may be empty
	Mode fs.FileMode // permissions
}

// maxDepthOfClone is the largest depth that CodeBuild honors; a larger one is the full history
// (documented).
const maxDepthOfClone = 25

// maxShallow is the largest list of shallow commits that is read, in bytes. A line has 41.
const maxShallow = 16 << 20

// likeClone gives a source of mode Worktree or All the repository of the clone that CodeBuild
// makes: HEAD is detached, and the history has the requested depth.
func (r *repository) likeClone(ctx context.Context, s *Source, depth int) error {
	if s.Git == nil || s.Git.Commit == "" {
		return nil
	}
	replace, head, shallow := r.repositoryFiles(ctx, s)
	if replace == nil {
		return nil
	}
	// A repository with the reftable format has no branch in HEAD, and no file to replace.
	const maxHead = 4 << 10
	text, err := regular.Read(head.host, maxHead)
	if err == nil && s.Git.Branch != "" && string(bytes.TrimSpace(text)) == "ref: refs/heads/"+s.Git.Branch {
		*replace = append(*replace, Replacement{Name: head.name, Text: []byte(s.Git.Commit + "\n"), Mode: 0o644})
	}
	if depth < 1 || depth > maxDepthOfClone {
		return nil
	}
	cut, err := r.boundary(ctx, s.Git.Commit, depth)
	if err != nil || len(cut) == 0 {
		return err
	}
	before, _ := regular.Read(shallow.host, maxShallow) // of a clone that is shallow itself
	*replace = append(*replace, Replacement{
		Name: shallow.name, Text: append(before, strings.Join(cut, "\n")+"\n"...), Mode: 0o644,
	})
	return nil
}

// repositoryFile is a file of the repository, in a directory that the build sees.
type repositoryFile struct{ host, name string }

// repositoryFiles returns where HEAD and the list of shallow commits are, and the replacements of
// the directory that has them. It returns nil if the build does not see the repository.
func (r *repository) repositoryFiles(
	ctx context.Context, s *Source,
) (replace *[]Replacement, head, shallow repositoryFile) {
	dot := filepath.Join(r.dir, ".git")
	info, err := os.Lstat(dot)
	if err != nil || r.prefix != "" {
		return nil, head, shallow
	}
	if info.IsDir() {
		return &s.Replace, repositoryFile{filepath.Join(dot, "HEAD"), ".git/HEAD"},
			repositoryFile{filepath.Join(dot, "shallow"), ".git/shallow"}
	}
	own, err := git(ctx, r.dir, "rev-parse", "--absolute-git-dir")
	if err != nil {
		return nil, head, shallow
	}
	for i := range s.Extra {
		e := &s.Extra[i]
		name, err := filepath.Rel(e.Host, strings.TrimSpace(own))
		if err == nil && filepath.IsLocal(name) {
			return &e.Replace,
				repositoryFile{filepath.Join(strings.TrimSpace(own), "HEAD"), path.Join(filepath.ToSlash(name), "HEAD")},
				repositoryFile{filepath.Join(e.Host, "shallow"), "shallow"}
		}
	}
	return nil, head, shallow
}

// boundary returns the oldest commits of a history with the given depth, whose parents a shallow
// clone does not have. A shorter history has no such commits. Like git, it also returns a
// commit without parents.
func (r *repository) boundary(ctx context.Context, commit string, depth int) ([]string, error) {
	level, seen := []string{commit}, map[string]bool{commit: true}
	for n := 1; len(level) > 0; n++ {
		if n == depth {
			return level, nil
		}
		out, err := git(ctx, r.dir, slices.Concat([]string{"rev-list", "--no-walk", "--parents"}, level)...)
		if err != nil {
			return nil, err
		}
		level = nil
		for _, id := range parents(out) {
			if !seen[id] {
				seen[id] = true
				level = append(level, id)
			}
		}
	}
	return nil, nil
}

// parents returns the parents in the output of git rev-list --parents, whose lines have the IDs
// of a commit and its parents.
func parents(list string) []string {
	var all []string
	for line := range strings.Lines(list) {
		ids := strings.Fields(line)
		all = append(all, ids[min(1, len(ids)):]...)
	}
	return all
}

// untracked returns the names below the directory that git neither knows nor ignores;
// directories end in "/".
func (r *repository) untracked(ctx context.Context) ([]string, error) {
	out, err := git(ctx, r.dir, slices.Concat(r.harmless(), []string{
		"ls-files", "-z", "--others", "--exclude-standard", "--directory", "--", ".",
	})...)
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"), err
}

// untrackedFiles counts the files at and below untracked names, and finds the directories without
// any. A clone has neither. Skipped names are ignored or excluded ones.
type untrackedFiles struct {
	dir   string
	skip  func(name string) bool
	files int
	names []string // of the files, as many as are compared
	empty []string // directories without files, each without those in it
}

// file counts a file.
func (u *untrackedFiles) file(name string) {
	u.files++
	if len(u.names) <= maxEdits {
		u.names = append(u.names, name)
	}
}

// add adds a name that git has returned.
func (u *untrackedFiles) add(name string) {
	dir, isDir := strings.CutSuffix(name, "/")
	switch {
	case name == "" || u.skip(dir):
	case !isDir:
		u.file(name)
	case !u.keeps(dir):
		u.empty = append(u.empty, dir)
	}
}

// keeps reports whether a directory has files, and adds them.
func (u *untrackedFiles) keeps(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(u.dir, filepath.FromSlash(dir)))
	if err != nil {
		return true // it is not known to be empty
	}
	kept := false
	var empty []string
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case u.skip(name):
		case e.Name() == ".git": // another repository
			kept = true
		case !e.IsDir():
			u.file(name)
			kept = true
		case u.keeps(name):
			kept = true
		default:
			empty = append(empty, name)
		}
	}
	if kept {
		u.empty = append(u.empty, empty...)
	}
	return kept
}

// submodules hides the files of submodules, which a clone has as empty directories. With fetch
// they are part of the source, as they are checked out on this host, unless .gitmodules is missing:
// then git does not know where to fetch them from.
func (r *repository) submodules(ctx context.Context, fetch bool, exclude []string) (hide []string, err error) {
	if !r.mayHaveSubmodules() {
		return nil, nil
	}
	links, err := gitlinks(ctx, r.dir)
	if err != nil {
		return nil, err
	}
	links = slices.DeleteFunc(links, func(link gitlink) bool { return below(link.name, exclude) })
	if fetch && exists(filepath.Join(r.top, ".gitmodules")) {
		return nil, missingSubmodules(notCheckedOut(ctx, r.dir, "", links, 0))
	}
	for _, link := range links {
		entries, _ := os.ReadDir(filepath.Join(r.dir, filepath.FromSlash(link.name)))
		for _, e := range entries {
			hide = append(hide, path.Join(link.name, e.Name()))
		}
	}
	return hide, nil
}

// notCheckedOut returns the names of the submodules, and of the submodules in them, that are not
// on this host. The prefix is the name of the submodule that has the links.
func notCheckedOut(ctx context.Context, dir, prefix string, links []gitlink, depth int) (missing []string) {
	for _, link := range links {
		name := path.Join(prefix, link.name)
		sub := filepath.Join(dir, filepath.FromSlash(name))
		if !exists(filepath.Join(sub, ".git")) {
			missing = append(missing, name)
			continue
		}
		if depth == maxDepth || !exists(filepath.Join(sub, ".gitmodules")) || waiting(sub) != nil {
			continue
		}
		if inner, err := gitlinks(ctx, sub); err == nil {
			missing = append(missing, notCheckedOut(ctx, dir, name, inner, depth+1)...)
		}
	}
	return missing
}

// missingSubmodules returns the error for submodules that the project fetches and that are not on
// this host, or nil without any.
func missingSubmodules(names []string) error {
	if len(names) == 0 {
		return nil
	}
	return &Error{
		"the project fetches submodules, and these are not checked out: " + strings.Join(names, ", "),
		"Run git submodule update --init --recursive.", nil,
	}
}

// gitlink is a submodule in the index of a repository.
type gitlink struct{ name, commit string }

// gitlinks returns the submodules below a directory. Their names are relative to it.
func gitlinks(ctx context.Context, dir string) ([]gitlink, error) {
	out, err := git(ctx, dir, "ls-files", "-z", "--stage", "--", ".")
	if err != nil {
		return nil, err
	}
	var all []gitlink
	for entry := range strings.SplitSeq(out, "\x00") {
		about, name, _ := strings.Cut(entry, "\t")
		fields := strings.Fields(about) // mode, object and stage
		if len(fields) == 3 && fields[0] == "160000" {
			all = append(all, gitlink{name, fields[1]})
		}
	}
	return all, nil
}
