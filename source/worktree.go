package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// maxCounted is the number of ignored files at which counting stops.
const maxCounted = 100_000

// worktree opens the source in mode Worktree. If git ignores the whole directory, it is not
// really part of the surrounding repository, and all of its files are source.
func (r *repository) worktree(ctx context.Context, o Options) (*Source, error) {
	s := &Source{Dir: r.dir, Mode: Worktree, Extra: r.extra()}
	var group sync.WaitGroup
	var others, inSubmodules []string
	var submodulesErr, filterErr, cloneErr error
	group.Go(func() {
		s.Git = r.version(ctx)
		cloneErr = r.likeClone(ctx, s, o.Depth)
		inSubmodules, submodulesErr = r.submodules(ctx, o.Submodules, o.Exclude)
	})
	var filtered []Replacement
	group.Go(func() { filtered, s.Unresolved, filterErr = r.unfiltered(ctx, o.Temp) })
	// Without these two, only a remark is missing.
	group.Go(func() { others, _ = r.untracked(ctx) })
	var uncommitted []string
	uncompared := errUncompared
	if r.hasSmallIndex() {
		group.Go(func() { uncommitted, uncompared = r.uncommitted(ctx) })
	}
	ignored, outside, err := r.ignored(ctx, o.Exclude)
	group.Wait()
	switch {
	case err != nil:
		return nil, refusal(r.dir, Worktree, err)
	case outside && o.Mode == "":
		return &Source{Dir: r.dir, Mode: All}, nil
	case outside:
		return nil, &Error{
			fmt.Sprintf("git ignores all of %s, a directory in the repository %s", r.dir, r.top),
			`Use the source mode "all" to build every file as it is.`, nil,
		}
	case errors.Is(filterErr, syscall.ENOSPC):
		return nil, filterErr
	}
	if err := errors.Join(submodulesErr, filterErr, cloneErr); err != nil {
		return nil, cmp.Or(submodulesErr, refusal(r.dir, Worktree, err))
	}
	s.compared = uncompared == nil
	uncommitted = compared(uncommitted, o.Exclude, filtered)
	s.Changed, s.Deleted = countUncommitted(r.dir, uncommitted)
	s.Replace = append(s.Replace, filtered...)
	slices.SortFunc(s.Replace, func(a, b Replacement) int { return strings.Compare(a.Name, b.Name) })
	untracked, hide := r.notCloned(others, ignored, o.Exclude)
	s.Untracked, s.Hide = untracked.files, append(hide, inSubmodules...)
	s.edited = append(uncommitted, untracked.names...)
	s.Ignored = count(r.dir, slices.DeleteFunc(ignored, func(name string) bool {
		return o.Output != "" && path.Base(name) == o.Output
	}), maxCounted)
	return s, nil
}

// notCloned returns the files that git does not know, and the names that a clone does not have:
// ignored ones and directories without files.
func (r *repository) notCloned(untracked, ignored, exclude []string) (u untrackedFiles, hide []string) {
	isIgnored := map[string]bool{}
	for _, name := range ignored {
		name = strings.TrimSuffix(name, "/")
		isIgnored[name] = true
		hide = append(hide, name)
	}
	u = untrackedFiles{dir: r.dir, skip: func(name string) bool { return isIgnored[name] || below(name, exclude) }}
	for _, name := range untracked {
		u.add(name)
	}
	return u, append(hide, u.empty...)
}

// ignored returns the names below the directory that git ignores, without excluded ones;
// directories end in "/", and empty ones are among them. Git lists the directories, and does not
// examine files that it knows. outside is true if git ignores the directory itself.
func (r *repository) ignored(ctx context.Context, exclude []string) (names []string, outside bool, err error) {
	out, err := git(ctx, r.dir, slices.Concat(r.harmless(), []string{
		"ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--", ".",
	})...)
	if err != nil {
		// Git fails if it ignores a parent of the directory ("internal error", observed, 2.39).
		if _, shown := git(ctx, r.dir, "check-ignore", "--quiet", "."); shown == nil {
			return nil, true, nil
		}
		return nil, false, err
	}
	parent := "/" // the last directory, which is listed before the names below it
	for name := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		switch {
		case name == "./":
			outside = true
		case strings.HasPrefix(name, parent):
			continue // git lists a directory with nothing but ignored files, and those files
		case name != "" && !below(name, exclude):
			names = append(names, name)
		}
		if strings.HasSuffix(name, "/") {
			parent = name
		}
	}
	return names, outside, nil
}

