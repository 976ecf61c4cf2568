package cache

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Save implements Store.
func (l *Local) Save(ctx context.Context, s SaveRequest, files io.Reader) (*Entry, error) {
	scope, err := l.makeScope(s.Scope)
	if err != nil {
		return nil, err
	}
	dir, lock, err := l.begin(ctx, scope)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	e, err := l.fill(ctx, s, dir, files)
	if err == nil {
		e, err = l.publish(ctx, scope, dir, e)
	}
	if err != nil {
		return nil, errors.Join(err, removePart(ctx, dir))
	}
	// Close evicts again: entries of this build are in use until then.
	l.mu.Lock()
	l.saved = e.ID
	l.mu.Unlock()
	if _, err := l.Evict(l.limit, e.ID); err != nil {
		l.warnf("Caches are larger than %d bytes: %v.", l.limit, err)
	}
	return e, nil
}

// maxRemoval is how long an interrupted save waits for the removal of its files.
const maxRemoval = time.Second

// removePart removes an incomplete entry. After an interruption it may take as long as it
// takes to write an entry, and the user waits: the next save or prune then continues it.
func removePart(ctx context.Context, dir string) error {
	done := make(chan error, 1)
	go func() { done <- removeAll(dir) }()
	if ctx.Err() == nil {
		return <-done
	}
	select {
	case err := <-done:
		return err
	case <-time.After(maxRemoval):
		return nil
	}
}

// makeScope creates the directory of a scope, which must not be a link.
func (l *Local) makeScope(scope string) (string, error) {
	if !filepath.IsLocal(scope) || filepath.Base(scope) != scope || strings.HasPrefix(scope, ".") {
		return "", fmt.Errorf("%q is not a valid name of a cache", scope)
	}
	if err := Claim(l.dir); err != nil {
		return "", err
	}
	dir := filepath.Join(l.dir, scope)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		wrong := fmt.Errorf("%s is not a directory; remove it, or choose another directory of caches", dir)
		return "", errors.Join(err, wrong)
	}
	return dir, nil
}

// lockInterval is the time between two attempts to take a lock.
const lockInterval = 10 * time.Millisecond

