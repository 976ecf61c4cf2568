package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Claim is something of the user's that a file of the source would reach.
type Claim struct {
	Effect       string // completes "it would ..."
	Setting      string // as it is written: privileged: true
	File         string // as messages show it
	Line, Column int    // from 1; 0 where unknown
	Git          bool   // a file of git's makes it, not one of ours
}

// Place returns file:line:column, as far as it is known.
func (c Claim) Place() string {
	switch {
	case c.Line == 0:
		return c.File
	case c.Column == 0:
		return fmt.Sprintf("%s:%d", c.File, c.Line)
	}
	return fmt.Sprintf("%s:%d:%d", c.File, c.Line, c.Column)
}

// Source is the directory whose files make claims.
type Source struct {
	Dir string // as the user names it

	// Ignored reports whether git ignores a file or a directory, which then did
	// not come with the source; nil for never.
	Ignored func(path string) bool
}

// Claims returns what a setting of the source's file reaches. Its paths are seen
// from the source.
func (s Source) Claims(f *File, name string) []Claim {
	e, given := f.Get(name)
	if !given {
		return nil
	}
	var all []Claim
	for _, v := range e.Values {
		effect := s.Effect(name, v.Text)
		if effect == "" {
			continue
		}
		all = append(all, Claim{Effect: effect, Setting: name + ": " + v.Text, File: f.Name, Line: v.Line, Column: v.Column})
	}
	return all
}

// Effect returns what one value of a setting would do to the user, to complete
// "it would ..."; "" for nothing.
func (s Source) Effect(name, value string) string {
	setting, shown := Find(name), value
	switch setting.Reach {
	case Build:
		return ""
	case Variable:
		name, _, given := strings.Cut(value, "=")
		if given {
			return ""
		}
		shown = name
	case Reads, Writes:
		return s.pathEffect(setting, value)
	default:
		if setting.Harmless != nil && setting.Harmless(value) {
			return ""
		}
	}
	return strings.ReplaceAll(setting.Effect, "VALUE", shown)
}

func (s Source) pathEffect(setting Setting, value string) string {
	paths := []string{value}
	if setting.Paths != nil {
		paths = setting.Paths(value)
	}
	for _, path := range paths {
		if path == "" {
			continue
		}
		if path == "-" {
			return "read standard input"
		}
		if strings.HasPrefix(path, "s3://") {
			return "use a bucket with your AWS credentials"
		}
		below, err := s.Below(path)
		switch {
		case err != nil:
			return setting.Effect
		case hasName(below, ".git"):
			return "reach git's own files"
		case setting.Reach == Reads && hasName(below, ".buildlocal"):
			return "read buildlocal's own files"
		case setting.Reach == Writes && below == ".":
			return "write into the source itself"
		case setting.Reach == Reads && s.Ignored != nil && below != "." && s.Ignored(filepath.Join(s.Dir, below)):
			return "read a file of yours that git ignores"
		}
	}
	return ""
}

// hasName reports whether a component of a path has a name, in any case: some file
// systems do not tell them apart.
func hasName(path, name string) bool {
	for part := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if strings.EqualFold(part, name) {
			return true
		}
	}
	return false
}

// errOutside reports a path that is not below the source.
var errOutside = errors.New("outside the source")

// Below returns a path that is seen from the source as a path below it, "." for the
// source itself, with all symbolic links resolved; the last parts need not exist.
func (s Source) Below(path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.Dir, path)
	}
	top, err := realPath(s.Dir)
	if err != nil {
		return "", err
	}
	real, err := realPath(path)
	if err != nil {
		return "", err
	}
	below, err := filepath.Rel(top, real)
	if err != nil || !filepath.IsLocal(below) {
		return "", errOutside
	}
	return below, nil
}

// realPath resolves the links of as much of a path as exists. A link to something
// that does not exist is an error: whoever creates it decides where it leads.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if _, link := os.Lstat(path); link == nil || !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return "", err
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = filepath.Dir(path)
	}
}
