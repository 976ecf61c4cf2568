// Package builds owns the output directory: the numbers of builds, a directory for
// each, the link to the latest, and their removal. It removes and overwrites only
// files it created, and follows no link: the directory may have come with a source.
//
// Builds of one source may run at the same time. All shared state is a file that is created
// exclusively (numbers) or replaced by a rename (latest), so no locks are needed, and a
// killed build leaves nothing in an undefined state.
package builds

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Names in the output directory.
const (
	buildsName  = "builds"  // has a directory for each build: <number>-<first part of the UUID>
	numbersName = "numbers" // has an empty file for each of the last numbers
	latestName  = "latest"  // leads to the build with the highest number that has ended
	ignoreName  = ".gitignore"
	secretsName = "secrets.yml" // the user's, beside the builds
)

// Names in a build's directory.
const (
	RecordName  = "build.json"
	LogName     = "log.txt"
	JournalName = "events.jsonl" // the events of the build, to show it again
	runName     = ".run"         // has the path of the run's temporary directory; removed at the end
)

// ErrNotOurs is wrapped by errors for an output directory that has files, and that
// buildlocal did not make.
var ErrNotOurs = errors.New("not made by buildlocal")

// Options configure a Store.
type Options struct {
	Dir   string                 // the output directory, which need not exist
	Named bool                   // the user named it, so it may be a link
	Alive func(run string) bool  // whether the run with this temporary directory is running; nil for no run
	Vouch func(name string) bool // whether a file did not come with the source; nil for no file
}

// Store is an output directory.
type Store struct {
	dir     string // absolute
	options Options
}

// Open returns the store in a directory, and changes nothing. A directory with files that was
// not made by buildlocal is an error that wraps ErrNotOurs: an --output with a typing mistake
// must not lead to the removal of someone's files. So are links in place of its parts.
func Open(o Options) (*Store, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir, o}
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink == 0:
		return s, s.check()
	case !o.Named:
		return nil, fmt.Errorf("%s is a symbolic link, which may have come with the source: %w", o.Dir, ErrNotOurs)
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		s.dir = real
		return s, s.check()
	}
	return nil, fmt.Errorf("%s is a symbolic link that leads nowhere", o.Dir)
}

// Dir returns the output directory as an absolute path, without a link at its end.
func (s *Store) Dir() string { return s.dir }

// root opens the directory. Names below an os.Root cannot lead out of it, even if another
// process replaces a directory by a link meanwhile.
func (s *Store) root() (*os.Root, error) { return os.OpenRoot(s.dir) }

// check refuses a directory with files that buildlocal did not create.
func (s *Store) check() error {
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	if s.foreign(root, entries) {
		return fmt.Errorf("%s has files and is %w; it may have come with the source, or was "+
			"copied", s.options.Dir, ErrNotOurs)
	}
	for _, name := range []string{buildsName, numbersName} {
		info, err := root.Lstat(name)
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%s is not a directory: %w", filepath.Join(s.options.Dir, name), ErrNotOurs)
		}
	}
	if target, err := root.Readlink(latestName); err == nil && !isBuildLink(target) {
		return fmt.Errorf("%s leads to %s: %w", filepath.Join(s.options.Dir, latestName), target, ErrNotOurs)
	} else if info, lstat := root.Lstat(latestName); err != nil && lstat == nil {
		return fmt.Errorf("%s is not a link (%s): %w", filepath.Join(s.options.Dir, latestName), info.Mode().Type(),
			ErrNotOurs)
	}
	return nil
}

// foreign reports whether a directory has files that buildlocal did not create. Files
// that the user may add before the first build do not count, and neither does the
// mark that a concurrent build is writing, under a temporary name. A moved mark is accepted
// if it did not come with the source: the user copied or restored the directory.
func (s *Store) foreign(root *os.Root, entries []fs.DirEntry) bool {
	others := slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		name := e.Name()
		return name != ignoreName && name != secretsName && !strings.HasPrefix(name, markName)
	})
	if !others {
		return false
	}
	switch readMark(root) {
	case markValid:
		return false
	case markMoved:
		return s.options.Vouch == nil || !s.options.Vouch(filepath.Join(s.dir, markName))
	}
	return true
}

