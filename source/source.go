// Package source determines the source code of a build: which files of a directory the build
// sees, and which version they are.
//
// Open examines a directory and returns a Source. In mode Worktree the build sees the files that
// git does not ignore, in mode Commit a clean clone of one commit, and in mode All every file.
// Source.Tar packs these files for an engine that cannot mount them.
//
// The directory may have been downloaded from anywhere, and the configuration of its repository
// can name commands. The package therefore runs git only with settings that keep it from running
// them. Leads finds references from a repository to files elsewhere. The package does not write
// to the directory, and only Fetch accesses the network.
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mode selects the files of the directory that the build sees.
type Mode string

// The modes. In a Worktree and a Commit, the build sees the clone that CodeBuild makes: HEAD is
// detached, Git LFS files are pointers, and submodules are empty directories unless the project
// fetches them. Nothing is fetched from the network.
const (
	Worktree Mode = "worktree" // all files that git does not ignore
	Commit   Mode = "commit"   // a clean clone of one commit
	All      Mode = "all"      // all files
)

// ParseMode parses "worktree", "commit", "commit=REF" or "all", and returns the mode and REF. An
// empty string leaves the choice to Open.
func ParseMode(s string) (Mode, string, error) {
	name, ref, given := strings.Cut(s, "=")
	mode := Mode(name)
	switch {
	case given && mode == Commit && ref != "":
		return mode, ref, nil
	case !given && mode.valid():
		return mode, "", nil
	}
	return "", "", fmt.Errorf("unknown source mode %q; use worktree, commit, commit=REF or all", s)
}

// valid reports whether m is a known mode or empty.
func (m Mode) valid() bool {
	return m == "" || m == Worktree || m == Commit || m == All
}

// Options are the arguments of Open.
type Options struct {
	Dir     string   // source directory, as the user gave it
	Mode    Mode     // empty for Worktree in a git repository and All elsewhere
	Ref     string   // for Commit: branch, tag or commit ID; empty for HEAD
	Temp    string   // existing directory for the clone of a Commit and for large files of filters
	Exclude []string // slash-separated names below Dir that are never part of the source

	// Output is the name of the directories with the results of builds, which may be anywhere in the
	// source. They are hidden, and are not counted as ignored.
	Output string

	Depth      int  // of the history, as the project requests it; 0 for all
	Submodules bool // the project fetches submodules
}

// Source is a directory of source code and the files in it that a build sees.
type Source struct {
	Dir     string   // absolute, without symlinks: Options.Dir, or a clone below Options.Temp
	From    string   // Options.Dir as it was given
	Mode    Mode     // never empty
	Hide    []string // slash-separated names below Dir that the build must not see, sorted
	Ignored Ignored  // files that Worktree leaves out
	// Replace has files that the build sees instead of those in Dir, sorted by name.
	Replace []Replacement
	Extra   []Extra // further directories that the build needs
	Git     *Git    // nil outside of a git repository, or if git is not installed

	// These are known in a Worktree, in which they differ from a clone.
	Changed    int      // tracked files that differ from the commit; 0 if it takes too long to compare them
	Deleted    int      // files of the commit that do not exist
	Untracked  int      // files that git does not know
	Unresolved []string // files of filters whose contents the repository does not have

	compared bool     // edited has all files that differ from the commit
	edited   []string // slash-separated names below Dir; more than maxEdits are cut off
}

// Ignored summarizes the files that Worktree leaves out because git ignores them.
type Ignored struct {
	Files int      // number of files
	More  bool     // counting stopped, and there are more
	Top   []string // up to three ignored names, those with most files first; directories end in "/"
}

// Extra is a directory of the host that the source needs in addition to Dir, at the same
// absolute path: the git directory of a linked worktree or submodule, or the objects that a
// repository shares with another.
type Extra struct {
	Host, Path string
	Replace    []Replacement // as in Source
}

// Git is the version of a source.
type Git struct {
	Commit string // full ID; empty before the first commit
	Branch string // empty if HEAD is detached
	Remote string // configured URL without credentials; empty without a remote
	Top    string // top-level directory of the work tree; empty if the source is that directory
}

// Error is an error that the user can resolve.
type Error struct {
	Problem string // the problem, such as a missing directory
	Hint    string // the next step, one sentence
	Err     error  // the cause, for errors.Is; may be nil
}

