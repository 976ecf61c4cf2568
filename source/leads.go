package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Lead is a reference in the .git of a source to files outside of that repository. Git follows
// it, and so does the build. A clone has none, but an archive can be prepared with one.
type Lead struct {
	File string // absolute path
	Line int    // line number, from 1
	Text string // the symlink or the line of the file
}

// maxLead limits the bytes that are read of a file in .git.
const maxLead = 64 << 10

// Leads returns the references that lead out of the repository of a source directory. A .git
// that is a file always leads out, as in linked worktrees and submodules. It is not a Lead if
// the repository elsewhere refers back to the work tree, which the author of an archive cannot
// arrange.
func Leads(dir string) []Lead {
	top := gitPlace(dir)
	if top == "" {
		return nil
	}
	if real, err := filepath.EvalSymlinks(top); err == nil {
		top = real
	}
	l := &leads{top: top, seen: map[string]bool{}}
	if gitDir := l.gitDir(); gitDir != "" {
		l.common(gitDir)
	}
	return l.found
}

// leads collects the leads of one repository.
type leads struct {
	top   string // directory with .git, without symlinks
	seen  map[string]bool
	found []Lead
}

func (l *leads) add(file string, line int, text string) {
	l.found = append(l.found, Lead{file, line, text})
}

// gitDir returns the git directory if it is below the top. If it is elsewhere, gitDir adds a
// lead unless the directory refers back to the top, and returns "".
func (l *leads) gitDir() string {
	dot := filepath.Join(l.top, ".git")
	info, err := os.Lstat(dot)
	if err != nil {
		return ""
	}
	path, text := dot, ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(dot)
		if err != nil {
			return ""
		}
		text = "link to " + target
		if real, err := os.Stat(dot); err == nil && real.Mode().IsRegular() {
			l.add(dot, 1, text) // git never creates a link to a .git file
			return ""
		}
	case info.Mode().IsRegular():
		first, err := regular.Read(dot, maxLead)
		named, is := strings.CutPrefix(strings.TrimRight(string(first), "\r\n"), "gitdir: ")
		if err != nil || !is {
			return "" // git rejects the file
		}
		path, text = l.from(l.top, named), "gitdir: "+named
	}
	if inside(l.top, path) {
		return path
	}
	if info.Mode()&fs.ModeSymlink != 0 || !namesBack(path, l.top) {
		l.add(dot, 1, text)
	}
	return "" // the repository elsewhere is the user's own
}

// from resolves a path relative to a directory.
func (l *leads) from(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// common examines a git directory below the top, and the directory that it shares.
func (l *leads) common(gitDir string) {
	if l.seen[gitDir] {
		return
	}
	l.seen[gitDir] = true
	l.links(gitDir)
	for _, path := range l.paths(filepath.Join(gitDir, "commondir"), gitDir) {
		l.common(path)
	}
	l.objects(filepath.Join(gitDir, "objects"))
}

// objects follows the alternates of a directory of objects.
func (l *leads) objects(dir string) {
	if l.seen[dir] {
		return
	}
	l.seen[dir] = true
	if !l.seen[filepath.Dir(dir)] { // links has walked dir with its parent
		l.links(dir)
	}
	for _, path := range l.paths(filepath.Join(dir, "info", "alternates"), dir) {
		l.objects(path)
	}
}

// links adds the symlinks below a git directory that lead out. Directories of loose objects
// are skipped: there are many, and an attacker would have to know the hash of a secret file to
// link it.
func (l *leads) links(dir string) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case e.Type()&fs.ModeSymlink != 0 && !inside(l.top, path):
			target, _ := os.Readlink(path)
			l.add(path, 1, "link to "+target)
		case e.IsDir() && len(e.Name()) == 2 && filepath.Base(filepath.Dir(path)) == "objects":
			return fs.SkipDir
		}
		return nil
	})
}

// paths returns the paths in a file, resolved relative to a directory, that stay below the
// top. It adds the others as leads.
func (l *leads) paths(file, from string) []string {
	text, err := regular.Read(file, maxLead)
	if err != nil {
		return nil
	}
	var all []string
	line := 0
	for path := range strings.SplitSeq(string(text), "\n") {
		line++
		path = strings.TrimRight(path, "\r")
		switch full := l.from(from, strings.Trim(path, `"`)); {
		case path == "" || strings.HasPrefix(path, "#"):
		case inside(l.top, full):
			all = append(all, full)
		default:
			l.add(file, line, path)
		}
	}
	return all
}

// namesBack reports whether a git directory belongs to the work tree in dir. The git directory
// of a linked worktree has the path of the worktree's .git; that of a submodule has the work
// tree in its configuration.
func namesBack(gitDir, dir string) bool {
	if back, err := regular.Read(filepath.Join(gitDir, "gitdir"), maxLead); err == nil {
		return sameFile(strings.TrimRight(string(back), "\r\n"), gitDir, filepath.Join(dir, ".git"))
	}
	text, err := regular.Read(filepath.Join(gitDir, "config"), maxLead)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if strings.EqualFold(strings.TrimSpace(key), "worktree") {
			return sameFile(strings.Trim(strings.TrimSpace(value), `"`), gitDir, dir)
		}
	}
	return false
}

// sameFile reports whether a path, relative to a directory, and file are the same existing file.
func sameFile(path, from, file string) bool {
	if !filepath.IsAbs(path) {
		path = filepath.Join(from, path)
	}
	a, err1 := os.Stat(path)
	b, err2 := os.Stat(file)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// inside reports whether a path, after symlinks are resolved, is below dir. The path need not
// exist; then its nearest existing parent decides.
func inside(dir, path string) bool {
	top, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	for rest := ""; errors.Is(err, fs.ErrNotExist); {
		if _, link := os.Lstat(path); link == nil || path == filepath.Dir(path) {
			return false // a dangling link: its target may be created anywhere later
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = filepath.Dir(path)
		if real, err = filepath.EvalSymlinks(path); err == nil {
			real = filepath.Join(real, rest)
		}
	}
	if err != nil {
		return false
	}
	below, err := filepath.Rel(top, real)
	return err == nil && filepath.IsLocal(below)
}
