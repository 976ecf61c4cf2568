package source

import (
	"bytes"
	"context"
	"fmt"
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
	Name string // slash-separated, below the directory
	Text []byte
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
		*replace = append(*replace, Replacement{head.name, []byte(s.Git.Commit + "\n"), 0o644})
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
		shallow.name, append(before, strings.Join(cut, "\n")+"\n"...), 0o644,
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
	before, _ := r.harmless()
	out, err := git(ctx, r.dir, slices.Concat(before, []string{
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
	empty []string // directories without files, each without those in it
}

// add adds a name that git has returned.
func (u *untrackedFiles) add(name string) {
	dir, isDir := strings.CutSuffix(name, "/")
	switch {
	case name == "" || u.skip(dir):
	case !isDir:
		u.files++
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
			u.files++
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
// they are part of the source, as they are checked out on this host.
func (r *repository) submodules(ctx context.Context, fetch bool, exclude []string) (hide []string, err error) {
	if !exists(filepath.Join(r.top, ".gitmodules")) {
		return nil, nil
	}
	links, err := gitlinks(ctx, r.dir)
	var missing []string
	for _, link := range links {
		dir := filepath.Join(r.dir, filepath.FromSlash(link.name))
		entries, err := os.ReadDir(dir)
		switch {
		case below(link.name, exclude):
		case fetch && (err != nil || !exists(filepath.Join(dir, ".git"))):
			missing = append(missing, link.name)
		case !fetch:
			for _, e := range entries {
				hide = append(hide, path.Join(link.name, e.Name()))
			}
		}
	}
	if len(missing) > 0 {
		return nil, missingSubmodules(missing)
	}
	return hide, err
}

// missingSubmodules returns the error for submodules that the project fetches and that are not on
// this host.
func missingSubmodules(names []string) error {
	return &Error{
		"the project fetches submodules, and these are not checked out: " + strings.Join(names, ", "),
		"Run git submodule update --init --recursive -- " + strings.Join(names, " "), nil,
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

// maxFiltered is the total size in bytes of the files of filters that are replaced. Git LFS has
// pointers of about 130 bytes.
const maxFiltered = 64 << 20

// unfiltered returns the files that a filter such as Git LFS has changed at checkout, as they are
// in the repository: the clone of CodeBuild has pointers, unless the buildspec pulls the files.
func (r *repository) unfiltered(ctx context.Context) ([]Replacement, error) {
	filters, err := r.filters(ctx)
	if err != nil {
		return nil, err
	}
	var all []Replacement
	size := 0
	for _, filter := range filters {
		out, err := git(ctx, r.dir, "ls-files", "-z", "--stage", "--", ":(attr:filter="+filter+")")
		if err != nil {
			return nil, err
		}
		for entry := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
			about, name, found := strings.Cut(entry, "\t")
			fields := strings.Fields(about) // mode, object and stage
			if !found || len(fields) != 3 || !strings.HasPrefix(fields[0], "100") ||
				!exists(filepath.Join(r.dir, filepath.FromSlash(name))) {
				continue
			}
			text, err := git(ctx, r.dir, "cat-file", "blob", fields[1])
			if err != nil {
				return nil, err
			}
			if size += len(text); size > maxFiltered {
				return nil, fmt.Errorf("the files of the filter %s are larger than %d MiB", filter, maxFiltered>>20)
			}
			mode := fs.FileMode(0o644)
			if fields[0] == "100755" {
				mode = 0o755
			}
			all = append(all, Replacement{name, []byte(text), mode})
		}
	}
	return all, nil
}

// filters returns the names of the filters that files of the repository have.
func (r *repository) filters(ctx context.Context) ([]string, error) {
	out, err := git(ctx, r.top, "ls-files", "-z", "--", ".gitattributes", "**/.gitattributes")
	if err != nil {
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	files := []string{filepath.Join(r.common, "info", "attributes")}
	for _, name := range names {
		files = append(files, filepath.Join(r.top, filepath.FromSlash(name)))
	}
	var filters []string
	for _, file := range files {
		const maxAttributes = 1 << 20
		text, _ := regular.Read(file, maxAttributes)
		for _, word := range strings.Fields(string(text)) {
			name, is := strings.CutPrefix(word, "filter=")
			// Other characters have a meaning in a pathspec.
			valid := strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
			if is && name != "" && valid && !slices.Contains(filters, name) {
				filters = append(filters, name)
			}
		}
	}
	return filters, nil
}
