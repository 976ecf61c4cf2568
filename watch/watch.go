// Package watch waits for changes of files.
//
// Events of the operating system are only a reason to look: a Snapshot of all files is compared with
// an earlier one, by contents. So no change is lost however events come, a file that is touched has
// not changed, and a file that was changed twice has changed if it differs in the end. Where the
// system has no events, such as on network file systems, the files are examined each second.
package watch

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Listing are the files that are watched.
type Listing struct {
	Files []string // absolute, existing or not
	// Dirs are the directories in which a new file belongs to the next listing. In other directories,
	// only changes of Files matter.
	Dirs []string
	// Ignored are files and directories below Dirs whose changes do not matter.
	Ignored []string
}

// Options configure a Watcher. List is required.
type Options struct {
	// List returns the files. It is called again after each event.
	List func(ctx context.Context) (Listing, error)
	// Quick is List as far as it can be done each second: it may have an older list of ignored files. It
	// may be nil.
	Quick func(ctx context.Context) (Listing, error)
	// Busy returns why files are about to change more, such as "a rebase"; "" if they are not. It may be
	// nil.
	Busy func() string
	// Note prints a line for the user. It may be nil.
	Note func(text string)
	Now  func() time.Time

	Quiet time.Duration // without an event, before files are compared; 0 for 200 ms
	Poll  time.Duration // between two looks without events; 0 for one second

	// notifier replaces fsnotify in tests.
	notifier func() (notifier, error)
}

// notifier reports events of directories.
type notifier interface {
	Add(dir string) error
	Remove(dir string) error
	Close() error
}

// Watcher watches files. Close ends it.
type Watcher struct {
	o     Options
	dirty chan struct{} // has an element after an event

	mu      sync.Mutex // guards the following
	dirs    map[string]bool
	files   map[string]bool
	ignored map[string]bool
	events  notifier        // nil without events
	watched map[string]bool // directories with events
	moved   bool            // one of them was renamed or removed
	polling bool            // files are examined regularly
	waiting string          // the last note about a wait

	stop context.CancelFunc // ends the goroutines
	ctx  context.Context
	done sync.WaitGroup
}

