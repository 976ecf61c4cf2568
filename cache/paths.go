package cache

import (
	"path"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/tree"
)

// Paths are the paths of a buildspec's cache section in one build. They map absolute
// paths of the container to names in an entry, which do not depend on the random
// directory of the source.
type Paths struct {
	Source   string   // absolute directory of the source in the container
	Patterns []string // of names in an entry, see Pattern
}

// Pattern converts a path of the buildspec, which is absolute or relative to the source
// and may contain wildcards, to a pattern of names.
func (p Paths) Pattern(text string) string {
	if !path.IsAbs(text) {
		text = path.Join(p.Source, text)
	}
	return p.NameOf(path.Clean(text))
}

// besideName replaces the random name of the directory that contains the source.
const besideName = "beside-source"

// beside returns the directory that contains the source, and its path in names of an entry.
func (p Paths) beside() (dir, name string) {
	dir = path.Dir(p.Source)
	return dir, path.Join(Root, path.Dir(dir), besideName)
}

// NameOf returns the name of an absolute path in an entry. Files of the source, and those
// beside it, such as ../shared, get names of their own, so they are found again in the next
// build, whose source is in a different directory.
func (p Paths) NameOf(file string) string {
	switch rest, inSource := strings.CutPrefix(file, p.Source+"/"); {
	case file == p.Source:
		return Source
	case inSource:
		return Source + "/" + rest
	}
	if dir, name := p.beside(); dir != "/" && (file == dir || isBelow(file, dir)) {
		return name + file[len(dir):]
	}
	return path.Join(Root, file)
}

// PathOf returns the absolute path of a name in an entry. It reverses NameOf.
func (p Paths) PathOf(name string) string {
	if rest, inSource := strings.CutPrefix(name, Source); inSource && (rest == "" || rest[0] == '/') {
		return path.Join(p.Source, rest)
	}
	if dir, beside := p.beside(); dir != "/" && (name == beside || isBelow(name, beside)) {
		return dir + name[len(beside):]
	}
	return path.Join("/", strings.TrimPrefix(name, Root))
}

// shown returns a pattern or a name as a buildspec has it.
func (p Paths) shown(name string) string {
	if below, inSource := strings.CutPrefix(name, Source+"/"); inSource {
		return below
	}
	return p.PathOf(name)
}

// Contain reports whether a name belongs to the cache. A path of the buildspec that names
// a directory includes everything below it; the meaning of such a path in the service is
// not documented.
func (p Paths) Contain(name string) bool {
	for _, pattern := range p.Patterns {
		if tree.Match(pattern, name) || tree.IsLiteral(pattern) && isBelow(name, pattern) {
			return true
		}
	}
	return false
}

// Stems returns the directories, or files, that together contain the whole cache: the
// patterns up to their first wildcard.
func (p Paths) Stems() []string { return tree.LiteralPrefixes(p.Patterns) }

// belowStem reports whether a name is a stem or below one.
func (p Paths) belowStem(name string) bool {
	return slices.ContainsFunc(p.Stems(), func(stem string) bool { return name == stem || isBelow(name, stem) })
}

// isBelow reports whether a slash-separated name is below a directory.
func isBelow(name, dir string) bool { return strings.HasPrefix(name, dir+"/") }
