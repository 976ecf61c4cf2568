package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fixture is a watched directory. Files in directories with the name ignored do not count.
type fixture struct {
	*Watcher
	t    *testing.T
	dir  string
	last *Snapshot

	mu    sync.Mutex
	notes []string
}

// newFixture returns a directory with the files a and sub/b that is watched.
func newFixture(t *testing.T, change func(*Options)) *fixture {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, dir: dir}
	f.write("a", "1")
	f.write("sub/b", "1")
	o := Options{List: f.list, Now: time.Now, Quiet: 50 * time.Millisecond, Poll: 50 * time.Millisecond,
		Note: func(text string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.notes = append(f.notes, text)
		}}
	if change != nil {
		change(&o)
	}
	f.Watcher = New(o)
	t.Cleanup(f.Close)
	if f.last, err = f.Look(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for name, file := range f.last.files { // as Learn does, but at once
		file.read(t.Context(), name)
	}
	return f
}

func (f *fixture) list(context.Context) (Listing, error) {
	var l Listing
	err := filepath.WalkDir(f.dir, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.Name() == "ignored":
			l.Ignored = append(l.Ignored, name)
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.IsDir():
			l.Dirs = append(l.Dirs, name)
		default:
			l.Files = append(l.Files, name)
		}
		return nil
	})
	return l, err
}

func (f *fixture) write(name, text string) {
	f.t.Helper()
	file := filepath.Join(f.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		f.t.Fatal(err)
	}
}

// next waits for changes and returns them as KIND NAME, separated by commas.
func (f *fixture) next() string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	changes, now, err := f.Wait(ctx, f.last)
	if err != nil {
		f.t.Fatal(err)
	}
	f.last = now
	var all []string
	for _, c := range changes {
		name, _ := filepath.Rel(f.dir, c.File)
		all = append(all, string(c.Kind)+" "+name)
	}
	return strings.Join(all, ", ")
}

func (f *fixture) expect(want string) {
	f.t.Helper()
	if got := f.next(); got != want {
		f.t.Errorf("got %s; want %s", got, want)
	}
}

// modes are a watch by events and one without.
var modes = map[string]func(*Options){
	"events": nil,
	"polling": func(o *Options) {
		o.notifier = func() (notifier, error) { return nil, syscall.EMFILE }
	},
	"events of no directory": func(o *Options) {
		o.notifier = func() (notifier, error) { return fullNotifier{}, nil }
	},
}

// fullNotifier has reached the limit of watched directories.
type fullNotifier struct{}

func (fullNotifier) Add(string) error    { return os.NewSyscallError("inotify_add_watch", syscall.ENOSPC) }
func (fullNotifier) Remove(string) error { return nil }
func (fullNotifier) Close() error        { return nil }

func TestWait_KindsOfChanges(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, mode)
			f.write("a", "2")
			f.expect("changed a")
			f.write("new/deep/c", "1")
			f.expect("added new/deep/c")
			f.write("new/deep/c", "2")
			f.expect("changed new/deep/c")
			if err := os.RemoveAll(filepath.Join(f.dir, "new")); err != nil {
				t.Fatal(err)
			}
			f.expect("removed new/deep/c")
			if err := os.Chmod(filepath.Join(f.dir, "a"), 0o755); err != nil {
				t.Fatal(err)
			}
			f.expect("changed a")
			// As editors save files.
			f.write("a~", "3")
			if err := os.Rename(filepath.Join(f.dir, "a~"), filepath.Join(f.dir, "a")); err != nil {
				t.Fatal(err)
			}
			if got := f.next(); got != "changed a" && got != "added a~" {
				t.Errorf("got %s", got)
			}
			if err := os.Rename(filepath.Join(f.dir, "sub"), filepath.Join(f.dir, "other")); err != nil {
				t.Fatal(err)
			}
			for got := f.next(); !strings.Contains(got, "added other/b"); got = f.next() {
				if strings.Contains(got, "sub") { // it was seen between two states
					continue
				}
			}
		})
	}
}

