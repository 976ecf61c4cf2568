//go:build unix

package builds_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/buildlocal/buildlocal/builds"
)

const uuid = "1a2b3c4d-0000-4000-8000-000000000000"

func open(t *testing.T, dir string) *builds.Store {
	t.Helper()
	s, err := builds.Open(builds.Options{Dir: dir, Named: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t *testing.T, s *builds.Store) *builds.Dir {
	t.Helper()
	d, err := createNext(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func finish(t *testing.T, d *builds.Dir) {
	t.Helper()
	if err := d.Finish(fmt.Appendf(nil, `{"id":"x","buildNumber":%d}`, d.Number)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func names(s *builds.Store) string {
	var all []string
	for _, b := range s.All() {
		all = append(all, b.Name)
	}
	return strings.Join(all, " ")
}

func TestOpen_RefusesForeignDirectory(t *testing.T) {
	outer := t.TempDir()
	write(t, filepath.Join(outer, "photos/2019-05-italy/picture"), "x")
	for name, make := range map[string]func(dir string) error{
		"files":         func(dir string) error { return os.WriteFile(filepath.Join(dir, "f"), nil, 0o644) },
		"builds":        func(dir string) error { return os.MkdirAll(filepath.Join(dir, "builds/2000-release"), 0o755) },
		"a linked part": func(dir string) error { return os.Symlink("../photos", filepath.Join(dir, "builds")) },
		"a forged mark": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, ".made-by-buildlocal"), []byte(`{"version":1,"inode":1}`), 0o644),
				os.Mkdir(filepath.Join(dir, "builds"), 0o755))
		},
		"a mark without an inode": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, ".made-by-buildlocal"), []byte(`{"version":1}`), 0o644),
				os.Mkdir(filepath.Join(dir, "builds"), 0o755))
		},
	} {
		dir := filepath.Join(outer, strings.ReplaceAll(name, " ", "-"))
		if err := errors.Join(os.Mkdir(dir, 0o755), make(dir)); err != nil {
			t.Fatal(err)
		}
		if _, err := builds.Open(builds.Options{Dir: dir}); !errors.Is(err, builds.ErrNotOurs) {
			t.Errorf("%s: %v; want ErrNotOurs", name, err)
		}
	}
}

func TestOpen_RefusesLinksInItsOwnDirectory(t *testing.T) {
	for name, spoil := range map[string]func(dir, elsewhere string) error{
		"builds": func(dir, elsewhere string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "builds")), os.Symlink(elsewhere, filepath.Join(dir, "builds")))
		},
		"numbers": func(dir, elsewhere string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "numbers")), os.Symlink(elsewhere, filepath.Join(dir, "numbers")))
		},
		"latest": func(dir, elsewhere string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "latest")), os.Symlink(elsewhere, filepath.Join(dir, "latest")))
		},
		"latest as a directory": func(dir, _ string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "latest")), os.Mkdir(filepath.Join(dir, "latest"), 0o755))
		},
		"the mark": func(dir, elsewhere string) error {
			mark := filepath.Join(dir, ".made-by-buildlocal")
			return errors.Join(os.Rename(mark, filepath.Join(elsewhere, "mark")), os.Symlink(filepath.Join(elsewhere, "mark"),
				mark))
		},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		finish(t, create(t, open(t, dir)))
		if err := spoil(dir, t.TempDir()); err != nil {
			t.Fatal(err)
		}
		if _, err := builds.Open(builds.Options{Dir: dir}); !errors.Is(err, builds.ErrNotOurs) {
			t.Errorf("%s: %v; want ErrNotOurs", name, err)
		}
	}
}

func TestOpen_FollowsOnlyNamedLinks(t *testing.T) {
	outer := t.TempDir()
	link := filepath.Join(outer, "link")
	if err := errors.Join(os.Mkdir(filepath.Join(outer, "real"), 0o755), os.Symlink("real", link)); err != nil {
		t.Fatal(err)
	}
	if _, err := builds.Open(builds.Options{Dir: link}); !errors.Is(err, builds.ErrNotOurs) {
		t.Errorf("a link that nobody named: %v", err)
	}
	finish(t, create(t, open(t, link)))
	if _, err := os.Stat(filepath.Join(outer, "real", "latest", "build.json")); err != nil {
		t.Error(err)
	}
}

func TestOpen_AdoptsConfirmedCopy(t *testing.T) {
	outer := t.TempDir()
	first, second := filepath.Join(outer, "first"), filepath.Join(outer, "second")
	finish(t, create(t, open(t, first)))
	if err := os.CopyFS(second, noLinks(t, first)); err != nil {
		t.Fatal(err)
	}
	vouched := builds.Options{Dir: second, Vouch: func(string) bool { return true }}
	if _, err := builds.Open(builds.Options{Dir: second, Vouch: func(string) bool { return false }}); !errors.Is(err,
		builds.ErrNotOurs) {
		t.Errorf("a copy: %v; want ErrNotOurs", err)
	}
	s, err := builds.Open(vouched)
	if err != nil {
		t.Fatal(err)
	}
	finish(t, create(t, s))
	if _, err := builds.Open(builds.Options{Dir: second}); err != nil {
		t.Errorf("after a build the copy is marked anew, but: %v", err)
	}
}

// noLinks returns a directory without its link to the latest build, which cannot be copied.
func noLinks(t *testing.T, dir string) fs.FS {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "latest")); err != nil {
		t.Fatal(err)
	}
	return os.DirFS(dir)
}