// lockScope takes the lock of a scope. It waits until ctx is done.
func (l *Local) lockScope(ctx context.Context, scope string) (*flock.Flock, error) {
	lock, err := newLock(filepath.Join(scope, lockName), os.O_CREATE|os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	if _, err := lock.TryLockContext(ctx, lockInterval); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// begin creates the locked directory of a new entry. It holds the scope's lock until then,
// so that no other process takes the directory for a leftover, see sweep.
func (l *Local) begin(ctx context.Context, scope string) (string, *flock.Flock, error) {
	scopeLock, err := l.lockScope(ctx, scope)
	if err != nil {
		return "", nil, err
	}
	defer scopeLock.Close()
	l.sweep(filepath.Base(scope))
	dir, err := os.MkdirTemp(scope, savingPrefix)
	if err != nil {
		return "", nil, err
	}
	lock, err := newLock(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDONLY)
	if err == nil {
		_, err = lock.TryLock()
	}
	if err != nil {
		return "", nil, errors.Join(err, removeAll(dir))
	}
	return dir, lock, nil
}

// fill writes the files of an entry and its description. The description is last, so a
// directory that has one is complete.
func (l *Local) fill(ctx context.Context, s SaveRequest, dir string, files io.Reader) (*Entry, error) {
	w := newWriter(ctx, dir)
	w.onCopied = s.Copied
	if s.Base != nil {
		if err := w.keep(s.Base, s.Kept); err != nil {
			return nil, err
		}
	}
	if err := w.copyLocal(s.Local); err != nil {
		return nil, err
	}
	if err := w.unpack(&contextReader{ctx, files}); err != nil {
		return nil, err
	}
	e := s.Entry
	var err error
	if e.list, err = w.finish(); err != nil {
		return nil, err
	}
	e.Files, e.Size = 0, 0
	for _, f := range e.list {
		if f.Kind != tar.TypeDir {
			e.Files++
			e.Size += f.Size
		}
	}
	if e.Index, err = writeIndex(dir, e.list); err != nil {
		return nil, err
	}
	return &e, writeJSON(dir, entryName, e)
}

// contextReader fails when its context is done.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// publish makes a new entry available and removes the entries that it replaces. If two
// builds save with the same key, the first entry stays.
func (l *Local) publish(ctx context.Context, scope, dir string, e *Entry) (*Entry, error) {
	scopeLock, err := l.lockScope(ctx, scope)
	if err != nil {
		return nil, err
	}
	defer scopeLock.Close()
	// A damaged entry with the key does not count: no build can use it any more.
	var replaced []*Entry
	for _, other := range l.scope(e.Scope) {
		if other.Version != e.Version || other.Arch != e.Arch || other.Key != e.Key {
			continue
		}
		var broken error
		if other.list, broken = readIndex(other.dir, other.Index); broken == nil {
			broken = other.check()
		}
		if e.Key != "" && broken == nil {
			return nil, ErrImmutable
		}
		replaced = append(replaced, other)
	}
	name := strings.TrimPrefix(filepath.Base(dir), savingPrefix)
	e.ID, e.Used, e.dir = e.Scope+"/"+name, e.Saved, filepath.Join(scope, entryPrefix+name)
	if err := os.Rename(dir, e.dir); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, other := range replaced {
		if errors.Is(l.remove(other), ErrInUse) { // by this or another build
			l.stale = append(l.stale, other)
		}
	}
	return e, nil
}

// Errors of Remove.
var (
	ErrInUse   = errors.New("in use by a build")
	errUnknown = errors.New("no such cache")
)

// Remove removes an entry by its ID. The error wraps fs.ErrNotExist if there is no such
// entry, and is ErrInUse while a build uses it.
func (l *Local) Remove(id string) error {
	for _, e := range l.List() {
		if e.ID == id {
			return l.remove(e)
		}
	}
	return fmt.Errorf("%w: %w", errUnknown, fs.ErrNotExist)
}

// remove removes an entry that is not in use. The rename hides it from other processes at
// once, whereas the removal of its files takes time and may be interrupted.
func (l *Local) remove(e *Entry) error {
	if !isOurs(e.dir, entryName) {
		return fmt.Errorf("%s contains files of another program; remove it by hand", e.dir)
	}
	lock, err := newLock(filepath.Join(e.dir, lockName), os.O_CREATE|os.O_RDONLY)
	if err != nil {
		return err
	}
	locked, err := lock.TryLock()
	if err != nil {
		return err
	}
	defer lock.Close()
	if !locked {
		return ErrInUse
	}
	removing := filepath.Join(filepath.Dir(e.dir), removingPrefix+strings.TrimPrefix(filepath.Base(e.dir), entryPrefix))
	if err := os.Rename(e.dir, removing); err != nil {
		return err
	}
	return removeAll(removing)
}

// List returns all entries, most recently used first.
func (l *Local) List() []*Entry {
	var all []*Entry
	for _, scope := range l.scopes() {
		all = append(all, l.scope(scope)...)
	}
	slices.SortStableFunc(all, func(a, b *Entry) int { return b.Used.Compare(a.Used) })
	return all
}

// Evict removes the least recently used entries until the others have at most limit bytes,
// and returns the removed ones. It does nothing if limit is 0. Entries in use, and the one
// with the ID keep, are not removed. Files that two entries share are counted twice.
func (l *Local) Evict(limit int64, keep string) ([]*Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	var sum int64
	var removed []*Entry
	var errs []error
	// A lost entry has the size 0, and would never be evicted otherwise.
	for _, e := range l.List() {
		if e.ID == keep || !e.lost && sum+e.Size <= limit {
			sum += e.Size
			continue
		}
		err := l.remove(e)
		if errors.Is(err, ErrInUse) || errors.Is(err, fs.ErrNotExist) { // or removed by another process
			continue
		}
		if err == nil {
			removed = append(removed, e)
		}
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

// Sweep removes the leftovers of killed processes and returns their number.
func (l *Local) Sweep() int {
	n := 0
	for _, scope := range l.scopes() {
		lock, err := newLock(filepath.Join(l.dir, scope, lockName), os.O_RDWR)
		if err != nil {
			continue
		}
		// The next save sweeps a scope that is in use.
		if locked, err := lock.TryLock(); err == nil && locked {
			n += l.sweep(scope)
		}
		_ = lock.Close()
	}
	return n
}

// sweep removes directories whose process was killed while it saved or removed an entry.
// The caller holds the scope's lock. A process locks its directory while it holds that
// lock, so a directory without a lock is a leftover.
func (l *Local) sweep(scope string) int {
	n := 0
	for _, dir := range append(l.inScope(scope, savingPrefix), l.inScope(scope, removingPrefix)...) {
		if !isOurs(dir, lockName, entryName) {
			continue
		}
		lock, err := newLock(filepath.Join(dir, lockName), os.O_RDWR)
		if err != nil {
			continue
		}
		locked, err := lock.TryLock()
		if err == nil && locked || errors.Is(err, fs.ErrNotExist) {
			n++
			_ = removeAll(dir)
		}
		_ = lock.Close()
	}
	return n
}

// removeAll removes the directory of an entry. The files that identify it are removed
// last, so that the next sweep continues an interrupted removal.
func removeAll(dir string) error {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() == entryName || e.Name() == lockName {
			continue
		}
		if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return removeTree(dir)
}

// removeTree removes a directory, even if some of its directories are not writable.
func removeTree(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// Sum returns the total size of entries, in bytes.
func Sum(all []*Entry) int64 {
	var sum int64
	for _, e := range all {
		sum += e.Size
	}
	return sum
}
