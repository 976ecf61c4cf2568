// Package rundir manages the temporary directory that each run of the program has.
//
// A lock in the directory is held while the run lives, however it ends, so other
// processes can find out whether the run is gone. The directory is called new-ID until
// the lock is held, then run-ID, and gone-ID while it is removed. A run-ID without a
// holder of its lock is therefore a leftover, whatever its age, and a process that is
// killed at any point leaves nothing that looks like a running build.
package rundir

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/gofrs/flock"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Names of files in a run's directory.
const (
	lockName   = "lock"
	pidName    = "pid"
	keptName   = "kept"         // the address of the engine whose container needs the directory
	labelsName = "sandbox.json" // the labels of the run's sandbox
)

// Prefixes of the names of run directories.
const (
	newPrefix  = "new-"
	runPrefix  = "run-"
	gonePrefix = "gone-"
)

// maxState is the largest file of a run's directory that is read, in bytes.
const maxState = 1 << 20

// maxCreateAttempts limits how often a directory is created again because another
// process removed it before it was locked.
const maxCreateAttempts = 1000

// Root is the directory that contains the directories of one user's runs. It exists as
// long as it contains one. Labels refer to directories below it, so Path is absolute.
type Root struct {
	Path string
	UID  int // of the user; -1 on Windows
}

// RootOf returns the root of a user below a directory for temporary files.
func RootOf(temp string, uid int) Root {
	name := filepath.Join(temp, fmt.Sprintf("buildlocal-%d", uid))
	if absolute, err := filepath.Abs(name); err == nil {
		name = absolute
	}
	return Root{Path: name, UID: uid}
}

// Dir is the directory of one run.
type Dir struct {
	Path string // absolute
	Name string // base of the names of all resources that an engine creates for the run

	root Root
	pid  int
	lock *flock.Flock
	kept string // address of an engine; see Keep
	left bool   // see Leave
}

// New creates and locks a directory for the process pid.
func (r Root) New(pid int) (*Dir, error) {
	var err error
	for range maxCreateAttempts {
		d := &Dir{root: r, pid: pid}
		for _, step := range d.creation() {
			if err = step(); err != nil {
				break
			}
		}
		if err == nil {
			return d, nil
		}
		d.Remove()
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return nil, fmt.Errorf("create a temporary directory: %w", err)
}

// ErrInUse is returned by Adopt for the directory of a run that is alive.
var ErrInUse = errors.New("another process uses the directory of the run")

// Adopt makes the directory of a run that has ended, which Leave or Keep has kept, that of the
// process pid. name is the Name of the run.
func (r Root) Adopt(path, name string, pid int) (*Dir, error) {
	d := &Dir{Path: path, Name: name, root: r, pid: pid}
	lock, err := Lock(filepath.Join(path, lockName), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	d.lock = lock
	locked, err := lock.TryLock()
	if err != nil || !locked {
		return nil, errors.Join(err, ErrInUse)
	}
	// It may have been renamed, to be removed, before it was locked.
	if err := d.writePID(); err != nil {
		return nil, errors.Join(err, d.release())
	}
	if err := os.Remove(filepath.Join(path, keptName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, d.release())
	}
	return d, nil
}

// creation returns the steps that create the directory. The process may be killed
// between any two of them.
func (d *Dir) creation() []func() error {
	return []func() error{d.makeRoot, d.makeNew, d.takeLock, d.writePID, d.publish}
}

// removal returns the steps that remove the directory. The process may be killed
// between any two of them.
func (d *Dir) removal() []func() error {
	return []func() error{d.retire, d.erase, d.release, d.removeRoot}
}

func (d *Dir) makeRoot() error {
	if err := os.MkdirAll(d.root.Path, 0o755); err != nil {
		return fmt.Errorf("%w\nSet TMPDIR to another directory", err)
	}
	info, err := os.Lstat(d.root.Path)
	if err != nil {
		return err
	}
	// The parent is usually writable by all users. Another user who created the
	// directory first could replace everything in it.
	if !info.IsDir() || !isOwnedBy(info, d.root.UID) {
		return fmt.Errorf("%s is owned by another user\nRemove it, or set TMPDIR to another directory", d.root.Path)
	}
	return nil
}

func (d *Dir) makeNew() error {
	// Windows does not rename a directory in which a file is open, so the directory
	// has its final name from the beginning there.
	prefix := newPrefix
	if runtime.GOOS == "windows" {
		prefix = runPrefix
	}
	path, err := os.MkdirTemp(d.root.Path, prefix)
	if err != nil {
		return err
	}
	const randomLetters = 6 // IDs are reused after a directory is removed, names never
	d.Path = path
	d.Name = "buildlocal-" + d.id() + "-" + strings.ToLower(rand.Text())[:randomLetters]
	return nil
}

// id returns the part of the directory's name that never changes.
func (d *Dir) id() string {
	_, id, _ := strings.Cut(filepath.Base(d.Path), "-")
	return id
}

func (d *Dir) takeLock() error {
	lock, err := Lock(filepath.Join(d.Path, lockName), os.O_CREATE|os.O_RDONLY)
	if err != nil {
		return err
	}
	d.lock = lock
	return lock.Lock()
}

func (d *Dir) writePID() error {
	return os.WriteFile(filepath.Join(d.Path, pidName), []byte(strconv.Itoa(d.pid)), 0o644)
}

func (d *Dir) publish() error { return d.rename(runPrefix) }

func (d *Dir) rename(prefix string) error {
	path := filepath.Join(d.root.Path, prefix+d.id())
	if path == d.Path {
		return nil
	}
	if err := os.Rename(d.Path, path); err != nil {
		return err
	}
	d.Path = path
	return nil
}

// retire renames the directory. It then counts as a leftover although its lock is
// still held.
func (d *Dir) retire() error {
	if runtime.GOOS == "windows" {
		return d.release() // an open directory cannot be renamed or removed there
	}
	return d.rename(gonePrefix)
}

func (d *Dir) erase() error { return os.RemoveAll(d.Path) }

func (d *Dir) release() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Unlock()
}

// removeRoot removes the root after its last run. It fails as long as there is one.
func (d *Dir) removeRoot() error {
	_ = os.Remove(d.root.Path)
	return nil
}

// Describe stores the labels of the run's sandbox, by which ps and prune find it.
func (d *Dir) Describe(labels map[string]string) error {
	text, err := json.Marshal(labels)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.Path, labelsName), text, 0o644)
}

