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

// Claim is the access to something of the user's that a setting in a file of the source requests.
// The user sees Effect and Setting, and consents to exactly this text.
type Claim struct {
	Effect       string // completes "it would ..."
	Setting      string // as written, such as privileged: true
	File         string // name for messages
	Line, Column int    // from 1; 0 if unknown
	Git          bool   // the claim is in a file of git rather than of buildlocal
	Target       string // destination of a path in the setting, absolute; may be empty
	Rank         Reach  // how far the setting reaches
}

// Agreed returns the text that represents the user's consent. If it changes, the user is asked
// again.
func (c Claim) Agreed() string {
	if c.Target == "" {
		return c.Effect + "\n" + c.Setting
	}
	return c.Effect + "\n" + c.Setting + "\n" + c.Target
}

// Place returns file:line:column, without the parts that are unknown.
func (c Claim) Place() string {
	switch {
	case c.Line == 0:
		return c.File
	case c.Column == 0:
		return fmt.Sprintf("%s:%d", c.File, c.Line)
	}
	return fmt.Sprintf("%s:%d:%d", c.File, c.Line, c.Column)
}

// Source is a source directory with a configuration file. The source is not trusted: cloning a
// repository and running a build in it must not give its author access to the user's host.
type Source struct {
	Dir string // as the user gave it

	// Ignored reports whether git ignores a file or directory. Such a file is the user's own, and
	// was not part of the source. It may be nil.
	Ignored func(path string) bool

	// Tracked reports whether git tracks the configuration file. Such a file came with the
	// repository around the source, and not alone, as with an archive. It may be nil.
	Tracked func() bool
}

// Claims returns the claims of a setting in the source's file. Paths are relative to the source.
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

// Claim returns the claim of one value, without its position, and whether there is one.
func (s Source) Claim(name, value string) (Claim, bool) {
	setting, shown := Find(name), value
	c := Claim{Setting: name + ": " + value, Rank: setting.Reach}
	switch setting.Reach {
	case Build:
		return c, false
	case Variable:
		// NAME alone copies the user's variable into the build, which can send it anywhere.
		variable, _, given := strings.Cut(value, "=")
		if given {
			return c, false
		}
		shown = variable
	case Reads, Writes:
		return s.pathClaim(c, setting, value)
	case Around:
		if value == "" || s.Tracked != nil && s.Tracked() {
			return c, false
		}
	default:
		if value == "" || setting.Harmless != nil && setting.Harmless(value) {
			return c, false
		}
		// A secrets file can run commands, so consent is for this file and not for another one under the
		// same name.
		if name == "secrets" {
			c.Target = s.target(value)
		}
	}
	c.Effect = strings.ReplaceAll(setting.Effect, "VALUE", quoted(shown))
	return c, true
}

// quoted formats a value as part of a sentence. A value that could be mistaken for words of the
// sentence is quoted, and a long one is cut.
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

// notPlain reports whether a character could make a value look like part of a sentence.
func notPlain(c rune) bool {
	return notWord(c) && !strings.ContainsRune("./:@-+~", c)
}

// pathClaim returns the claim of a setting with paths.
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

// target returns the destination of a path with symlinks resolved, or "" if it is not a path. The
// target is part of the consent: a link in the source can be changed to lead elsewhere.
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

// pathEffect returns the effect of reading or writing a path, or "" if it is part of the source.
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
	// Hooks and the configuration of git run commands as the user.
	case hasName(below, ".git"):
		return "reach git's own files"
	case hasName(below, ".buildlocal") && (setting.Name != "output" || below != ".buildlocal"):
		return "reach buildlocal's own files"
	// It would replace files of the source.
	case setting.Reach == Writes && below == ".":
		return "write into the source itself"
	case setting.Reach == Reads && s.Ignored != nil && below != "." && s.Ignored(filepath.Join(s.Dir, below)):
		return "read a file of yours that git ignores"
	}
	return ""
}

// hasName reports whether a path has a component with a name, in any case: some file systems are
// case-insensitive.
func hasName(path, name string) bool {
	for part := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if strings.EqualFold(part, name) {
			return true
		}
	}
	return false
}

// errOutside is the error for a path that is not below the source.
var errOutside = errors.New("outside the source")

// Below returns a path, given relative to the source, as a path below the source with all symlinks
// resolved. The source itself is ".". The last components need not exist.
func (s Source) Below(path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.Dir, path)
	}
	// Both paths are resolved, since the source itself may be reached through a link.
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

// realPath resolves the symlinks of the existing part of a path. A dangling symlink is an error,
// because its target may be created anywhere later.
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
