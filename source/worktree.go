package source

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// maxCounted is the number of ignored files at which counting stops.
const maxCounted = 100_000

// worktree opens the source in mode Worktree. If git ignores the whole directory, it is not
// really part of the surrounding repository, and all of its files are source.
func (r *repository) worktree(ctx context.Context, o Options) (*Source, error) {
	st, err := r.status(ctx, o.Exclude)
	if err != nil {
		return nil, refusal(r.dir, Worktree, err)
	}
	if st.outside && o.Mode == "" {
		return &Source{Dir: r.dir, Mode: All}, nil
	}
	if st.outside {
		return nil, &Error{
			fmt.Sprintf("git ignores all of %s, a directory in the repository %s", r.dir, r.top),
			`Use the source mode "all" to build every file as it is.`, nil,
		}
	}
	st.git.Dirty = st.git.Dirty || r.dirtySubmodule(ctx, 0)
	st.git.Remote = r.remote(st.git.Branch)
	s := &Source{Dir: r.dir, Mode: Worktree, Extra: r.extra(), Git: &st.git}
	s.Ignored = count(r.dir, st.ignored, maxCounted)
	for _, name := range st.ignored {
		s.Hide = append(s.Hide, strings.TrimSuffix(name, "/"))
	}
	return s, nil
}

// status is the result of git status for a directory.
type status struct {
	git     Git      // without Remote
	ignored []string // names below the directory; directories end in "/"
	outside bool     // git ignores the directory itself
}

// status runs git status once for everything: git spends most of the time on examining the
// files, whatever the query.
func (r *repository) status(ctx context.Context, exclude []string) (*status, error) {
	before, after := r.harmless()
	out, err := git(ctx, r.dir, slices.Concat(before, []string{"status", "--porcelain=v2", "-z", "--branch",
		"--no-ahead-behind",
		"--no-renames", "--untracked-files=normal", "--ignored=traditional"}, after, []string{"--", "."})...)
	if err != nil {
		return nil, err
	}
	st := &status{}
	for entry := range strings.SplitSeq(out, "\x00") {
		st.read(entry, r.prefix, exclude)
	}
	return st, nil
}

// read parses one entry of git status --porcelain=v2. Its names are relative to the top of the
// work tree.
func (st *status) read(entry, prefix string, exclude []string) {
	kind, rest, _ := strings.Cut(entry, " ")
	switch kind {
	case "#":
		st.header(rest)
	case "1": // changed: seven fields and the name
		st.changed(strings.SplitN(rest, " ", 8)[7], prefix, exclude)
	case "u": // unmerged: nine fields and the name
		st.changed(strings.SplitN(rest, " ", 10)[9], prefix, exclude)
	case "?":
		st.changed(rest, prefix, exclude)
	case "!":
		st.ignore(rest, prefix, exclude)
	}
}

// header parses a header line with the commit or the branch.
func (st *status) header(line string) {
	key, value, _ := strings.Cut(line, " ")
	switch {
	case key == "branch.oid" && value != "(initial)":
		st.git.Commit = value
	case key == "branch.head" && value != "(detached)":
		st.git.Branch = value
	}
}

// changed records a changed or untracked file, unless it is excluded.
func (st *status) changed(name, prefix string, exclude []string) {
	if !below(strings.TrimPrefix(name, prefix), exclude) {
		st.git.Dirty = true
	}
}

// ignore records an ignored name.
func (st *status) ignore(name, prefix string, exclude []string) {
	name, inside := strings.CutPrefix(name, prefix)
	switch {
	case !inside, name == "":
		st.outside = true
	case !below(name, exclude):
		st.ignored = append(st.ignored, name)
	}
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