// Keep makes Remove keep the directory for a container that outlives the run, at the
// engine with the given address.
func (d *Dir) Keep(engine string) { d.kept = engine }

// Leave makes Remove keep the directory, for Adopt.
func (d *Dir) Leave() { d.left = true }

// Discard undoes Keep and Leave.
func (d *Dir) Discard() { d.kept, d.left = "", false }

// Remove removes the directory, unless it is to be kept. Errors are ignored, because a later prune removes the
// rest.
func (d *Dir) Remove() {
	if d.kept != "" {
		_ = os.WriteFile(filepath.Join(d.Path, keptName), []byte(d.kept), 0o644)
		_ = d.release()
		return
	}
	if d.left {
		_ = d.release()
		return
	}
	if d.Path == "" {
		return
	}
	for _, step := range d.removal() {
		_ = step()
	}
}

// Lock returns an open lock on a file, which is created with O_CREATE in flags. The
// file must be a regular file if it exists, because opening a named pipe would block.
func Lock(name string, flags int) (*flock.Flock, error) {
	if err := regular.Check(name); err != nil {
		return nil, err
	}
	return flock.New(name, flock.SetFlag(flags|regular.OpenFlags)), nil
}

// Alive reports whether the run that owns a directory still runs, and the ID of its
// process. The ID is 0 if it cannot be read.
func Alive(path string) (pid int, alive bool) {
	lock, err := Lock(filepath.Join(path, lockName), os.O_RDONLY)
	if err != nil || path == "" {
		return 0, false // no run has created it
	}
	free, err := lock.TryRLock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, false
	case err != nil || free:
		_ = lock.Close()
		return 0, err != nil // a lock without read permission is not known to be free
	}
	_ = lock.Close()
	text, _ := regular.Read(filepath.Join(path, pidName), maxState)
	pid, _ = strconv.Atoi(string(text))
	return pid, true
}

// Runs returns the directories of runs that have not been retired.
func (r Root) Runs() []string { return r.dirs(runPrefix) }

// All returns the directories of all runs, also of those that are being created or
// removed.
func (r Root) All() []string { return r.dirs(newPrefix, runPrefix, gonePrefix) }

func (r Root) dirs(prefixes ...string) []string {
	info, err := os.Lstat(r.Path)
	if err != nil || !info.IsDir() || !isOwnedBy(info, r.UID) {
		return nil
	}
	entries, _ := os.ReadDir(r.Path)
	var dirs []string
	for _, e := range entries {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(e.Name(), p) }) {
			dirs = append(dirs, filepath.Join(r.Path, e.Name()))
		}
	}
	return dirs
}

// RemoveIfEmpty removes the root if it contains nothing. It may be called at any time:
// New creates the root again.
func (r Root) RemoveIfEmpty() { _ = os.Remove(r.Path) }

// Labels returns the labels that Describe stored in a directory, and false if it stored
// none.
func Labels(dir string) (map[string]string, bool) {
	var labels map[string]string
	text, err := regular.Read(filepath.Join(dir, labelsName), maxState)
	return labels, err == nil && json.Unmarshal(text, &labels) == nil
}

// Retire renames the directory of a run that has ended, and returns its new name. It
// returns "" if the directory stays, because its run is alive or because a container at
// another engine than the given one still needs it. A process that was about to lock a
// directory called new-ID notices that it is gone, and creates another one.
func Retire(dir, engine string) (string, error) {
	prefix, id, _ := strings.Cut(filepath.Base(dir), "-")
	if prefix+"-" == gonePrefix {
		return dir, nil
	}
	if _, alive := Alive(dir); alive || Needed(dir, engine) {
		return "", nil
	}
	gone := filepath.Join(filepath.Dir(dir), gonePrefix+id)
	switch err := os.Rename(dir, gone); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil // its run has finished removing it, or has begun to
	case err != nil:
		return "", err
	}
	return gone, nil
}

// Needed reports whether a kept container of another engine than the given one needs a
// directory.
func Needed(dir, engine string) bool {
	kept, err := regular.Read(filepath.Join(dir, keptName), maxState)
	return err == nil && string(kept) != engine
}
