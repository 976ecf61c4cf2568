package cmd

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

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

// lockName is the file that is locked; pidName holds the process's ID.
const (
	lockName = "lock"
	pidName  = "pid"
)

// tempRoot is where the runs of this user have their directories.
func (a *App) tempRoot() string { return filepath.Join(a.TempDir, fmt.Sprintf("buildlocal-%d", a.UID)) }

func (a *App) newTemp() (*temp, error) {
	if err := os.MkdirAll(a.tempRoot(), 0o755); err != nil {
		return nil, fmt.Errorf("make a temporary directory: %w\nTMPDIR names the directory to make it in", err)
	}
	info, err := os.Lstat(a.tempRoot())
	if err == nil && (!info.IsDir() || !belongsTo(info, a.UID)) {
		return nil, fmt.Errorf("make a temporary directory: %s is somebody else's\nRemove it, or let TMPDIR name another directory", a.tempRoot())
	}
	path, err := os.MkdirTemp(a.tempRoot(), "run-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary directory: %w", err)
	}
	t := &temp{path: path, name: "buildlocal-" + strings.TrimPrefix(filepath.Base(path), "run-") + "-" + newNonce()[:6], lock: flock.New(filepath.Join(path, lockName))}
	err = errors.Join(t.lock.Lock(), os.WriteFile(filepath.Join(path, pidName), []byte(strconv.Itoa(a.PID)), 0o644))
	if err != nil {
		t.remove()
		return nil, fmt.Errorf("lock a temporary directory: %w", err)
	}
	return t, nil
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

func (t *temp) remove() {
	if t.kept == "" {
		_ = t.lock.Unlock()
		_ = os.RemoveAll(t.path)
		return
	}
	_ = os.WriteFile(filepath.Join(t.path, keptName), []byte(t.kept), 0o644)
	_ = t.lock.Unlock()
}

// newborn is how long a directory may be without its lock.
const newborn = time.Minute

// alive reports whether the run that owns a temporary directory still runs, and
// its process.
func alive(path string) (pid int, yes bool) {
	name := filepath.Join(path, lockName)
	if _, err := os.Stat(name); err != nil {
		info, err := os.Stat(path)
		return 0, err == nil && time.Since(info.ModTime()) < newborn
	}
	lock := flock.New(name, flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	if err != nil || free {
		_ = lock.Close()
		return 0, err != nil // what we may not look at is not ours to call gone
	}
	text, _ := os.ReadFile(filepath.Join(path, pidName))
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
