// Package snapshots stores builds at the end of a phase, so that other builds can begin there.
//
// Each snapshot has a directory: snapshot.json, the engine's files, and a lock that is shared by the
// builds that use it. It is called new-ID until it is complete, so a process that is killed leaves
// nothing that looks like a snapshot.
package snapshots

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/rundir"
	"github.com/buildlocal/buildlocal/runner"
)

// Names in the directory of a snapshot.
const (
	dataName  = "snapshot.json"
	lockName  = "lock"
	filesName = "files" // the engine's
)

// newPrefix is the prefix of the directories of snapshots that are not complete.
const newPrefix = "new-"

// maxData limits snapshot.json, in bytes.
const maxData = 64 << 20

// Snapshot is a build at the end of a phase.
type Snapshot struct {
	Program string           // version of this program
	Source  string           // directory of the primary source, without links
	Project string           // name of the project
	Engine  string           // docker, sandbox or host
	Host    string           // address of the engine
	Build   string           // that has run the phases, such as 12-1a2b3c4d
	Phase   runner.PhaseType // at whose end it was taken
	Phases  []runner.PhaseType
	Taken   time.Time
	Took    time.Duration
	Bytes   int64 // size of the files
	Digits  []string
	Commit  string // of the source, and its branch; empty without a repository
	State   runner.CheckpointState
	// Ingredients are those of the phases, and Files the source as they had it.
	Ingredients []runner.Ingredient
	Files       []File
	Others      map[string]string // fingerprints of the secondary sources, by their identifiers
	// Opened are the files of the source that phases have opened, as far as that was recorded.
	Opened map[runner.PhaseType]*engine.Opened `json:",omitempty"`

	dir  string
	used time.Time
}

// File is a file of the source: its slash-separated name, and its metadata.
type File struct {
	Name     string
	Size     int64 // -1 if it was changed while the build ran
	Mode     fs.FileMode
	Modified time.Time
	Hash     string `json:",omitempty"` // keyed, of the contents; empty if they are not known
}

// ID identifies the snapshot.
func (s *Snapshot) ID() string { return filepath.Base(s.dir) }

// Dir returns the directory of the engine's files.
func (s *Snapshot) Dir() string { return filepath.Join(s.dir, filesName) }

// Used returns when a build used the snapshot last; when it was taken, if none has.
func (s *Snapshot) Used() time.Time { return s.used }

// Store has the snapshots of a user.
type Store struct {
	Path string // its directory
}

// Draft is a snapshot that is being taken.
type Draft struct {
	Files string // an empty directory for the engine's files
	Final string // the name of that directory in a complete snapshot
	Name  string // unique, in lower case

	store Store
	dir   string
	lock  func() error
}

// New begins a snapshot. The name is unique, and in lower case.
func (s Store) New(name string) (*Draft, error) {
	const private = 0o700
	if err := os.MkdirAll(s.Path, private); err != nil {
		return nil, err
	}
	d := &Draft{store: s, dir: filepath.Join(s.Path, newPrefix+name), Name: name}
	if err := os.Mkdir(d.dir, private); err != nil {
		return nil, err
	}
	lock, err := rundir.Lock(filepath.Join(d.dir, lockName), os.O_CREATE|os.O_RDONLY)
	if err == nil {
		err = lock.Lock()
		d.lock = lock.Unlock
	}
	d.Files, d.Final = filepath.Join(d.dir, filesName), filepath.Join(s.Path, name, filesName)
	if err == nil {
		err = os.Mkdir(d.Files, private)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(d.dir))
	}
	return d, nil
}

// Publish completes the snapshot.
func (d *Draft) Publish(s *Snapshot) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	const mine = 0o600
	if err := os.WriteFile(filepath.Join(d.dir, dataName), text, mine); err != nil {
		return err
	}
	s.dir = filepath.Join(d.store.Path, d.Name)
	if err := os.Rename(d.dir, s.dir); err != nil {
		return err
	}
	d.Files = s.Dir()
	return d.lock()
}

// Discard removes a snapshot that is not complete, with a function for the engine's files.
func (d *Draft) Discard(remove func(dir string) error) error {
	return errors.Join(remove(d.Files), os.RemoveAll(d.dir), d.lock())
}

