package local

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/human"
)

// Nearby is a buildspec that a build does not use by itself, and the flags of run that make it
// use it.
type Nearby struct {
	Path  string // as the user would type it
	Flags string // such as -b ci/buildspec.yaml
}

// The limits of the search for buildspecs near a directory.
const (
	maxNearby       = 5   // buildspecs that are found
	maxNearbyDirs   = 100 // directories that are looked at
	maxNearbyLevels = 10  // parents that are looked at
)

// FindBuildspecs returns buildspecs near a directory: with other names in it, in directories
// below it, and in its parents up to the top of the repository. It reads no file.
func FindBuildspecs(dir string) []Nearby {
	all := namedFlags(buildspecsIn(dir), dir)
	entries, _ := os.ReadDir(dir)
	looked := 0
	for _, e := range entries {
		if !e.IsDir() || looked == maxNearbyDirs || slices.Contains(skippedDirs, e.Name()) {
			continue
		}
		looked++
		all = append(all, namedFlags(buildspecsIn(filepath.Join(dir, e.Name())), dir)...)
	}
	all = append(all, aboveFlags(dir)...)
	return all[:min(maxNearby, len(all))]
}

// skippedDirs have files of other projects, or none of the user.
var skippedDirs = []string{".git", "node_modules", "vendor", "target", OutputName, ".venv", "venv"}

// buildspecsIn returns the buildspecs in a directory. A name of a buildspec has the word in it.
func buildspecsIn(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var all []string
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		isYAML := strings.HasSuffix(name, ".yml") || strings.HasSuffix(name, ".yaml")
		if e.Type().IsRegular() && isYAML && strings.Contains(name, "buildspec") {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	return all
}

// namedFlags returns the flags for buildspecs at and below the directory of the source.
func namedFlags(files []string, dir string) []Nearby {
	source := ""
	if shown := ShownPath(absolute(dir)); shown != "." {
		source = "-C " + human.ShellWord(filepath.ToSlash(shown)) + " "
	}
	var all []Nearby
	for _, file := range files {
		shown := filepath.ToSlash(ShownPath(absolute(file)))
		all = append(all, Nearby{shown, source + "-b " + human.ShellWord(shown)})
	}
	return all
}

// aboveFlags returns the flags for the nearest buildspecs above a directory in its repository, the
// one with the usual name first.
func aboveFlags(dir string) []Nearby {
	dir = RealDir(dir)
	if !isInRepository(dir) {
		return nil
	}
	for range maxNearbyLevels {
		if isTop(dir) || filepath.Dir(dir) == dir {
			return nil
		}
		dir = filepath.Dir(dir)
		var all []Nearby
		for _, file := range buildspecsIn(dir) {
			flags := "-C " + human.ShellWord(filepath.ToSlash(relativeToHere(dir)))
			shown := filepath.ToSlash(relativeToHere(file))
			if filepath.Base(file) != DefaultBuildspec {
				flags += " -b " + human.ShellWord(shown)
			}
			if found := (Nearby{shown, flags}); filepath.Base(file) == DefaultBuildspec {
				all = append([]Nearby{found}, all...)
			} else {
				all = append(all, found)
			}
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

// DefaultBuildspec is the name of the buildspec that a build uses by itself.
const DefaultBuildspec = "buildspec.yml"

// isTop reports whether a directory is the top of a repository. In worktrees and submodules
// .git is a file, so any kind of entry counts.
func isTop(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, ".git"))
	return err == nil
}

func isInRepository(dir string) bool {
	for ; !isTop(dir); dir = filepath.Dir(dir) {
		if filepath.Dir(dir) == dir {
			return false
		}
	}
	return true
}

// relativeToHere returns a path relative to the current directory, however long it is.
func relativeToHere(path string) string {
	if rel, err := filepath.Rel(RealDir("."), path); err == nil {
		return rel
	}
	return path
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// NoBuildspecError is the error of a build without a buildspec. Its lines after the first are
// the buildspecs nearby with the commands that use them, and a hint.
type NoBuildspecError struct {
	Names []string // that were looked for, as the user would type them; empty for the default name
	Dir   string   // of the source, for messages
	Near  []Nearby
	Err   error // wraps fs.ErrNotExist
}

// Unwrap returns the cause.
func (e *NoBuildspecError) Unwrap() error { return e.Err }

// Error returns the message, the buildspecs nearby and a hint.
func (e *NoBuildspecError) Error() string {
	text := "no " + DefaultBuildspec + " in " + e.Dir
	if len(e.Names) > 0 {
		text = "no buildspec at " + strings.Join(e.Names, " or ")
	}
	hint := "\nwrite one: buildlocal init"
	if len(e.Names) > 0 {
		hint = "\nset the path of the buildspec with -b"
	}
	if len(e.Near) > 0 {
		text += "; near it:" + e.Lines("run")
		hint = "\nor write one: buildlocal init"
	}
	return text + hint
}

// Lines returns a line for each buildspec nearby, with the command that uses it.
func (e *NoBuildspecError) Lines(command string) string {
	width := 0
	for _, n := range e.Near {
		width = max(width, len(n.Path))
	}
	var b strings.Builder
	for _, n := range e.Near {
		fmt.Fprintf(&b, "\n  %-*s   buildlocal %s %s", width, n.Path, command, n.Flags)
	}
	return b.String()
}
