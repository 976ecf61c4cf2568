package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Lead is a place in the .git of a source that leads git, and with it the build, to
// files elsewhere. A clone has none; an unpacked archive may have been made with one.
type Lead struct {
	File string // absolute
	Line int    // from 1
	Text string // the link or the line of the file
}

// maxLead is how many bytes of a file of git's are read.
const maxLead = 64 << 10

// Leads returns the places in the repository of a source directory that lead out of
// that repository. A .git that is a file leads out by its nature, as in linked worktrees
// and submodules; it is no lead if the repository elsewhere names the work tree as its
// own, which whoever made an archive could not arrange.
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
	top   string // the directory that has .git; without links
	seen  map[string]bool
	found []Lead
}

func (l *leads) add(file string, line int, text string) {
	l.found = append(l.found, Lead{file, line, text})
}

// gitDir returns the git directory, if it is below the top; if it is elsewhere, that is
// noted unless it names the top.
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
			return "" // git refuses it
		}
		path, text = l.from(l.top, named), "gitdir: "+named
	}
	if inside(l.top, path) {
		return path
	}
	if info.Mode()&fs.ModeSymlink != 0 || !namesBack(path, l.top) {
		l.add(dot, 1, text)
	}
	return "" // it is the user's own
}

// from returns a path that is seen from a directory.
func (l *leads) from(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// common looks through a git directory below the top, and the one that it shares.
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
	if !l.seen[filepath.Dir(dir)] { // which has been walked with it
		l.links(dir)
	}
	for _, path := range l.paths(filepath.Join(dir, "info", "alternates"), dir) {
		l.objects(path)
	}
}

// links notes the links below a git directory that lead out. The single objects are not
// looked at: there are many, and who links one has to know its name.
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

// paths returns the paths in a file, seen from a directory, that stay below the top, and
// notes the others.
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

// namesBack reports whether a git directory belongs to the work tree in dir: that of a
// linked worktree has the path of the worktree's .git, that of a submodule has its work
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

// sameFile reports whether a path, seen from a directory, is that of an existing file.
func sameFile(path, from, file string) bool {
	if !filepath.IsAbs(path) {
		path = filepath.Join(from, path)
	}
	a, err1 := os.Stat(path)
	b, err2 := os.Stat(file)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// inside reports whether a path leads to something below dir, or to nothing below dir.
func inside(dir, path string) bool {
	top, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	for rest := ""; errors.Is(err, fs.ErrNotExist); {
		if _, link := os.Lstat(path); link == nil || path == filepath.Dir(path) {
			return false // a link to nothing: whoever makes that decides where it leads
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
