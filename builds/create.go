package builds

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Dir is the directory of a running build. Its methods are for the process of that build.
type Dir struct {
	Build
	UUID  string // of the build's ID in CodeBuild's format
	store *Store
}

// Next returns the number that a build would get. Nothing is reserved: Create takes the number.
func (s *Store) Next() int { return slices.Max(append(s.numbers(), 0)) + 1 }

// numbers returns the numbers that were taken and not forgotten, in no order. Files with
// other names, which a source may contain, are ignored; the limit of digits keeps a huge
// number from overflowing.
func (s *Store) numbers() []int {
	entries, _ := os.ReadDir(filepath.Join(s.dir, numbersName))
	var all []int
	for _, e := range entries {
		const digits = 9
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 0 && len(e.Name()) <= digits && e.Type().IsRegular() {
			all = append(all, n)
		}
	}
	return all
}

// ErrTaken is returned by Create if another build has taken the number.
var ErrTaken = errors.New("the build number is taken")

// Create creates the directory of a new build with a UUID and the number that Next returned.
// The run is the path of the directory that its process locks; it is stored with the build,
// so that others can see whether the build is running. If another build took the number
// first, Create returns ErrTaken; the caller then calls Next again, because its plan
// contains the number.
func (s *Store) Create(number int, uuid, run string) (*Dir, error) {
	if err := s.Prepare(); err != nil {
		return nil, err
	}
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := s.take(root, number); err != nil {
		return nil, err
	}
	// A part of the UUID in the name lets two builds of the same number coexist, as after the
	// numbers were deleted.
	short, _, _ := strings.Cut(uuid, "-")
	name := fmt.Sprintf("%d-%s", number, short)
	d := &Dir{Build{name, number, filepath.Join(s.dir, buildsName, name)}, uuid, s}
	below := filepath.Join(buildsName, name)
	if err := root.Mkdir(below, 0o755); err != nil {
		return nil, err
	}
	if err := replace(root, filepath.Join(below, runName), []byte(run)); err != nil {
		return nil, errors.Join(err, d.Abandon())
	}
	return d, nil
}

// Reopen makes a build that has ended a running one again.
func (s *Store) Reopen(b Build, uuid, run string) (*Dir, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(b.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := replace(root, runName, []byte(run)); err != nil {
		return nil, err
	}
	return &Dir{b, uuid, s}, nil
}

// Restart cuts the log and the journal of a reopened build at offsets in bytes, removes the results
// of its end, and returns both files for writing.
func (d *Dir) Restart(log, journal int64) (logFile, journalFile *os.File, err error) {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if !slices.Contains([]string{RecordName, LogName, JournalName, runName}, e.Name()) {
			if err := root.RemoveAll(e.Name()); err != nil {
				return nil, nil, err
			}
		}
	}
	if logFile, err = cutFile(root, LogName, log); err != nil {
		return nil, nil, err
	}
	if journalFile, err = cutFile(root, JournalName, journal); err != nil {
		return nil, nil, errors.Join(err, logFile.Close())
	}
	return logFile, journalFile, nil
}

// cutFile opens a file to be continued at an offset.
func cutFile(root *os.Root, name string, at int64) (*os.File, error) {
	if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is not a file", name))
	}
	file, err := root.OpenFile(name, os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	if err = file.Truncate(at); err == nil {
		_, err = file.Seek(at, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Close ends a reopened build whose results were not changed.
func (d *Dir) Close() error {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return err
	}
	defer root.Close()
	return root.Remove(runName)
}

// Prepare creates the output directory, and marks it as made by buildlocal. A new one gets a
// .gitignore that hides it from git. The directory is checked again, because it may have
// been created since Open.
func (s *Store) Prepare() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	if readMark(root) != markValid {
		if err := errors.Join(writeMark(root), hideFromGit(root)); err != nil {
			return err
		}
	}
	return errors.Join(makeDir(root, numbersName), makeDir(root, buildsName))
}

// hideFromGit writes a .gitignore that ignores the directory with itself, unless there is
// one, which may be the user's.
func hideFromGit(root *os.Root) error {
	if _, err := root.Lstat(ignoreName); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return replace(root, ignoreName, []byte("*\n"))
}

// makeDir creates a directory unless it exists. Mkdir follows no link in its last element,
// and an existing link is refused.
func makeDir(root *os.Root, name string) error {
	err := root.Mkdir(name, 0o755)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := root.Lstat(name); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is not a directory: %w", filepath.Join(root.Name(), name), ErrNotOurs)
	}
	return nil
}

// keptNumbers is how many of the last numbers stay taken. Older files are removed, so the
// directory does not grow; Next needs only the highest.
const keptNumbers = 20

