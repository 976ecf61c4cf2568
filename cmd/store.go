package cmd

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

	"github.com/buildlocal/buildlocal/runner"
)

// outputName is the directory for what builds leave, in the source.
const outputName = ".buildlocal"

// store is an output directory: builds/<number>-<id>/, latest, and numbers/,
// which holds an empty file named by the last number that was given out.
type store struct{ dir string }

func newStore(dir string) (*store, error) {
	abs, err := filepath.Abs(dir)
	return &store{abs}, err
}

// buildDir is the directory of one build.
type buildDir struct {
	store  *store
	path   string
	name   string // <number>-<first part of the UUID>
	shown  string // as a person would type it
	number int
	uuid   string
}

// numbers returns those that were given out.
func (s *store) numbers() []int {
	var all []int
	entries, _ := os.ReadDir(filepath.Join(s.dir, "numbers"))
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// next is the number a build would get.
func (s *store) next() int { return slices.Max(append(s.numbers(), 0)) + 1 }

// create makes the directory of a new build. Of two that ask at once each gets
// a number of its own.
// The directory says by the run's temporary directory whether its build lives.
func (s *store) create(uuid, run string) (*buildDir, error) {
	if err := s.prepare(); err != nil {
		return nil, usagef("the output directory cannot be written: %w\nChoose another one with --output.", err)
	}
	number, err := s.number()
	if err != nil {
		return nil, err
	}
	short, _, _ := strings.Cut(uuid, "-")
	d := &buildDir{store: s, number: number, uuid: uuid, name: fmt.Sprintf("%d-%s", number, short)}
	d.path = filepath.Join(s.dir, "builds", d.name)
	d.shown = s.shown(d.path)
	if err := os.MkdirAll(d.path, 0o755); err != nil {
		return nil, err
	}
	return d, os.WriteFile(filepath.Join(d.path, runName), []byte(run), 0o644)
}

// runName is a file with the temporary directory of the build's run, while it
// lives.
const runName = ".run"

// over reports whether a build has ended, also one that was killed.
func over(dir string) bool {
	run, err := os.ReadFile(filepath.Join(dir, runName))
	if err != nil {
		return true
	}
	_, yes := alive(string(run))
	return !yes
}

// prepare makes the directory. One that is new hides itself from git; what is
// there already is somebody's.
func (s *store) prepare() error {
	entries, err := os.ReadDir(s.dir)
	fresh := errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0
	if err := os.MkdirAll(filepath.Join(s.dir, "numbers"), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "builds"), 0o755); err != nil {
		return err
	}
	if !fresh {
		return nil
	}
	return os.WriteFile(filepath.Join(s.dir, ".gitignore"), []byte("*\n"), 0o644)
}

// numbersKept is how many of the last numbers stay taken.
const numbersKept = 20

// number takes the next number by making its file.
func (s *store) number() (int, error) {
	before := s.numbers()
	for n := s.next(); ; n++ {
		file, err := os.OpenFile(filepath.Join(s.dir, "numbers", strconv.Itoa(n)), os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		for _, old := range before {
			if old < n-numbersKept { // a start that is still looking must find the last ones
				_ = os.Remove(filepath.Join(s.dir, "numbers", strconv.Itoa(old)))
			}
		}
		return n, file.Close()
	}
}

// shown is path relative to the working directory, where that is shorter.
func (s *store) shown(path string) string {
	here, err := filepath.Abs(".")
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// log makes the file of the build's log.
func (d *buildDir) log() (*os.File, error) {
	return os.OpenFile(filepath.Join(d.path, "log.txt"), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
}

// finish writes build.json and makes the build the latest.
func (d *buildDir) finish(record *runner.Record) error {
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.path, "build.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(d.path, runName)); err != nil {
		return err
	}
	return d.store.point(d)
}

// point makes latest lead to the build, unless a newer one is there already.
func (s *store) point(d *buildDir) error {
	latest := filepath.Join(s.dir, "latest")
	if target, err := os.Readlink(latest); err == nil && buildNumber(filepath.Base(target)) > d.number {
		return nil
	}
	next := filepath.Join(s.dir, ".latest-"+d.name)
	if err := os.Symlink(filepath.Join("builds", d.name), next); err != nil {
		return fmt.Errorf("make latest lead to the build: %w", err)
	}
	if err := os.Rename(next, latest); err != nil {
		return errors.Join(fmt.Errorf("make latest lead to the build: %w", err), os.Remove(next))
	}
	return nil
}

func buildNumber(name string) int {
	number, _, _ := strings.Cut(name, "-")
	n, err := strconv.Atoi(number)
	if err != nil {
		return -1
	}
	return n
}

// prune removes builds beyond the newest keep that have ended.
func (s *store) prune(keep int) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "builds"))
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if buildNumber(e.Name()) > 0 && over(filepath.Join(s.dir, "builds", e.Name())) {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return buildNumber(b) - buildNumber(a) })
	var errs []error
	for _, name := range names[min(keep, len(names)):] {
		errs = append(errs, os.RemoveAll(filepath.Join(s.dir, "builds", name)))
	}
	return errors.Join(errs...)
}