// TestWait_RenamedDirectories renames directories there and back, with directories in them, and checks
// that events of all of them still arrive.
func TestWait_RenamedDirectories(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.write("sub/deep/c", "1")
	f.expect("added sub/deep/c")
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(f.dir, from), filepath.Join(f.dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 3 {
		rename("sub", "other")
		for got := f.next(); !strings.Contains(got, "added other/deep/c"); got = f.next() {
			t.Logf("between: %s", got)
		}
		for _, name := range []string{"other/b", "other/deep/c"} {
			f.write(name, fmt.Sprint("there ", round))
			f.expect("changed " + name)
		}
		rename("other", "sub")
		for got := f.next(); !strings.Contains(got, "added sub/deep/c"); got = f.next() {
			t.Logf("between: %s", got)
		}
		for _, name := range []string{"sub/b", "sub/deep/c"} {
			f.write(name, fmt.Sprint("back ", round))
			f.expect("changed " + name)
		}
	}
}

// TestWait_ReplacedDirectory removes a directory and makes one with the same name, at once and later.
func TestWait_ReplacedDirectory(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for round := range 3 {
		if err := os.RemoveAll(filepath.Join(f.dir, "sub")); err != nil {
			t.Fatal(err)
		}
		f.write("sub/b", fmt.Sprint("new ", round))
		for got := f.next(); got != "changed sub/b" && got != "added sub/b"; got = f.next() {
			t.Logf("between: %s", got)
		}
		f.write("sub/b", fmt.Sprint("changed ", round))
		f.expect("changed sub/b")
	}
}

// TestWait_EverythingMoves changes, moves and removes files and directories while it is watched. In the
// end, the last snapshot has the files as they are, and each directory is still watched.
func TestWait_EverythingMoves(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.Quiet = time.Millisecond })
	random := rand.New(rand.NewPCG(1, 2))
	place := func() string {
		names := []string{"a", "b", "c", "d"}
		all := make([]string, 1+random.IntN(3))
		for i := range all {
			all[i] = names[random.IntN(len(names))]
		}
		return filepath.Join(f.dir, filepath.Join(all...))
	}
	for i := range 300 { // some of them fail
		switch name := place(); random.IntN(5) {
		case 0:
			_ = os.RemoveAll(name)
		case 1, 2:
			_ = os.Rename(name, place())
		default:
			_ = os.MkdirAll(filepath.Dir(name), 0o755)
			_ = os.WriteFile(name, fmt.Append(nil, i), 0o644)
		}
		if i%10 == 0 {
			f.write("tick", fmt.Sprint(i)) // so that there is a change
			f.next()
		}
	}
	f.write("end", "")
	for got := f.next(); !strings.Contains(got, "added end"); {
		got = f.next()
	}
	l, err := f.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range l.Dirs {
		name, _ := filepath.Rel(f.dir, filepath.Join(dir, "last"))
		f.write(name, "x")
		f.expect("added " + name)
	}
}

func TestWait_SameContents(t *testing.T) {
	t.Parallel()
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, mode)
			later := time.Now().Add(time.Hour)
			if err := os.Chtimes(filepath.Join(f.dir, "a"), later, later); err != nil {
				t.Fatal(err)
			}
			f.write("sub/b", "1") // saved without a change
			f.write("ignored/x", "1")
			f.write("end", "")
			f.expect("added end")
		})
	}
}

func TestWait_ThereAndBack(t *testing.T) {
	t.Parallel()
	// The files are compared only when git has finished.
	var busy atomic.Bool
	busy.Store(true)
	f := newFixture(t, func(o *Options) {
		o.Busy = func() string {
			if busy.Load() {
				return "a merge"
			}
			return ""
		}
	})
	f.write("a", "2")
	f.write("a", "1")
	f.write("end", "")
	result := make(chan string)
	go func() { result <- f.next() }()
	f.awaitNote("waiting for the end of a merge")
	busy.Store(false)
	if got := <-result; got != "added end" {
		t.Errorf("got %s", got)
	}
}

// awaitNote waits until a note was printed.
func (f *fixture) awaitNote(want string) {
	f.t.Helper()
	for f.t.Context().Err() == nil {
		f.mu.Lock()
		notes := strings.Join(f.notes, "\n")
		f.mu.Unlock()
		if strings.Contains(notes, want) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	f.t.Errorf("no note %q", want)
}

func TestWait_ManyFilesAreOneChange(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.Quiet = time.Second })
	for i := range 20 {
		f.write(fmt.Sprintf("many/%d", i), "1")
	}
	if got := strings.Count(f.next(), "added"); got != 20 {
		t.Errorf("got %d changes at once; want 20", got)
	}
}

