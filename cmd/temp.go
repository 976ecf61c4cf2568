package cmd

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// temp is a run's own directory. A lock in it is held while the run lives,
// however it ends, so that other processes can tell whether the run is gone.
//
// The directory is called new-ID until the lock is held, then run-ID, and gone-ID
// while it is removed. So a run-ID without a holder of its lock is a leftover,
// whatever its age, and a process that is killed at any point leaves nothing that
// could be mistaken for a running build.
type temp struct {
	path string
	name string // base of the names of what the engine makes
	lock *flock.Flock
	kept string // the engine whose container still needs it; empty for none

	root     string
	uid, pid int
}

// lockName is the file that is locked; pidName holds the process's ID.
const (
	lockName = "lock"
	pidName  = "pid"
)

// Prefixes of the names of run directories.
const (
	newPrefix  = "new-"
	runPrefix  = "run-"
	gonePrefix = "gone-"
)

// tempRoot is where the runs of this user have their directories. It exists as
// long as there is one of them. Labels name directories below it, so its path is
// absolute.
func (a *App) tempRoot() string {
	name := filepath.Join(a.TempDir, fmt.Sprintf("buildlocal-%d", a.UID))
	if absolute, err := filepath.Abs(name); err == nil {
		return absolute
	}
	return name
}

// createAttempts is how often a directory is made again that another process
// removed before it was locked.
const createAttempts = 1000

func (a *App) newTemp() (*temp, error) {
	var err error
	for range createAttempts {
		t := &temp{root: a.tempRoot(), uid: a.UID, pid: a.PID}
		for _, step := range t.creation() {
			if err = step(); err != nil {
				break
			}
		}
		if err == nil {
			return t, nil
		}
		t.remove()
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return nil, fmt.Errorf("make a temporary directory: %w", err)
}

// creation returns the steps that make the directory. The process may be killed
// between any two of them.
func (t *temp) creation() []func() error {
	return []func() error{t.makeRoot, t.makeNew, t.takeLock, t.writePID, t.publish}
}

// removal returns the steps that remove the directory. The process may be killed
// between any two of them.
func (t *temp) removal() []func() error {
	return []func() error{t.retire, t.erase, t.release, t.removeRoot}
}

func (t *temp) makeRoot() error {
	if err := os.MkdirAll(t.root, 0o755); err != nil {
		return fmt.Errorf("%w\nSet TMPDIR to another directory", err)
	}
	info, err := os.Lstat(t.root)
	if err != nil {
		return err
	}
	if !info.IsDir() || !belongsTo(info, t.uid) {
		return fmt.Errorf("%s is owned by another user\nRemove it, or set TMPDIR to another directory", t.root)
	}
	return nil
}

func (t *temp) makeNew() error {
	path, err := os.MkdirTemp(t.root, t.firstPrefix())
	if err != nil {
		return err
	}
	t.path = path
	t.name = "buildlocal-" + t.id() + "-" + newNonce()[:6]
	return nil
}

// firstPrefix is new-. Windows does not rename a directory in which a file is
// open: there the directory has its final name at once.
func (t *temp) firstPrefix() string {
	if runtime.GOOS == "windows" {
		return runPrefix
	}
	return newPrefix
}

// id returns the part of the directory's name that does not change.
func (t *temp) id() string {
	_, id, _ := strings.Cut(filepath.Base(t.path), "-")
	return id
}

func (t *temp) takeLock() error {
	lock, err := newLock(filepath.Join(t.path, lockName), os.O_CREATE|os.O_RDONLY)
	if err != nil {
		return err
	}
	t.lock = lock
	return lock.Lock()
}

func (t *temp) writePID() error {
	return os.WriteFile(filepath.Join(t.path, pidName), []byte(strconv.Itoa(t.pid)), 0o644)
}

func (t *temp) publish() error { return t.rename(runPrefix) }

func (t *temp) rename(prefix string) error {
	path := filepath.Join(t.root, prefix+t.id())
	if path == t.path {
		return nil
	}
	if err := os.Rename(t.path, path); err != nil {
		return err
	}
	t.path = path
	return nil
}

// retire renames the directory, which then counts as a leftover although its lock
// is still held.
func (t *temp) retire() error {
	if runtime.GOOS == "windows" {
		return t.release() // neither renamed nor removed while it is open
	}
	return t.rename(gonePrefix)
}

func (t *temp) erase() error { return os.RemoveAll(t.path) }

func (t *temp) release() error {
	if t.lock == nil {
		return nil
	}
	return t.lock.Unlock()
}

// removeRoot removes the directory of all runs with the last of them.
func (t *temp) removeRoot() error {
	_ = os.Remove(t.root) // fails while it is not empty
	return nil
}

// newLock returns the lock of a file, which must be a regular one if it exists:
// to open a named pipe would wait for another process.
func newLock(name string, flags int) (*flock.Flock, error) {
	if err := regular.Check(name); err != nil {
		return nil, err
	}
	return flock.New(name, flock.SetFlag(flags|regular.OpenFlags)), nil
}

// describe notes the labels of a sandbox, by which others find it.
func (t *temp) describe(labels map[string]string) error {
	text, err := json.Marshal(labels)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(t.path, sandboxName), text, 0o644)
}

// keptName is a file that says which engine's container needs the directory.
const keptName = "kept"

// remove removes the directory. Errors are not reported: prune removes what is
// left of it.
func (t *temp) remove() {
	if t.kept != "" {
		_ = os.WriteFile(filepath.Join(t.path, keptName), []byte(t.kept), 0o644)
		_ = t.release()
		return
	}
	if t.path == "" {
		return
	}
	for _, step := range t.removal() {
		_ = step()
	}
}

// maxState is the largest file of a run's directory that is read, in bytes.
const maxState = 1 << 20

// alive reports whether the run that owns a temporary directory still runs, and
// the ID of its process.
func alive(path string) (pid int, yes bool) {
	lock, err := newLock(filepath.Join(path, lockName), os.O_RDONLY)
	if err != nil || path == "" {
		return 0, false // no run has made it
	}
	free, err := lock.TryRLock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, false
	case err != nil || free:
		_ = lock.Close()
		return 0, err != nil // a lock that must not be read is not known to be free
	}
	_ = lock.Close()
	text, _ := regular.Read(filepath.Join(path, pidName), maxState)
	pid, _ = strconv.Atoi(string(text))
	return pid, true
}

func newUUID() string { return uuid.NewString() }

// newNonce returns what nobody can guess.
func newNonce() string { return strings.ToLower(rand.Text()) }

// newDigits returns the digits of a source's directory: eight to ten of them
// (observed).
func newDigits() string {
	n, err := rand.Int(rand.Reader, big.NewInt(9_000_000_000))
	if err != nil {
		panic(err) // rand.Reader never fails
	}
	return fmt.Sprint(n.Int64() + 1_000_000_000)
}