// uncommitted returns the names below the directory of the tracked files that differ from the
// commit. Submodules are not examined: git would start another git in each, with that submodule's
// configuration.
func (r *repository) uncommitted(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, maxCompareTime)
	defer cancel()
	out, err := git(ctx, r.dir, slices.Concat(r.harmless(), []string{
		"status", "--porcelain=v2", "-z", "--no-ahead-behind", "--no-renames", "--untracked-files=no",
		"--ignore-submodules=all", "--", ".",
	})...)
	var names []string // none if git failed
	for entry := range strings.SplitSeq(out, "\x00") {
		kind, rest, _ := strings.Cut(entry, " ")
		fields, known := map[string]int{"1": 7, "u": 9}[kind] // in front of the name, which is relative to the top
		if !known {
			continue
		}
		name := strings.TrimPrefix(strings.SplitN(rest, " ", fields+1)[fields], r.prefix)
		// A file that is removed from the index alone is an untracked one.
		if !strings.HasPrefix(rest, "D") || !exists(filepath.Join(r.dir, filepath.FromSlash(name))) {
			names = append(names, name)
		}
	}
	return names, err
}

// compared returns the files that uncommitted returns, except excluded ones and those that the build
// sees as they are in the repository.
func compared(names, exclude []string, filtered []Replacement) []string {
	replaced := map[string]bool{}
	for _, r := range filtered {
		replaced[r.Name] = true
	}
	return slices.DeleteFunc(names, func(name string) bool { return replaced[name] || below(name, exclude) })
}

// countUncommitted counts files that differ from the commit. Deleted ones no longer exist.
func countUncommitted(dir string, names []string) (changed, deleted int) {
	for _, name := range names {
		if exists(filepath.Join(dir, filepath.FromSlash(name))) {
			changed++
		} else {
			deleted++
		}
	}
	return changed, deleted
}

// clean normalizes names and drops those that cannot be below a directory.
func clean(names []string) []string {
	var cleaned []string
	for _, name := range names {
		if name = path.Clean(name); name != "." && filepath.IsLocal(filepath.FromSlash(name)) {
			cleaned = append(cleaned, name)
		}
	}
	return cleaned
}

// below reports whether name is one of names, or is below one of them.
func below(name string, names []string) bool {
	name = strings.TrimSuffix(name, "/")
	return slices.ContainsFunc(names, func(other string) bool {
		return name == other || strings.HasPrefix(name, other+"/")
	})
}

// hidden returns the ignored names and the excluded names, sorted. A name below another one is
// left out.
func hidden(dir string, ignored, exclude []string) []string {
	set := map[string]bool{}
	for _, name := range ignored {
		set[name] = true
	}
	for _, name := range exclude {
		set[firstMissing(dir, name)] = true
	}
	var names []string
	for name := range set {
		if !covered(name, set) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// firstMissing returns the part of name up to its first component that does not exist, or all of
// it. An excluded directory may be created while the build is running, so the part that would
// contain it must be hidden.
func firstMissing(dir, name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		part := strings.Join(parts[:i+1], "/")
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(part))); err != nil {
			return part
		}
	}
	return name
}

// covered reports whether set contains a parent directory of name.
func covered(name string, set map[string]bool) bool {
	for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if set[dir] {
			return true
		}
	}
	return false
}

// count counts the files of the ignored names, up to limit.
func count(dir string, names []string, limit int) Ignored {
	type size struct {
		name  string
		files int
	}
	var sizes []size
	c := counter{left: limit}
	for _, name := range names {
		before := c.left
		if strings.HasSuffix(name, "/") {
			c.directory(filepath.Join(dir, filepath.FromSlash(name)))
		} else {
			c.file()
		}
		sizes = append(sizes, size{name, before - c.left})
	}
	slices.SortStableFunc(sizes, func(a, b size) int { return cmp.Compare(b.files, a.files) })
	ignored := Ignored{Files: limit - c.left, More: c.more}
	for _, s := range sizes[:min(3, len(sizes))] {
		ignored.Top = append(ignored.Top, s.name)
	}
	return ignored
}

// counter counts files down to zero.
type counter struct {
	left int
	more bool // there was another file after zero
}

// file counts one file.
func (c *counter) file() {
	if c.left == 0 {
		c.more = true
		return
	}
	c.left--
}

// directory counts the files below dir. Unreadable directories count as empty.
func (c *counter) directory(dir string) {
	f, err := os.OpenFile(dir, os.O_RDONLY|regular.OpenFlags, 0)
	if err != nil {
		return
	}
	defer f.Close()
	for !c.more {
		entries, err := f.ReadDir(1000)
		for _, e := range entries {
			c.entry(dir, e)
		}
		if err != nil { // includes io.EOF
			return
		}
	}
}

// entry counts one directory entry.
func (c *counter) entry(dir string, e os.DirEntry) {
	switch {
	case c.more:
	case e.IsDir():
		c.directory(filepath.Join(dir, e.Name()))
	default:
		c.file()
	}
}
