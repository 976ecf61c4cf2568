package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Claim is something of the user's that a file of the source would reach.
type Claim struct {
	Effect       string // completes "it would ..."
	Setting      string // as it is written: privileged: true
	File         string // as messages show it
	Line, Column int    // from 1; 0 where unknown
	Git          bool   // a file of git's makes it, not one of ours
	Target       string // where a path in it leads, absolute; "" for none
	Rank         Reach  // how far it reaches
}

// Agreed returns the claim as the user agrees to it: a change of it asks again.
func (c Claim) Agreed() string {
	if c.Target == "" {
		return c.Effect + "\n" + c.Setting
	}
	return c.Effect + "\n" + c.Setting + "\n" + c.Target
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
		if c, reaches := s.Claim(name, v.Text); reaches {
			c.File, c.Line, c.Column = f.Name, v.Line, v.Column
			all = append(all, c)
		}
	}
	return all
}

// Claim returns what one value of a setting reaches, without its place, and whether it
// reaches anything of the user's.
func (s Source) Claim(name, value string) (Claim, bool) {
	setting, shown := Find(name), value
	c := Claim{Setting: name + ": " + value, Rank: setting.Reach}
	switch setting.Reach {
	case Build:
		return c, false
	case Variable:
		variable, _, given := strings.Cut(value, "=")
		if given {
			return c, false
		}
		shown = variable
	case Reads, Writes:
		return s.pathClaim(c, setting, value)
	default:
		if value == "" || setting.Harmless != nil && setting.Harmless(value) {
			return c, false
		}
		if name == "secrets" {
			c.Target = s.target(value)
		}
	}
	c.Effect = strings.ReplaceAll(setting.Effect, "VALUE", quoted(shown))
	return c, true
}

// quoted is a value as part of a sentence: one that could be taken for the sentence is in
// quotes, and a long one is cut.
func quoted(value string) string {
	const maxShown = 60
	if runes := []rune(value); len(runes) > maxShown {
		value = string(runes[:maxShown-1]) + "…"
	}
	if value != "" && strings.IndexFunc(value, notPlain) < 0 {
		return value
	}
	return strconv.Quote(value)
}

func notPlain(c rune) bool {
	return notWord(c) && !strings.ContainsRune("./:@-+~", c)
}

func (s Source) pathClaim(c Claim, setting Setting, value string) (Claim, bool) {
	paths := []string{value}
	if setting.Paths != nil {
		paths = setting.Paths(value)
	}
	for _, path := range paths {
		if path == "" {
			continue
		}
		if c.Effect = s.pathEffect(setting, path); c.Effect != "" {
			c.Target = s.target(path)
			return c, true
		}
	}
	return c, false
}

// target is where a path leads, links resolved; "" for what is not a path.
func (s Source) target(path string) string {
	if path == "-" || strings.HasPrefix(path, "s3://") {
		return ""
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.Dir, path)
	}
	if real, err := realPath(path); err == nil {
		return real
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return full
}

func (s Source) pathEffect(setting Setting, path string) string {
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
	case hasName(below, ".buildlocal") && (setting.Name != "output" || below != ".buildlocal"):
		return "reach buildlocal's own files"
	case setting.Reach == Writes && below == ".":
		return "write into the source itself"
	case setting.Reach == Reads && s.Ignored != nil && below != "." && s.Ignored(filepath.Join(s.Dir, below)):
		return "read a file of yours that git ignores"
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
