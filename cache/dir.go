package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// markerName is a file in a directory of caches. Only directories that have it are
// written to, and nothing is removed from any other: --cache with a wrong directory must not
// cost the user files.
const markerName = ".buildlocal-cache"

// markerText is for users who find the file. Its content is not read.
const markerText = "buildlocal keeps caches of builds in this directory, and removes them from it.\n"

// LocalDir is a directory next to the scopes for files of the caller. No scope has this
// name, because makeScope refuses names that begin with a dot.
const LocalDir = ".local"

// maxDocument is the largest description of an entry that is read, and maxIndex the
// largest list of its files, in bytes.
const (
	maxDocument = 16 << 20
	maxIndex    = 1 << 30
)

// ForeignError reports a directory that holds files which are not caches.
type ForeignError struct {
	Dir  string
	Name string // of one such file
}

// Error names the directory and the next step.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s is not a directory of caches: it has %s in it; "+
		"choose an empty or a new directory", e.Dir, e.Name)
}

// Check returns a *ForeignError for a directory with other files than caches. An empty or
// missing directory is accepted. Directories of earlier versions have no marker and are
// recognized by their content.
func Check(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	isMarker := func(e fs.DirEntry) bool { return e.Name() == markerName && e.Type().IsRegular() }
	if slices.ContainsFunc(entries, isMarker) {
		return nil
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() != LocalDir && !looksLikeScope(filepath.Join(dir, e.Name())) {
			return &ForeignError{dir, e.Name()}
		}
	}
	return nil
}

// Claim creates a directory of caches, or adds the marker to a directory that Check
// accepts. The error is a *ForeignError for any other directory.
func Claim(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := Check(dir); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, markerName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(markerText)
	return errors.Join(err, f.Close())
}

// looksLikeScope reports whether a directory has only files of a scope's directory.
func looksLikeScope(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	locked := false // a save creates the lock before anything else, see begin
	for _, e := range entries {
		switch {
		case e.Name() == lockName && e.Type().IsRegular():
			locked = true
		case e.IsDir() && hasPrefix(e, entryPrefix) && isOurs(filepath.Join(dir, e.Name()), entryName):
		case e.IsDir() && (hasPrefix(e, savingPrefix) || hasPrefix(e, removingPrefix)) &&
			isOurs(filepath.Join(dir, e.Name()), lockName, entryName):
		default:
			return false
		}
	}
	return locked || len(entries) == 0
}

// hasPrefix reports whether a name consists of a prefix and the digits that os.MkdirTemp
// appends.
func hasPrefix(e fs.DirEntry, prefix string) bool {
	digits, found := strings.CutPrefix(e.Name(), prefix)
	return found && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// scopes returns the names of the scopes. It returns nil for a directory with other files.
func (l *Local) scopes() []string {
	if Check(l.dir) != nil {
		return nil
	}
	entries, _ := os.ReadDir(l.dir)
	var names []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != LocalDir {
			names = append(names, e.Name())
		}
	}
	return names
}

// inScope returns the directories of a scope whose names this package creates with a
// prefix. It does not follow links.
func (l *Local) inScope(scope, prefix string) []string {
	dir := filepath.Join(l.dir, scope)
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || Check(l.dir) != nil {
		return nil
	}
	entries, _ := os.ReadDir(dir)
	var dirs []string
	for _, e := range entries {
		if e.IsDir() && hasPrefix(e, prefix) {
			dirs = append(dirs, filepath.Join(dir, e.Name()))
		}
	}
	return dirs
}

// isOurs reports whether a directory has only files of an entry, and at least one of the
// regular files in marks. An empty directory is accepted too: its process was killed
// before it wrote a file. Nothing else is ever removed.
func isOurs(dir string, marks ...string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	marked := len(entries) == 0
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir() && (name == Source || name == Root):
		case e.Type().IsRegular() && slices.Contains(marks, name):
			marked = true
		// The prefixes include the temporary files of an interrupted writeJSON.
		case e.Type().IsRegular() && (name == lockName || name == indexName ||
			strings.HasPrefix(name, entryName) || strings.HasPrefix(name, usedName)):
		default:
			return false
		}
	}
	return marked
}

// newLock returns the lock of a file. An existing file must be a regular one, because
// opening a named pipe blocks.
func newLock(name string, flags int) (*flock.Flock, error) {
	if err := regular.Check(name); err != nil {
		return nil, err
	}
	return flock.New(name, flock.SetFlag(flags|regular.OpenFlags)), nil
}
