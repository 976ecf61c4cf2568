package cmd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
)

// temp is a run's own directory. A lock in it is held while the run lives,
// however it ends: what belongs to a run that is gone can be told by it.
type temp struct {
	path string
	name string // base of the names of what the engine makes
	lock *flock.Flock
	kept string // the engine whose container still needs it; empty for none
}

// lockName is the file that is locked; it holds the process's ID.
const lockName = "lock"

// tempRoot is where the runs of this user have their directories.
func (a *App) tempRoot() string { return filepath.Join(a.TempDir, fmt.Sprintf("buildlocal-%d", a.UID)) }

func (a *App) newTemp() (*temp, error) {
	if err := os.MkdirAll(a.tempRoot(), 0o755); err != nil {
		return nil, fmt.Errorf("make a temporary directory: %w\nTMPDIR names the directory to make it in", err)
	}
	path, err := os.MkdirTemp(a.tempRoot(), "run-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary directory: %w", err)
	}
	t := &temp{path: path, name: "buildlocal-" + strings.TrimPrefix(filepath.Base(path), "run-") + "-" + newNonce()[:6], lock: flock.New(filepath.Join(path, lockName))}
	_, err = t.lock.TryLock()
	err = errors.Join(err, os.WriteFile(filepath.Join(path, lockName), []byte(strconv.Itoa(a.PID)), 0o644))
	if err != nil {
		t.remove()
		return nil, fmt.Errorf("lock a temporary directory: %w", err)
	}
	return t, nil
}

// keptName is a file that says which engine's container needs the directory.
const keptName = "kept"

func (t *temp) remove() {
	if t.kept == "" {
		_ = t.lock.Unlock()
		_ = os.RemoveAll(t.path)
		return
	}
	_ = os.WriteFile(filepath.Join(t.path, keptName), []byte(t.kept), 0o644)
	_ = t.lock.Unlock()
}

// alive reports whether the run that owns a temporary directory still runs, and
// its process.
func alive(path string) (pid int, yes bool) {
	lock := flock.New(filepath.Join(path, lockName), flock.SetFlag(os.O_RDONLY))
	text, err := os.ReadFile(filepath.Join(path, lockName))
	if err != nil {
		return 0, false
	}
	pid, _ = strconv.Atoi(string(text))
	free, err := lock.TryLock()
	if free {
		_ = lock.Close()
	}
	return pid, !free && err == nil
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