// New returns a Watcher, which watches nothing before the first Look.
func New(o Options) *Watcher {
	if o.Quiet == 0 {
		o.Quiet = 200 * time.Millisecond
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	w := &Watcher{
		o: o, dirty: make(chan struct{}, 1),
		dirs: map[string]bool{}, files: map[string]bool{}, ignored: map[string]bool{}, watched: map[string]bool{},
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.start()
	return w
}

// start opens the events of the system, without any directory. The caller holds the lock.
func (w *Watcher) start() {
	if w.events != nil {
		_ = w.events.Close()
	}
	w.events, w.watched, w.moved = nil, map[string]bool{}, false
	open := w.o.notifier
	if open == nil {
		open = w.open
	}
	events, err := open()
	if err != nil {
		w.poll(reason(err))
		return
	}
	w.events = events
}

// open starts to receive events by fsnotify.
func (w *Watcher) open() (notifier, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w.done.Go(func() {
		for {
			select {
			case e, open := <-n.Events:
				if !open {
					return
				}
				w.handle(e.Name, e.Op)
			case _, open := <-n.Errors: // such as too many events at once
				if !open {
					return
				}
				w.mark()
			}
		}
	})
	return n, nil
}

// Close ends the watch.
func (w *Watcher) Close() {
	w.stop()
	w.mu.Lock()
	if w.events != nil {
		_ = w.events.Close()
	}
	w.mu.Unlock()
	w.done.Wait()
}

// handle handles an event.
func (w *Watcher) handle(name string, op fsnotify.Op) {
	if !w.matters(name) {
		return
	}
	if op.Has(fsnotify.Rename) || op.Has(fsnotify.Remove) {
		w.mu.Lock()
		w.moved = w.moved || w.watched[name]
		w.mu.Unlock()
	}
	// Files in a new directory may be written before the next listing knows it.
	if op.Has(fsnotify.Create) {
		if info, err := os.Lstat(name); err == nil && info.IsDir() {
			w.mu.Lock()
			w.dirs[name] = true
			w.add(name)
			w.mu.Unlock()
		}
	}
	w.mark()
}

// Recheck makes the next Wait compare the files even if there is no event.
func (w *Watcher) Recheck() { w.mark() }

// mark makes Wait look at the files.
func (w *Watcher) mark() {
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}

// matters reports whether an event is about a watched file, or one that may become one.
func (w *Watcher) matters(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.files[name] || w.dirs[name] {
		return true
	}
	for dir := name; ; dir = filepath.Dir(dir) {
		if w.ignored[dir] {
			return false
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return w.dirs[filepath.Dir(name)]
}

// add watches a directory. The caller holds the lock.
func (w *Watcher) add(dir string) {
	if w.events == nil || w.watched[dir] {
		return
	}
	switch err := w.events.Add(dir); {
	case err == nil:
		w.watched[dir] = true
	case !errors.Is(err, os.ErrNotExist): // it is gone, and the next listing does not have it
		w.poll(reason(err))
	}
}

// poll makes Wait look at the files regularly. The caller holds the lock.
func (w *Watcher) poll(why string) {
	if !w.polling {
		w.polling = true
		w.o.Note("looking for changes each second, because " + why)
	}
}

// noteWait prints why a wait takes longer, once.
func (w *Watcher) noteWait(text string) {
	if w.waiting != text {
		w.waiting = text
		w.o.Note(text)
	}
}

// Look examines all files. It reads those that have changed since an earlier snapshot, which may be
// nil. An error means that the files cannot be listed.
func (w *Watcher) Look(ctx context.Context, earlier *Snapshot) (*Snapshot, error) {
	l, err := w.list(ctx)
	if err != nil {
		return nil, err
	}
	return w.examine(ctx, l, earlier)
}

// examine examines the files of a listing.
func (w *Watcher) examine(ctx context.Context, l Listing, earlier *Snapshot) (*Snapshot, error) {
	s := &Snapshot{files: map[string]*file{}}
	for _, name := range l.Files {
		now, exists := examine(name, w.o.Now())
		if !exists {
			continue
		}
		s.files[name] = now
		if earlier == nil {
			continue
		}
		before, had := earlier.files[name]
		if had && before.equal(now.stamp) && !before.racy {
			s.files[name] = before
			continue
		}
		// Only the contents say whether it has changed.
		now.read(ctx, name)
		// A file that cannot be read, or is large, has not changed if its stamp has not.
		if had && before.equal(now.stamp) && !now.hash().known {
			s.files[name] = before
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return s, nil
}

// list lists the files, and watches their directories. A file that is created between a listing and
// the watch is in the next listing.
func (w *Watcher) list(ctx context.Context) (Listing, error) {
	for {
		l, err := w.o.List(ctx)
		if err != nil {
			return l, err
		}
		if !w.follow(l) {
			return l, nil
		}
	}
}

// follow watches the directories of a listing, and reports whether there are new ones.
func (w *Watcher) follow(l Listing) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirs, w.files, w.ignored = set(l.Dirs), set(l.Files), set(l.Ignored)
	needed := set(l.Dirs)
	for _, name := range l.Files {
		needed[filepath.Dir(name)] = true
	}
	// A watch follows its directory to another name, where it would be mistaken for a second one, and
	// is not that of a new directory at the old name.
	if w.moved {
		w.start()
	}
	for dir := range w.watched {
		if !needed[dir] {
			_ = w.events.Remove(dir) // fails for a directory that is gone
			delete(w.watched, dir)
		}
	}
	added := false
	for dir := range needed {
		if !w.watched[dir] {
			w.add(dir)
			added = added || w.watched[dir]
		}
	}
	w.checkKinds(l)
	return added
}

func set(names []string) map[string]bool {
	all := make(map[string]bool, len(names))
	for _, name := range names {
		all[name] = true
	}
	return all
}

// checkKinds polls if events of a file system are incomplete: changes on another machine have none.
func (w *Watcher) checkKinds(l Listing) {
	if w.polling || len(l.Dirs) == 0 {
		return
	}
	// The first directory is the top of the source; others are nearly always on the same file system.
	if kind := kindAt(l.Dirs[0]); isRemote(kind) {
		w.poll(kind + " reports no changes of other machines")
	}
}

// isRemote reports whether the files of a file system can change without an event.
func isRemote(kind string) bool {
	for _, prefix := range []string{"nfs", "9p", "cifs", "smb", "fuse.sshfs", "fuse.grpcfuse", "fuse.osxfs", "virtiofs",
		"vboxsf", "prl_fs", "drvfs", "afs", "ceph", "fuse.s3fs", "fakeowner"} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

// maxLearned limits the bytes that Learn reads. Other files differ if they are touched.
const maxLearned = 4 << 30

// Learn reads the files of a snapshot in the background, so that a file that is only touched can be
// recognized.
func (w *Watcher) Learn(s *Snapshot) {
	files := maps.Clone(s.files) // the snapshot can get more of them
	w.done.Go(func() {
		left := int64(maxLearned)
		for name, f := range files {
			if left -= f.size; left >= 0 {
				f.read(w.ctx, name)
			}
		}
	})
}

// minNoted is after how many quiet times the user sees why a build does not begin.
const minNoted = 10

// maxUnquiet is the longest time that Wait waits for files that change all the time.
const maxUnquiet = 10 * time.Second

// Wait waits until the files differ from a snapshot, and returns the differences and the new snapshot.
// It returns the cause of the context's end as an error.
func (w *Watcher) Wait(ctx context.Context, since *Snapshot) ([]Change, *Snapshot, error) {
	for {
		if err := w.awaitEvent(ctx, since); err != nil {
			return nil, nil, err
		}
		if err := w.awaitQuiet(ctx); err != nil {
			return nil, nil, err
		}
		now, err := w.Look(ctx, since)
		switch {
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case err != nil: // such as while the directory is replaced
			w.noteWait("waiting, because the source cannot be listed: " + err.Error())
			w.later(ctx)
			continue
		}
		w.waiting = ""
		if changes := now.Diff(since); len(changes) > 0 {
			return changes, now, nil
		}
		since = now
	}
}

// later repeats a look after a second.
func (w *Watcher) later(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(w.o.Poll):
		w.mark()
	}
}

// awaitEvent waits for an event. Without events it waits until the files differ and do not change any
// more.
func (w *Watcher) awaitEvent(ctx context.Context, since *Snapshot) error {
	changed := false
	for seen := since; ; {
		var tick <-chan time.Time
		switch {
		case changed:
			tick = time.After(w.o.Quiet)
		case w.isPolling():
			tick = time.After(w.o.Poll)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.dirty:
			return nil
		case <-tick:
		}
		now := w.glance(ctx, seen)
		if now == nil {
			return nil
		}
		differs := len(now.Diff(seen)) > 0
		if changed && !differs {
			return nil
		}
		changed, seen = differs, now
	}
}

// glance looks at the files without asking which ones are ignored. It returns nil if they cannot be
// listed.
func (w *Watcher) glance(ctx context.Context, since *Snapshot) *Snapshot {
	list := w.o.Quick
	if list == nil {
		list = w.o.List
	}
	l, err := list(ctx)
	if err != nil {
		return nil
	}
	now, err := w.examine(ctx, l, since)
	if err != nil {
		return nil
	}
	return now
}

func (w *Watcher) isPolling() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.polling
}

// awaitQuiet waits until no event has come for a while, and git is not about to change more files.
func (w *Watcher) awaitQuiet(ctx context.Context) error {
	limit, busy := time.After(maxUnquiet), 0
	for quiet := false; !quiet; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.dirty:
		case <-limit:
			quiet = true
		case <-time.After(w.o.Quiet):
			quiet = true
		}
		if quiet && w.o.Busy != nil && w.o.Busy() != "" {
			quiet, limit = false, nil
			if busy++; busy == minNoted { // most commands are over sooner
				w.noteWait("waiting for the end of " + w.o.Busy())
			}
		}
	}
	return nil
}
