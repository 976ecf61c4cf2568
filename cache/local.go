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

// Local is a Store in a directory of the host. The directory has a subdirectory for each
// scope, and that one for each entry, with the cached files as they are. Several processes
// may use the directory: locks protect entries in use and new entries.
type Local struct {
	dir   string
	now   func() time.Time
	warnf func(format string, args ...any)
	limit int64

	mu    sync.Mutex
	held  []*flock.Flock // locks of entries in use
	stale []*Entry       // replaced while in use
	saved string         // ID of the last saved entry
}

// Options configures a Local.
type Options struct {
	Dir   string // absolute; created if it is missing
	Now   func() time.Time
	Warnf func(format string, args ...any) // reports damaged entries; may be nil
	Limit int64                            // total size of all entries in bytes, see Evict; 0 for no limit
}

// NewLocal returns the store in a directory. It does not access the directory.
func NewLocal(o Options) *Local {
	if o.Warnf == nil {
		o.Warnf = func(string, ...any) {}
	}
	return &Local{dir: o.Dir, now: o.Now, warnf: o.Warnf, limit: o.Limit}
}

// Prefixes of names in the directory of a scope.
const (
	entryPrefix    = "entry-"
	savingPrefix   = "saving-"         // not complete yet
	removingPrefix = "removing-entry-" // partly removed
)

// Find implements Store. Incomplete entries are reported and ignored: the next best one is
// tried, since an old cache is better than none. An entry for another architecture is no
// match, but the error names it.
func (l *Local) Find(_ context.Context, n Name) (*Entry, error) {
	all, otherArch := l.candidates(n)
	for {
		e := Choose(n, all)
		if e == nil {
			break
		}
		err := l.hold(e)
		if err == nil {
			return e, nil
		}
		l.warnf("Cache of %s ignored: %v.", e.Saved.Format(time.DateTime), err)
		all = slices.DeleteFunc(all, func(other *Entry) bool { return other == e })
	}
	if otherArch != "" {
		return nil, fmt.Errorf("%w for %s, only for %s", ErrNotFound, n.Arch, otherArch)
	}
	return nil, ErrNotFound
}

// candidates returns the entries with a name's scope, version and architecture, and
// another architecture for which the name has an entry.
func (l *Local) candidates(n Name) (all []*Entry, otherArch string) {
	for _, e := range l.scope(n.Scope) {
		switch {
		case e.Broken != "":
			l.warnf("Cache ignored: %s.", e.Broken)
		case e.Version != n.Version():
		case e.Arch == n.Arch:
			all = append(all, e)
		case Choose(n, []*Entry{e}) != nil:
			otherArch = e.Arch
		}
	}
	return all, otherArch
}

// hold locks an entry against removal and checks its files.
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
	// The files are written last, and are not part of the index: they change with each use.
	e.Hits++
	// A full disk or a read-only directory does not prevent the restore.
	_ = writeJSON(e.dir, usedName, used{l.now(), e.Hits})
	return nil
}

// used has the time of an entry's last restore and the number of restores.
type used struct {
	Last time.Time `json:"last"`
	Hits int       `json:"hits"`
}

// writeJSON writes a file atomically, because other builds may read it at the same time.
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

// scope returns the entries of a scope. Entries that cannot be read are Broken.
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
		// A file that is not JSON was damaged. Any other error may be that of this program, such
		// as a field of a newer version, and the entry is not evicted for it.
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

// Open implements Store.
func (l *Local) Open(_ context.Context, e *Entry) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(e.stream(w)) }()
	return r, nil
}

// stream writes the files in the order of the list, in which a directory comes before its
// content and a file before the hard links to it.
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

// Close implements Store. It also removes replaced entries and evicts others, which may
// have been in use by this build until now.
func (l *Local) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, lock := range l.held {
		errs = append(errs, lock.Close())
	}
	for _, e := range l.stale {
		_ = l.remove(e) // if another build uses it, the next save removes it
	}
	if l.saved != "" {
		_, err := l.Evict(l.limit, l.saved)
		errs = append(errs, err)
	}
	l.held, l.stale, l.saved = nil, nil, ""
	return errors.Join(errs...)
}
