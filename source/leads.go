package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Lead is a place in a source's own .git that leads git, and with it the build, out of
// the source. A clone has none; an unpacked archive may have been made with one.
type Lead struct {
	File string // below the source, slash-separated
	Line int    // from 1
	Text string // what stands there
}

// maxLead is how many bytes of a file of git's are read.
const maxLead = 64 << 10

// Leads returns the places that lead out of a source directory, except those that lead
// to a repository that names the source as its own: a linked worktree's, or a
// submodule's.
func Leads(dir string) []Lead {
	dot := filepath.Join(dir, ".git")
	info, err := os.Lstat(dot)
	switch {
	case err != nil:
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		return linkLead(dir, ".git")
	case info.Mode().IsRegular():
		return gitFileLead(dir)
	}
	var all []Lead
	for _, name := range []string{
		"HEAD", "config", "commondir", "packed-refs", "info", "modules", "refs", "refs/heads", "refs/remotes", "refs/tags",
		"objects", "objects/info", "objects/info/alternates", "objects/pack",
	} {
		all = append(all, linkLead(dir, ".git/"+name)...)
	}
	all = append(all, pathLeads(dir, ".git/commondir", dot)...)
	return append(all, pathLeads(dir, ".git/objects/info/alternates", filepath.Join(dot, "objects"))...)
}

// linkLead returns a link that leads out of dir.
func linkLead(dir, name string) []Lead {
	full := filepath.Join(dir, filepath.FromSlash(name))
	target, err := os.Readlink(full)
	if err != nil || inside(dir, full) {
		return nil
	}
	return []Lead{{name, 1, "link to " + target}}
}

// pathLeads returns the lines of a file that are paths, seen from a directory, and lead
// out of dir.
func pathLeads(dir, name, from string) []Lead {
	text, err := regular.Read(filepath.Join(dir, filepath.FromSlash(name)), maxLead)
	if err != nil {
		return nil
	}
	var all []Lead
	line := 0
	for path := range strings.SplitSeq(string(text), "\n") {
		line++
		full := path
		if !filepath.IsAbs(full) {
			full = filepath.Join(from, full)
		}
		if path != "" && !strings.HasPrefix(path, "#") && !inside(dir, full) {
			all = append(all, Lead{name, line, path})
		}
	}
	return all
}

// gitFileLead returns the .git of a source that is a file, unless the repository that it
// names names the source.
func gitFileLead(dir string) []Lead {
	text, err := regular.Read(filepath.Join(dir, ".git"), maxLead)
	if err != nil {
		return nil
	}
	first := strings.TrimRight(string(text), "\r\n")
	path, is := strings.CutPrefix(first, "gitdir: ")
	if !is {
		return nil // git refuses it
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if inside(dir, path) || namesBack(path, dir) {
		return nil
	}
	return []Lead{{".git", 1, first}}
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
	if errors.Is(err, fs.ErrNotExist) {
		if _, link := os.Lstat(path); link == nil {
			return false
		}
		real, err = filepath.EvalSymlinks(filepath.Dir(path))
		real = filepath.Join(real, filepath.Base(path))
	}
	if err != nil {
		return false
	}
	below, err := filepath.Rel(top, real)
	return err == nil && filepath.IsLocal(below)
}
