// Package source finds the code to build: which files of a directory the
// service would see, and their version.
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Mode says which files of the directory the build sees.
type Mode string

// The values of Mode. What git keeps elsewhere is not fetched: in a Commit,
// files of Git LFS are pointers and submodules are empty directories. A
// submodule that is checked out in a Worktree is taken as it is.
const (
	Worktree Mode = "worktree" // what is there, without what git ignores
	Commit   Mode = "commit"   // a clean clone of one commit
	All      Mode = "all"      // every file
)

// ParseMode reads "worktree", "commit", "commit=REF" or "all"; "" leaves the
// choice to Open.
func ParseMode(s string) (Mode, string, error) {
	name, ref, given := strings.Cut(s, "=")
	mode := Mode(name)
	switch {
	case given && mode == Commit && ref != "":
		return mode, ref, nil
	case !given && mode.valid():
		return mode, "", nil
	}
	return "", "", fmt.Errorf("unknown source mode %q; the modes are worktree, commit, commit=REF and all", s)
}

func (m Mode) valid() bool {
	return m == "" || m == Worktree || m == Commit || m == All
}

// Options say what Open looks at.
type Options struct {
	Dir     string   // the directory as the user named it
	Mode    Mode     // empty for Worktree in a git repository, else All
	Ref     string   // for Commit: branch, tag or id; empty for HEAD
	Temp    string   // for Commit: an existing directory for the clone
	Exclude []string // slash-separated names below Dir that are never source
}

// Source is a directory of code, and what of it a build sees.
type Source struct {
	Dir     string   // absolute, without symlinks: Options.Dir, or a clone below Options.Temp
	Mode    Mode     // never empty
	Hide    []string // slash-separated names below Dir a build must not see, sorted
	Ignored Ignored
	Extra   []Extra
	Git     *Git // nil outside a git repository, or without git
}

// Ignored is what Worktree left out because git ignores it.
type Ignored struct {
	Files int      // how many files
	More  bool     // counting stopped at Files
	Top   []string // at most three ignored names, most files first; a directory ends in "/"
}

// Extra is a directory of the host that the source needs beside Dir, at the
// same absolute path: the git directory of a linked worktree or submodule, or
// objects that a repository borrows.
type Extra struct{ Host, Path string }

// Git is the version of a source.
type Git struct {
	Commit string // full id; empty before the first commit
	Branch string // empty when HEAD is detached
	Remote string // URL as configured, without credentials; empty for none
	Dirty  bool   // a Worktree that differs from Commit
}

// Error is an error that a user can do something about.
type Error struct {
	What string // what was looked for and what was found
	Way  string // the way out, one sentence
	Err  error  // the cause, for errors.Is; may be nil
}

// Error returns what happened and, on a line of its own, the way out.
func (e *Error) Error() string { return e.What + "\n" + e.Way }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Open finds the source in a directory. It writes nothing but the clone of
// Commit, which is the caller's to remove along with Options.Temp.
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
	s.Hide = hidden(s.Dir, s.Hide, o.Exclude)
	return s, nil
}

// directory returns the absolute path of a directory that can be read.
func directory(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", fmt.Errorf("find source directory %s: %w", name, err)
	}
	dir, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &Error{"source directory " + abs + " does not exist", "Name the directory that holds the code to build.", err}
	}
	if err != nil {
		return "", unreadable(abs, err)
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return "", &Error{"source " + abs + " is a file, not a directory", "Name the directory that holds the code to build, such as " + filepath.Dir(abs) + ".", nil}
	}
	if _, err := os.ReadDir(dir); err != nil {
		return "", unreadable(abs, err)
	}
	return dir, nil
}

func unreadable(dir string, err error) error {
	return &Error{fmt.Sprintf("source directory %s cannot be read: %v", dir, err), "Make it readable for the user who runs the build.", err}
}

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

// refusal says why a mode cannot be had.
func refusal(dir string, mode Mode, err error) error {
	way := `Use the source mode "all" to build every file as it is.`
	switch {
	case errors.Is(err, errNoGit):
		return &Error{fmt.Sprintf("source mode %q needs git, which is not installed", mode), "Install git. " + way, err}
	case errors.Is(err, errNoRepository):
		return &Error{fmt.Sprintf("source mode %q needs a git repository, and %s is not in one", mode, dir), way, err}
	}
	return &Error{fmt.Sprintf("read the git repository of %s: %v", dir, err), way, err}
}