// take takes a number by creating its file. O_EXCL is atomic, also on network file systems,
// so two builds never get the same number.
func (s *Store) take(root *os.Root, number int) error {
	before := s.numbers()
	file, err := root.OpenFile(filepath.Join(numbersName, strconv.Itoa(number)), os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return ErrTaken
	}
	if err != nil {
		return err
	}
	for _, old := range before {
		// A concurrent build may have called Next before, and is about to take a number close to
		// this one: it has to find that taken.
		if old < number-keptNumbers {
			s.forget(root, old)
		}
	}
	return file.Close()
}

// forget removes the file of a number. One with contents was not created by take.
func (s *Store) forget(root *os.Root, number int) {
	name := filepath.Join(numbersName, strconv.Itoa(number))
	if info, err := root.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		_ = root.Remove(name)
	}
}

// CreateLog creates the file of the build's log. The caller closes it.
func (d *Dir) CreateLog() (*os.File, error) {
	return d.create(LogName)
}

// CreateJournal creates the file of the build's journal. The caller closes it.
func (d *Dir) CreateJournal() (*os.File, error) { return d.create(JournalName) }

// create creates a new file in the directory of the build. An existing one is an error.
func (d *Dir) create(name string) (*os.File, error) {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
}

// Finish writes build.json and makes the build the latest. The mark of the run is removed
// after the record is complete: a build is ended if one of them says so (ended), and a
// crash in between is that of a killed build with a record.
func (d *Dir) Finish(record []byte) error {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := replaceDurably(root, RecordName, record); err != nil {
		return err
	}
	if err := root.Remove(runName); err != nil {
		return err
	}
	return d.store.point(d)
}

// Abandon removes the directory of a build that did not start.
func (d *Dir) Abandon() error { return d.store.remove(d.Name) }

// point makes latest lead to the build, unless it leads to a newer one: a long build may end
// after one that started later. The link is replaced by a rename, so it always exists for
// programs that read it meanwhile. Anything else of that name is refused, not replaced.
func (s *Store) point(d *Dir) error {
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	target, err := root.Readlink(latestName)
	if err == nil && Number(filepath.Base(target)) > d.Number {
		return nil
	}
	if _, there := root.Lstat(latestName); there == nil && !isBuildLink(target) {
		return fmt.Errorf("make latest lead to the build: %s: %w", s.LatestPath(), ErrNotOurs)
	}
	next := ".latest-" + d.Name
	if err := root.Symlink(filepath.Join(buildsName, d.Name), next); err != nil {
		return fmt.Errorf("make latest lead to the build: %w", err)
	}
	if err := root.Rename(next, latestName); err != nil {
		return errors.Join(fmt.Errorf("make latest lead to the build: %w", err), root.Remove(next))
	}
	return nil
}

// Prune removes ended builds except for the newest keep. Running ones do not count.
func (s *Store) Prune(keep int) error {
	ended := slices.DeleteFunc(s.All(), func(b Build) bool { return !s.ended(b) })
	var errs []error
	for _, b := range ended[min(keep, len(ended)):] {
		errs = append(errs, s.remove(b.Name))
	}
	return errors.Join(errs...)
}

// ended reports whether a directory is that of a build that has ended or was killed. One
// without a run and without a valid record is not known to be a build, and is never removed.
func (s *Store) ended(b Build) bool {
	if run, err := b.read(runName, maxRun); err == nil {
		return s.options.Alive == nil || !s.options.Alive(string(run))
	}
	root, err := os.OpenRoot(b.Path)
	if err != nil {
		return false
	}
	defer root.Close()
	record, err := regular.OpenIn(root, RecordName)
	if err != nil {
		return false
	}
	defer record.Close()
	id, number := recordID(record)
	return id != "" && number == b.Number
}

// recordID reads the ID and the number of a build from its record. It stops there: they are
// among the first fields, and the commands of a large build can be megabytes.
func recordID(record io.Reader) (id string, number int) {
	d := json.NewDecoder(io.LimitReader(record, maxRecord))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return "", 0
	}
	for id == "" || number == 0 {
		name, err := d.Token()
		if err != nil || !d.More() {
			break
		}
		var value any
		switch name {
		case "id":
			value = &id
		case "buildNumber":
			value = &number
		default:
			value = &json.RawMessage{}
		}
		if d.Decode(value) != nil {
			break
		}
	}
	return id, number
}

// remove removes the directory of a build. It is opened below the output directory, so no
// link leads the removal elsewhere.
func (s *Store) remove(name string) error {
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(filepath.Join(buildsName, name))
}

// WriteFile writes a file of the whole output directory, such as an index of the builds. It is
// replaced by a rename, so builds that end at the same time leave a complete one.
func (s *Store) WriteFile(name string, text []byte) error {
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	return replace(root, name, text)
}