func TestWait_ChangeBeforeIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.write("a", "2") // for instance during a build
	f.write("new/c", "1")
	f.expect("changed a, added new/c")
}

func TestWait_IgnoredFileThatChangesAllTheTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.Quiet = 300 * time.Millisecond })
	f.write("ignored", "")
	f.last, _ = f.Look(t.Context(), f.last) // which lists it
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_ = os.WriteFile(filepath.Join(f.dir, "ignored"), fmt.Append(nil, i), 0o644)
			time.Sleep(time.Millisecond)
		}
	})
	began := time.Now()
	f.write("a", "2")
	f.expect("changed a")
	if took := time.Since(began); took > maxUnquiet/2 {
		t.Errorf("the ignored file delayed it for %s", took)
	}
	cancel()
	writing.Wait()
}

func TestWait_NotesWhyItPolls(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"polling": "fs.inotify.max_user_instances", "events of no directory": "fs.inotify.max_user_watches",
	} {
		f := newFixture(t, modes[name])
		f.write("a", "2")
		f.expect("changed a")
		if len(f.notes) != 1 || !strings.Contains(f.notes[0], want) {
			t.Errorf("%s: got %q; want one note with %s", name, f.notes, want)
		}
	}
}

func TestWait_SourceThatIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	away := f.dir + ".away"
	if err := os.Rename(f.dir, away); err != nil {
		t.Fatal(err)
	}
	result := make(chan string)
	go func() { result <- f.next() }()
	f.mark()
	f.awaitNote("cannot be listed")
	if err := os.Rename(away, f.dir); err != nil {
		t.Fatal(err)
	}
	f.write("end", "")
	if got := <-result; got != "added end" {
		t.Errorf("got %s", got)
	}
}

func TestWait_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	want := errors.New("stopped")
	time.AfterFunc(time.Millisecond, func() { cancel(want) })
	if _, _, err := f.Wait(ctx, f.last); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

func TestLearn_RecognizesTouchedFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	first, err := f.Look(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Learn(first)
	for f.t.Context().Err() == nil && !first.files[filepath.Join(f.dir, "a")].hash().known {
		time.Sleep(time.Millisecond)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(f.dir, "a"), later, later); err != nil {
		t.Fatal(err)
	}
	second, err := f.Look(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if changes := second.Diff(first); len(changes) > 0 {
		t.Errorf("got %v", changes)
	}
}

func TestLook_DirectoryOfOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "env")
	w := New(Options{Now: time.Now, Quiet: 50 * time.Millisecond, List: func(context.Context) (Listing, error) {
		return Listing{Files: []string{file}}, nil // does not exist yet
	}})
	t.Cleanup(w.Close)
	s, err := w.Look(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if w.matters(filepath.Join(dir, "other")) {
		t.Error("other files in its directory matter")
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if changes, _, err := w.Wait(t.Context(), s); err != nil || len(changes) != 1 || changes[0].Kind != Added {
		t.Errorf("got %v, %v", changes, err)
	}
}

// TestWait_LimitOfTheSystem runs the test of events in a user namespace that allows one directory.
func TestWait_LimitOfTheSystem(t *testing.T) {
	t.Parallel()
	const limit = "BUILDLOCAL_TEST_WATCH_LIMIT"
	if os.Getenv(limit) != "" {
		f := newFixture(t, nil)
		f.write("sub/b", "2")
		f.expect("changed sub/b")
		if notes := strings.Join(f.notes, "\n"); !strings.Contains(notes, "fs.inotify.max_user_watches") {
			t.Errorf("got %q", notes)
		}
		return
	}
	c := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "sh", "-c",
		`echo 1 > /proc/sys/user/max_inotify_watches && exec "$@"`, "sh", os.Args[0], "-test.run", "^"+t.Name()+"$")
	c.Env = append(os.Environ(), limit+"=1")
	out, err := c.CombinedOutput()
	if text := string(out); err != nil && (strings.Contains(text, "unshare:") || strings.Contains(text, "max_inotify")) {
		t.Skipf("no user namespace with a limit: %s", text)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestIsRemote(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]bool{
		"ext4": false, "overlay": false, "fuse.gocryptfs": false, "": false,
		"nfs4": true, "9p": true, "cifs": true, "virtiofs": true,
	} {
		if got := isRemote(kind); got != want {
			t.Errorf("%s: got %t", kind, got)
		}
	}
}