func TestPrune_RemovesOnlyBuilds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	s := open(t, dir)
	for range 3 {
		finish(t, create(t, s))
	}
	precious := []string{"builds/2000-release/f", "builds/7-01234567/f", "builds/8-0123456g/build.json", "builds/mine/f",
		"builds/9-89abcdef/build.json", "numbers/12/f", "notes"}
	for _, name := range precious {
		write(t, filepath.Join(dir, name), `{"id":"x","buildNumber":1}`)
	}
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, "build.json"), `{"id":"x","buildNumber":4}`)
	if err := os.Symlink(elsewhere, filepath.Join(dir, "builds", "4-01234567")); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Prune(1); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(precious, "builds/4-01234567/build.json") {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s is gone", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "builds", "1-1a2b3c4d")); err == nil {
		t.Error("the oldest build is still there")
	}
	if _, err := os.Stat(filepath.Join(dir, "builds", "3-1a2b3c4d")); err != nil {
		t.Error("the newest build is gone")
	}
}

func TestPrune_KeepsRunningBuild(t *testing.T) {
	dir, alive := filepath.Join(t.TempDir(), "out"), true
	s, err := builds.Open(builds.Options{Dir: dir, Alive: func(run string) bool { return alive && run == "run" }})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s)
	if err := s.Prune(0); err != nil || names(s) != "1-1a2b3c4d" {
		t.Errorf("a build that runs: %v, left: %s", err, names(s))
	}
	alive = false // as after a kill
	if err := s.Prune(0); err != nil || names(s) != "" {
		t.Errorf("a build that was killed: %v, left: %s", err, names(s))
	}
}

func TestNumbers_IgnoreForeignEntries(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	s := open(t, dir)
	create(t, s)
	for _, name := range []string{"numbers/9223372036854775807", "numbers/12x"} {
		write(t, filepath.Join(dir, name), "")
	}
	if err := os.MkdirAll(filepath.Join(dir, "numbers", "500"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s.Next() != 2 {
		t.Errorf("the next number is %d; want 2", s.Next())
	}
	for range 25 {
		create(t, s)
	}
	if _, err := os.Stat(filepath.Join(dir, "numbers", "500")); err != nil {
		t.Error("a directory of the user's is gone")
	}
}

func TestCreate_ConcurrentNumbersAreUnique(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	const many = 8
	var wait sync.WaitGroup
	got := make([]int, many)
	errs := make([]error, many)
	for i := range many {
		wait.Go(func() {
			s, err := builds.Open(builds.Options{Dir: dir})
			if err != nil {
				errs[i] = err
				return
			}
			d, err := createNext(s)
			if errs[i] = err; err == nil {
				got[i] = d.Number
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, n := range got {
		if seen[n] {
			t.Errorf("number %d was given out twice: %v", n, got)
		}
		seen[n] = true
	}
}

func TestReadRecord_RefusesPipesAndLinks(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "out"))
	d := create(t, s)
	elsewhere := filepath.Join(t.TempDir(), "secret")
	write(t, elsewhere, `{"id":"x"}`)
	record := filepath.Join(d.Path, builds.RecordName)
	for name, make := range map[string]func() error{
		"a named pipe": func() error { return syscall.Mkfifo(record, 0o644) },
		"a link":       func() error { return os.Symlink(elsewhere, record) },
		"a directory":  func() error { return os.Mkdir(record, 0o755) },
		"garbage":      func() error { return os.WriteFile(record, []byte("x"), 0o644) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		var into struct{}
		if err := d.ReadRecord(&into); err == nil {
			t.Errorf("%s is read as a record", name)
		}
		if err := os.RemoveAll(record); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAbandon_LeavesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "out"))
	d := create(t, s)
	if err := d.Abandon(); err != nil || names(s) != "" {
		t.Errorf("%v; left: %s", err, names(s))
	}
	if _, found := s.Latest(); found {
		t.Error("there is a latest build")
	}
}

func TestNumber(t *testing.T) {
	for name, want := range map[string]int{
		"12-1a2b3c4d": 12, "1-00000000": 1, "0-1a2b3c4d": 0, "12-1a2b3c4": 0, "12-1A2B3C4D": 0, "12": 0, "-1a2b3c4d": 0,
		"2019-05-italy": 0, "2000-release": 0, "9999999999-1a2b3c4d": 0, "+1-1a2b3c4d": 0, "": 0,
	} {
		if got := builds.Number(name); got != want {
			t.Errorf("Number(%q) is %d; want %d", name, got, want)
		}
	}
}

// createNext creates the directory of a build with the next free number.
func createNext(s *builds.Store) (*builds.Dir, error) {
	for {
		d, err := s.Create(s.Next(), uuid, "run")
		if !errors.Is(err, builds.ErrTaken) {
			return d, err
		}
	}
}

func TestPrune_KeepsDirectoriesWithOtherRecords(t *testing.T) {
	for name, record := range map[string]string{
		"no text":               ``,
		"not an object":         `[1]`,
		"no ID":                 `{"buildNumber":7}`,
		"an ID of another kind": `{"id":7,"buildNumber":7}`,
		"another number":        `{"id":"x","buildNumber":8}`,
		"a nested number":       `{"id":"x","more":{"buildNumber":7}}`,
		"cut off":               `{"id":"x","buildNum`,
	} {
		dir := filepath.Join(t.TempDir(), "out")
		s := open(t, dir)
		finish(t, create(t, s))
		file := filepath.Join(dir, "builds/7-01234567/build.json")
		write(t, file, record)
		if err := s.Prune(0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%s: the directory is gone", name)
		}
		write(t, file, `{"extra":[{"id":"y"}],"buildNumber":7,"id":"x","more":{}}`)
		if err := s.Prune(0); err != nil || names(s) != "" {
			t.Errorf("with a record of the build: %v, left: %s", err, names(s))
		}
	}
}
