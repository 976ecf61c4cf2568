package cache

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Local keeps entries in a directory of this machine: in it one for each scope, and
// in that one for each entry, with its files as they are.
type Local struct {
	dir   string
	now   func() time.Time
	warnf func(format string, args ...any)
	limit int64

	mu    sync.Mutex
	held  []*flock.Flock // of entries that are in use
	stale []*Entry       // replaced while they were
	saved string         // ID of the last one that was
}

// Options are what a Local needs to know.
type Options struct {
	Dir   string // absolute; made where it is missing
	Now   func() time.Time
	Warnf func(format string, args ...any) // told what is not as it should be; may be nil
	Limit int64                            // bytes of all entries; what was not used for the longest time goes first. 0 for no limit
}

// NewLocal returns the store in a directory.
func NewLocal(o Options) *Local {
	if o.Warnf == nil {
		o.Warnf = func(string, ...any) {}
	}
	return &Local{dir: o.Dir, now: o.Now, warnf: o.Warnf, limit: o.Limit}
}

// Beginnings of names in the directory of a scope.
const (
	entryPrefix    = "entry-"
	savingPrefix   = "saving-"         // is not whole yet
	removingPrefix = "removing-entry-" // is not whole any more
)

// Find returns an entry. See Store. One that is not whole is told, and left out.
func (l *Local) Find(_ context.Context, n Name) (*Entry, error) {
	all, elsewhere := l.candidates(n)
	for {
		e := Choose(n, all)
		if e == nil {
			break
		}
		err := l.hold(e)
		if err == nil {
			return e, nil
		}
		l.warnf("The cache of %s is left out: %v.", e.Saved.Format(time.DateTime), err)
		all = slices.DeleteFunc(all, func(other *Entry) bool { return other == e })
	}
	if elsewhere != "" {
		return nil, fmt.Errorf("%w for %s, but for %s", ErrNotFound, n.Arch, elsewhere)
	}
	return nil, ErrNotFound
}

// candidates returns the entries a name may find, and an architecture that has some
// of them for another machine.
func (l *Local) candidates(n Name) (all []*Entry, elsewhere string) {
	for _, e := range l.scope(n.Scope) {
		switch {
		case e.Broken != "":
			l.warnf("A cache is left out: %s.", e.Broken)
		case e.Version != n.Version():
		case e.Arch == n.Arch:
			all = append(all, e)
		case Choose(n, []*Entry{e}) != nil:
			elsewhere = e.Arch
		}
	}
	return all, elsewhere
}

// hold takes an entry into use, and sees whether it is whole.
func (l *Local) hold(e *Entry) error {
	lock, err := newLock(filepath.Join(e.dir, lockName), os.O_CREATE|os.O_RDONLY)
	if err != nil {
		return err
	}
	if locked, err := lock.TryRLock(); err != nil || !locked {
		return cmp.Or(err, errors.New("it is being removed"))
	}
	l.mu.Lock()
	l.held = append(l.held, lock)
	l.mu.Unlock()
	if e.list, err = readIndex(e.dir, e.Index); err != nil {
		return err
	}
	if err := e.check(); err != nil {
		return err
	}
	e.Hits++
	_ = writeJSON(e.dir, usedName, used{l.now(), e.Hits}) // on a full disk, or another's
	return nil
}

// used is when an entry was restored last, and how often.
type used struct {
	Last time.Time `json:"last"`
	Hits int       `json:"hits"`
}

// writeJSON writes a file in one step.
func writeJSON(dir, name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, name+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// scope returns the entries of a scope, and those that cannot be read as Broken.
func (l *Local) scope(scope string) []*Entry {
	var all []*Entry
	for _, dir := range l.inScope(scope, entryPrefix) {
		if !isOurs(dir, entryName) {
			continue
		}
		e := readEntry(dir)
		e.ID = scope + "/" + strings.TrimPrefix(filepath.Base(dir), entryPrefix)
		all = append(all, e)
	}
	return all
}

func readEntry(dir string) *Entry {
	e := &Entry{dir: dir}
	text, err := regular.Read(filepath.Join(dir, entryName), maxDocument)
	if err == nil {
		err = json.Unmarshal(text, e)
	}
	if err != nil {
		e.Broken = fmt.Sprintf("%s: %v", filepath.Join(dir, entryName), err)
		var syntax *json.SyntaxError
		e.lost = errors.As(err, &syntax)
		return e
	}
	e.Used = e.Saved
	var u used
	text, err = regular.Read(filepath.Join(dir, usedName), maxDocument)
	if err == nil && json.Unmarshal(text, &u) == nil {
		e.Used, e.Hits = u.Last, u.Hits
	}
	return e
}

// Open streams an entry. See Store.
func (l *Local) Open(_ context.Context, e *Entry) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(e.stream(w)) }()
	return r, nil
}

func (e *Entry) stream(to io.Writer) error {
	w := tar.NewWriter(to)
	for _, f := range e.list {
		if err := e.streamFile(w, f); err != nil {
			return fmt.Errorf("read %s of the cache: %w", f.Name, err)
		}
	}
	return w.Close()
}

func (e *Entry) streamFile(w *tar.Writer, f File) error {
	if f.Kind != tar.TypeReg {
		return w.WriteHeader(f.Header())
	}
	file, err := regular.Open(filepath.Join(e.dir, filepath.FromSlash(f.Name)))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := w.WriteHeader(f.Header()); err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return err
}

// Close lets go of what was found. See Store.
func (l *Local) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, lock := range l.held {
		errs = append(errs, lock.Close())
	}
	for _, e := range l.stale {
		_ = l.remove(e) // one that others use goes with the next entry that is saved
	}
	if l.saved != "" { // what is too much may have been in use here
		_, err := l.Evict(l.limit, l.saved)
		errs = append(errs, err)
	}
	l.held, l.stale, l.saved = nil, nil, ""
	return errors.Join(errs...)
}