// All returns the snapshots, the one that was used last first. Damaged ones are left out.
func (s Store) All() []*Snapshot {
	entries, _ := os.ReadDir(s.Path)
	var all []*Snapshot
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newPrefix) {
			continue
		}
		snapshot, err := s.read(e.Name())
		if err != nil {
			continue
		}
		dir := snapshot.dir
		snapshot.used = snapshot.Taken
		if info, err := os.Stat(filepath.Join(dir, lockName)); err == nil && info.ModTime().After(snapshot.used) {
			snapshot.used = info.ModTime()
		}
		all = append(all, snapshot)
	}
	slices.SortStableFunc(all, func(a, b *Snapshot) int { return b.used.Compare(a.used) })
	return all
}

// read reads the description of a snapshot.
func (s Store) read(id string) (*Snapshot, error) {
	snapshot := &Snapshot{dir: filepath.Join(s.Path, id)}
	text, err := regular.Read(filepath.Join(snapshot.dir, dataName), maxData)
	if err == nil {
		err = json.Unmarshal(text, snapshot)
	}
	return snapshot, err
}

// ErrInUse is the error for a snapshot that a build uses.
var ErrInUse = errors.New("a build uses the snapshot")

// Use keeps the snapshot from being removed until release is called. The error wraps fs.ErrNotExist
// if it has been removed.
func (s *Snapshot) Use(now time.Time) (release func(), err error) {
	name := filepath.Join(s.dir, lockName)
	lock, err := rundir.Lock(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	free, err := lock.TryRLock()
	if err == nil && !free {
		err = ErrInUse // it is being removed
	}
	// It may have been renamed, to be removed, before it was locked.
	if err == nil {
		_, err = os.Lstat(filepath.Join(s.dir, dataName))
	}
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	_ = os.Chtimes(name, now, now)
	return func() { _ = lock.Close() }, nil
}

// Remove removes a snapshot that no build uses, with a function for the engine's files. The error is
// ErrInUse if one does.
func (s Store) Remove(id string, remove func(dir string) error) error {
	dir := filepath.Join(s.Path, id)
	lock, err := rundir.Lock(filepath.Join(dir, lockName), os.O_RDONLY)
	if err != nil {
		return err
	}
	free, err := lock.TryLock()
	if errors.Is(err, fs.ErrNotExist) { // never completed, or damaged
		free, err = true, nil
	}
	if err == nil && !free {
		err = ErrInUse
	}
	if err != nil {
		_ = lock.Close()
		return err
	}
	defer lock.Close()
	if !strings.HasPrefix(id, newPrefix) { // then nothing looks like a snapshot any more
		gone := filepath.Join(s.Path, newPrefix+id)
		if err := os.Rename(dir, gone); err != nil {
			return err
		}
		dir = gone
	}
	if err := remove(filepath.Join(dir, filesName)); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Incomplete returns the IDs of snapshots that were not completed or not removed, because a process
// was killed, and of those that are damaged, so that All does not have them.
func (s Store) Incomplete() []string {
	entries, _ := os.ReadDir(s.Path)
	var all []string
	for _, e := range entries {
		name := filepath.Join(s.Path, e.Name(), lockName)
		if !strings.HasPrefix(e.Name(), newPrefix) && !s.isDamaged(e.Name()) {
			continue
		}
		lock, err := rundir.Lock(name, os.O_RDONLY)
		if err != nil {
			continue
		}
		if free, err := lock.TryLock(); free || errors.Is(err, fs.ErrNotExist) {
			all = append(all, e.Name())
		}
		_ = lock.Close()
	}
	return all
}

// isDamaged reports whether the description of a snapshot is gone or cannot be understood.
func (s Store) isDamaged(id string) bool {
	_, err := s.read(id)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &syntax) || errors.As(err, &kind)
}

// Excess returns the snapshots to remove, so that each source has at most count of them on each engine
// and all together have at most bytes. The first ones of All stay.
func Excess(all []*Snapshot, count int, bytes int64) []*Snapshot {
	var excess []*Snapshot
	have := map[[3]string]int{}
	var sum int64
	for _, s := range all {
		owner := [3]string{s.Source, s.Engine, s.Host}
		if have[owner] < count && (bytes == 0 || sum+s.Bytes <= bytes) {
			have[owner]++
			sum += s.Bytes
			continue
		}
		excess = append(excess, s)
	}
	return excess
}