// isBuildLink reports whether the target of latest is the directory of a build: builds/NAME.
func isBuildLink(target string) bool {
	dir, name := filepath.Split(target)
	return filepath.Clean(dir) == buildsName && isBuild(name)
}

// isBuild reports whether a name is that of a build's directory.
func isBuild(name string) bool { return Number(name) > 0 }

// Number returns the number of a build from the name of its directory, such as
// 12-1a2b3c4d; 0 for any other name.
func Number(name string) int {
	const maxDigits, idLength = 9, 8
	number, id, _ := strings.Cut(name, "-")
	if len(number) > maxDigits || len(id) != idLength || strings.Trim(number, "0123456789") != "" || strings.Trim(id,
		"0123456789abcdef") != "" {
		return 0
	}
	n, _ := strconv.Atoi(number)
	return n
}

// Build is one build's directory.
type Build struct {
	Name   string // <number>-<first part of the UUID>
	Number int
	Path   string // absolute
}

// All returns the builds, the newest first. Links and other entries that are not directories
// are skipped. A directory that cannot be read has no builds; Open reports that.
func (s *Store) All() []Build {
	entries, _ := os.ReadDir(filepath.Join(s.dir, buildsName))
	var all []Build
	for _, e := range entries {
		if n := Number(e.Name()); n > 0 && e.IsDir() {
			all = append(all, Build{e.Name(), n, filepath.Join(s.dir, buildsName, e.Name())})
		}
	}
	slices.SortFunc(all, func(a, b Build) int { return b.Number - a.Number })
	return all
}

// Latest returns the build that latest leads to, and whether there is one. It is the ended
// build with the highest number.
func (s *Store) Latest() (Build, bool) {
	target, err := os.Readlink(filepath.Join(s.dir, latestName))
	if err != nil || !isBuildLink(target) {
		return Build{}, false
	}
	for _, b := range s.All() {
		if b.Name == filepath.Base(target) {
			return b, true
		}
	}
	return Build{}, false
}

// LatestPath returns the path of the link to the latest build, for messages.
func (s *Store) LatestPath() string { return filepath.Join(s.dir, latestName) }

// maxRecord is the largest record that is read, in bytes. Records have the environment and
// every command and test report, but no output.
const maxRecord = 64 << 20

// ReadRecord decodes build.json of a build into a value. Package runner, which has its type,
// is not imported here.
func (b Build) ReadRecord(into any) error {
	text, err := b.read(RecordName, maxRecord)
	if err != nil {
		return fmt.Errorf("the build has not ended, or was killed: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s is not a record of a build: %w", filepath.Join(b.Path, RecordName), err)
	}
	return nil
}

// read returns the contents of a regular file of the build, up to a limit in bytes.
func (b Build) read(name string, limit int64) ([]byte, error) {
	root, err := os.OpenRoot(b.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return regular.ReadIn(root, name, limit)
}

// OpenLog opens the log of a build, which may be running. The caller closes it.
func (b Build) OpenLog() (*os.File, error) { return b.open(LogName) }

// OpenJournal opens the journal of a build, which may be running. The caller closes it.
func (b Build) OpenJournal() (*os.File, error) { return b.open(JournalName) }

// open opens a regular file of the build.
func (b Build) open(name string) (*os.File, error) {
	root, err := os.OpenRoot(b.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return regular.OpenIn(root, name)
}

// ReadFile returns the contents of a regular file in the output directory, up to a limit in
// bytes.
func (s *Store) ReadFile(name string, limit int64) ([]byte, error) {
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return regular.ReadIn(root, name, limit)
}

// Running reports whether the process of a build lives.
func (s *Store) Running(b Build) bool {
	run, err := b.read(runName, maxRun)
	return err == nil && s.options.Alive != nil && s.options.Alive(string(run))
}

// maxRun is the longest path of a run, in bytes.
const maxRun = 4 << 10
