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

// Save keeps an entry. See Store.
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
		return nil, errors.Join(err, removeAll(dir))
	}
	l.mu.Lock()
	l.saved = e.ID
	l.mu.Unlock()
	if _, err := l.Evict(l.limit, e.ID); err != nil {
		l.warnf("The caches have more than %d bytes: %v.", l.limit, err)
	}
	return e, nil
}

// makeScope makes the directory of a scope, which must not be a link.
func (l *Local) makeScope(scope string) (string, error) {
	if !filepath.IsLocal(scope) || filepath.Base(scope) != scope || strings.HasPrefix(scope, ".") {
		return "", fmt.Errorf("%q cannot be the name of a cache", scope)
	}
	if err := Claim(l.dir); err != nil {
		return "", err
	}
	dir := filepath.Join(l.dir, scope)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return "", errors.Join(err, fmt.Errorf("%s is not a directory; remove it, or choose another directory of caches", dir))
	}
	return dir, nil
}

// lockPause is how long a lock that another process holds is left alone.
const lockPause = 10 * time.Millisecond

// turn takes the lock of a scope, and waits for it until ctx ends.
func (l *Local) lockScope(ctx context.Context, scope string) (*flock.Flock, error) {
	turn, err := newLock(filepath.Join(scope, lockName), os.O_CREATE|os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	if _, err := turn.TryLockContext(ctx, lockPause); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, errors.Join(err, turn.Close())
	}
	return turn, nil
}

// begin makes a directory for what is saved, which is locked before anybody else may
// take it for a leftover.
func (l *Local) begin(ctx context.Context, scope string) (string, *flock.Flock, error) {
	turn, err := l.lockScope(ctx, scope)
	if err != nil {
		return "", nil, err
	}
	defer turn.Close()
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

// fill writes all of an entry.
func (l *Local) fill(ctx context.Context, s SaveRequest, dir string, files io.Reader) (*Entry, error) {
	w := newWriter(dir)
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

// contextReader reads until its context ends.
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

// publish makes an entry one that is found, in the place of those it replaces. Of two
// builds that save under one key the first one's stays.
func (l *Local) publish(ctx context.Context, scope, dir string, e *Entry) (*Entry, error) {
	turn, err := l.lockScope(ctx, scope)
	if err != nil {
		return nil, err
	}
	defer turn.Close()
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
		if errors.Is(l.remove(other), ErrInUse) { // perhaps by this build itself
			l.stale = append(l.stale, other)
		}
	}
	return e, nil
}

// Errors of Remove.
var (
	ErrInUse   = errors.New("a build uses it")
	errUnknown = errors.New("there is no such cache")
)

// Remove removes an entry by its ID. The error wraps fs.ErrNotExist where there is
// none, and is ErrInUse while a build uses it.
func (l *Local) Remove(id string) error {
	for _, e := range l.List() {
		if e.ID == id {
			return l.remove(e)
		}
	}
	return fmt.Errorf("%w: %w", errUnknown, fs.ErrNotExist)
}

func (l *Local) remove(e *Entry) error {
	if !isOurs(e.dir, entryName) {
		return fmt.Errorf("%s has files that no build has put there; remove it by hand", e.dir)
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
	going := filepath.Join(filepath.Dir(e.dir), removingPrefix+strings.TrimPrefix(filepath.Base(e.dir), entryPrefix))
	if err := os.Rename(e.dir, going); err != nil {
		return err
	}
	return removeAll(going)
}

// List returns all entries, the one used last first.
func (l *Local) List() []*Entry {
	var all []*Entry
	for _, scope := range l.scopes() {
		all = append(all, l.scope(scope)...)
	}
	slices.SortStableFunc(all, func(a, b *Entry) int { return b.Used.Compare(a.Used) })
	return all
}

// Evict removes what was used the longest time ago, until all others have at most
// limit bytes, and returns what it removed; 0 is no limit. Entries in use stay, and
// the one with the ID keep. So does what two entries share, which is counted twice.
func (l *Local) Evict(limit int64, keep string) ([]*Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	var sum int64
	var gone []*Entry
	var errs []error
	for _, e := range l.List() {
		if e.ID == keep || !e.lost && sum+e.Size <= limit {
			sum += e.Size
			continue
		}
		err := l.remove(e)
		if errors.Is(err, ErrInUse) || errors.Is(err, fs.ErrNotExist) { // somebody else was faster
			continue
		}
		if err == nil {
			gone = append(gone, e)
		}
		errs = append(errs, err)
	}
	return gone, errors.Join(errs...)
}

// Sweep removes what programs left that were killed, and returns how many there were.
func (l *Local) Sweep() int {
	n := 0
	for _, scope := range l.scopes() {
		turn, err := newLock(filepath.Join(l.dir, scope, lockName), os.O_RDWR)
		if err != nil {
			continue
		}
		if locked, err := turn.TryLock(); err == nil && locked { // else the scope is in use, and is swept by its next build
			n += l.sweep(scope)
		}
		_ = turn.Close()
	}
	return n
}

// sweep removes what was being saved or removed by programs that are gone. The scope's
// lock is held: a directory is locked while its maker holds that, so one without a
// lock is a leftover.
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

// removeAll removes the directory of an entry. The files it is known by go last, so
// that a removal that was interrupted is continued by the next one.
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

// removeTree removes a directory of which some directories may be closed.
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

// Sum is the size of entries, in bytes.
func Sum(all []*Entry) int64 {
	var sum int64
	for _, e := range all {
		sum += e.Size
	}
	return sum
}
