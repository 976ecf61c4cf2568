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

// Dir is the directory of a build that runs.
type Dir struct {
	Build
	UUID  string
	store *Store
}

// Next is the number that a build would get.
func (s *Store) Next() int { return slices.Max(append(s.numbers(), 0)) + 1 }

// numbers returns those that were given out.
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

// Create makes the directory of a new build with the given number, which Next returned,
// and UUID. The run is the path of the directory that its process locks. If another
// build took the number first, Create returns ErrTaken; the caller then calls Next again.
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

// Prepare makes the output directory, and marks it. One that is new hides itself from
// git.
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

// hideFromGit writes a .gitignore, unless there is one.
func hideFromGit(root *os.Root) error {
	if _, err := root.Lstat(ignoreName); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return replace(root, ignoreName, []byte("*\n"))
}

// makeDir makes a directory, unless it is there.
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

// numbersKept is how many of the last numbers stay taken.
const numbersKept = 20

// take takes a number by creating its file.
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
		if old < number-numbersKept { // a build that is about to take a number must find the last ones
			s.forget(root, old)
		}
	}
	return file.Close()
}

// forget removes the file of a number, which is empty.
func (s *Store) forget(root *os.Root, number int) {
	name := filepath.Join(numbersName, strconv.Itoa(number))
	if info, err := root.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		_ = root.Remove(name)
	}
}

// CreateLog makes the file of the build's log.
func (d *Dir) CreateLog() (*os.File, error) {
	return d.create(LogName)
}

func (d *Dir) create(name string) (*os.File, error) {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
}

// Finish writes build.json and makes the build the latest.
func (d *Dir) Finish(record []byte) error {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := replace(root, RecordName, record); err != nil {
		return err
	}
	if err := root.Remove(runName); err != nil {
		return err
	}
	return d.store.point(d)
}

// Abandon removes the directory of a build that did not start.
func (d *Dir) Abandon() error { return d.store.remove(d.Name) }

// point makes latest lead to the build, unless it leads to a newer one.
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

// Prune removes the builds beyond the newest keep that have ended.
func (s *Store) Prune(keep int) error {
	ended := slices.DeleteFunc(s.All(), func(b Build) bool { return !s.ended(b) })
	var errs []error
	for _, b := range ended[min(keep, len(ended)):] {
		errs = append(errs, s.remove(b.Name))
	}
	return errors.Join(errs...)
}

// ended reports whether a directory is that of a build, and the build has ended, also
// one that was killed.
func (s *Store) ended(b Build) bool {
	const maxRun = 4 << 10
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

// remove removes the directory of a build, through no link.
func (s *Store) remove(name string) error {
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(filepath.Join(buildsName, name))
}
