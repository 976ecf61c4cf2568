package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Listing says which files of a directory a build would see, without the work of Open that only a build
// needs.
type Listing struct {
	Source        // Dir, Mode and Hide
	gitDir string // of the work tree; "" outside of a repository
}

// List returns the files that a build would see. For mode Commit it lists the work tree.
func List(ctx context.Context, o Options) (*Listing, error) {
	dir, err := directory(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Exclude = clean(o.Exclude)
	l := &Listing{Source: Source{Dir: dir, Mode: All, Hide: o.Exclude}}
	r, err := discover(ctx, dir)
	none := errors.Is(err, errNoGit) || errors.Is(err, errNoRepository)
	switch {
	case err != nil && (none || o.Mode == All):
		return l, nil
	case err != nil:
		return nil, refusal(dir, o.Mode, err)
	}
	l.gitDir = r.gitDir()
	if o.Mode == All {
		return l, nil
	}
	ignored, outside, err := r.ignored(ctx, o.Exclude)
	if err != nil || outside {
		return l, err // all files of an ignored directory are source
	}
	inSubmodules, err := r.submodules(ctx, o.Submodules, o.Exclude)
	if err != nil {
		inSubmodules = nil // the build reports it
	}
	l.Mode = Worktree
	for _, name := range append(ignored, inSubmodules...) {
		l.Hide = append(l.Hide, path.Clean(name))
	}
	return l, nil
}

// WalkAll is Walk for files and directories, the directory of the source excepted.
func (l *Listing) WalkAll(ctx context.Context, visit func(name string, e fs.DirEntry)) {
	l.walk(ctx, visit)
}

// operations are the files in a git directory that exist during an operation, with its name.
var operations = [][2]string{
	{"index.lock", "a git command"}, {"rebase-merge", "a rebase"}, {"rebase-apply", "a rebase"},
	{"MERGE_HEAD", "a merge"}, {"CHERRY_PICK_HEAD", "a cherry-pick"}, {"REVERT_HEAD", "a revert"},
}

// Busy returns which operation of git is changing the work tree, such as "a rebase", or "".
func (l *Listing) Busy() string {
	if l == nil || l.gitDir == "" {
		return ""
	}
	for _, o := range operations {
		if _, err := os.Lstat(filepath.Join(l.gitDir, o[0])); err == nil {
			return o[1]
		}
	}
	return ""
}