// Error returns the problem and, on a second line, the hint.
func (e *Error) Error() string { return e.Problem + "\n" + e.Hint }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Open examines a source directory. It writes nothing except the clone of mode Commit, which
// the caller must remove along with Options.Temp. Errors that the user can resolve are *Error.
func Open(ctx context.Context, o Options) (*Source, error) {
	if !o.Mode.valid() {
		return nil, fmt.Errorf("unknown source mode %q", o.Mode)
	}
	dir, err := directory(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Exclude = clean(o.Exclude)
	s, err := open(ctx, dir, o)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.From, s.Hide = o.Dir, hidden(s.Dir, s.Hide, o.Exclude)
	return s, nil
}

// ShareExtra gives each extra directory the replaced files of all sources for this directory, so a
// build needs only one of them: the repository of several linked worktrees has a HEAD for each. A
// limited depth of one worktree's history applies to the others as far as they share it.
func ShareExtra(sources []*Source) {
	files := map[string][]Replacement{} // by the path of the directory
	for _, s := range sources {
		for _, e := range s.Extra {
			for _, r := range e.Replace {
				files[e.Path] = addReplacement(files[e.Path], r)
			}
		}
	}
	for _, s := range sources {
		for i := range s.Extra {
			s.Extra[i].Replace = files[s.Extra[i].Path]
		}
	}
}

// addReplacement adds a file. The lists of shallow commits of two worktrees become one.
func addReplacement(all []Replacement, r Replacement) []Replacement {
	i := slices.IndexFunc(all, func(other Replacement) bool { return other.Name == r.Name })
	if i < 0 {
		return append(all, r)
	}
	if r.Name == "shallow" {
		lines := slices.Concat(strings.Split(string(all[i].Text), "\n"), strings.Split(string(r.Text), "\n"))
		lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" })
		slices.Sort(lines)
		all[i].Text = []byte(strings.Join(slices.Compact(lines), "\n") + "\n")
	}
	return all
}

// WithoutRepository returns the source as a bundle of files, as CodePipeline and S3 have it:
// without .git, and so without the directories that it refers to.
func (s *Source) WithoutRepository() *Source {
	bundle := *s
	bundle.Hide = hidden(s.Dir, s.Hide, []string{".git"})
	bundle.Extra, bundle.Git = nil, nil
	bundle.Replace = slices.DeleteFunc(slices.Clone(s.Replace), func(r Replacement) bool {
		return strings.HasPrefix(r.Name, ".git/")
	})
	return &bundle
}

// directory returns the absolute path of a readable directory, without symlinks.
func directory(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", fmt.Errorf("find source directory %s: %w", name, err)
	}
	dir, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &Error{"source directory " + abs + " does not exist", "Use the directory with the code to build.", err}
	}
	if err != nil {
		return "", unreadable(abs, err)
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return "", &Error{"source " + abs + " is a file, not a directory",
			"Use the directory with the code to build, such as " + filepath.Dir(abs) + ".", nil}
	}
	if _, err := os.ReadDir(dir); err != nil {
		return "", unreadable(abs, err)
	}
	return dir, nil
}

// unreadable returns the error for a directory without read permission.
func unreadable(dir string, err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err // the message names the directory already
	}
	return &Error{fmt.Sprintf("source directory %s cannot be read: %v", dir, err),
		"Make it readable for the user who runs the build.", err}
}

// open selects the implementation of a mode. Without a usable repository the default is All.
func open(ctx context.Context, dir string, o Options) (*Source, error) {
	r, err := discover(ctx, dir)
	none := errors.Is(err, errNoGit) || errors.Is(err, errNoRepository)
	switch {
	case err != nil && (o.Mode == All || o.Mode == "" && none):
		return &Source{Dir: dir, Mode: All}, nil
	case err != nil:
		return nil, refusal(dir, o.Mode, err)
	case o.Mode == Commit:
		return r.commit(ctx, o)
	case o.Mode == All:
		return r.all(ctx)
	}
	return r.worktree(ctx, o)
}

// refusal explains why a mode is not available.
func refusal(dir string, mode Mode, err error) error {
	hint := `Use --source-mode all to build every file as it is.`
	switch {
	case errors.Is(err, errNoGit):
		return &Error{fmt.Sprintf("source mode %q requires git, which is not installed", mode), "Install git. " + hint, err}
	case errors.Is(err, errNoRepository):
		return &Error{fmt.Sprintf("source mode %q requires a git repository, and %s is not in one", mode, dir), hint, err}
	}
	return &Error{fmt.Sprintf("read the git repository of %s: %v", dir, err), hint, err}
}
