package watch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// Kind says how a file changed.
type Kind string

// The kinds of changes.
const (
	Added   Kind = "added"
	Changed Kind = "changed"
	Removed Kind = "removed"
)

// Change is a file that differs between two snapshots.
type Change struct {
	File string // absolute
	Kind Kind
}

// Snapshot is the state of all files at one time.
type Snapshot struct {
	files map[string]*file
}

// Diff returns the files that differ from an earlier snapshot, sorted.
func (s *Snapshot) Diff(earlier *Snapshot) []Change {
	var all []Change
	for name, now := range s.files {
		before, had := earlier.files[name]
		switch {
		case !had:
			all = append(all, Change{name, Added})
		case before != now && !before.same(now):
			all = append(all, Change{name, Changed})
		}
	}
	for name := range earlier.files {
		if _, has := s.files[name]; !has {
			all = append(all, Change{name, Removed})
		}
	}
	slices.SortFunc(all, func(a, b Change) int { return cmp.Compare(a.File, b.File) })
	return all
}

// Add adds the files that only a later snapshot has, because more files are watched since then.
func (s *Snapshot) Add(later *Snapshot) {
	for name, f := range later.files {
		if _, has := s.files[name]; !has {
			s.files[name] = f
		}
	}
}

// stamp is the metadata of a file that changes with its contents.
type stamp struct {
	size     int64
	mode     fs.FileMode
	modified time.Time
}

func (s stamp) equal(other stamp) bool {
	return s.size == other.size && s.mode == other.mode && s.modified.Equal(other.modified)
}

// file is one file of a snapshot. Its contents are known from the moment at which they were read.
type file struct {
	stamp
	// racy is true if the file was modified so shortly before it was examined that another change may
	// have the same stamp.
	racy bool

	mu       sync.Mutex
	contents contents
}

// contents is the hash of the contents of a file.
type contents struct {
	known bool
	sum   [sha256.Size]byte
}

// same reports whether two states of a file have the same contents and permissions. Contents that are
// not known are different ones.
func (f *file) same(other *file) bool {
	if f.mode != other.mode {
		return false
	}
	a, b := f.hash(), other.hash()
	return a.known && b.known && a.sum == b.sum
}

func (f *file) hash() contents {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.contents
}

func (f *file) setHash(c contents) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.contents = c
}

// maxHashed is the size of the largest file that is read, in bytes. Larger ones differ if their stamps
// do.
const maxHashed = 64 << 20

// racyTime is the time in which a file system may give two changes the same stamp. FAT has two seconds.
const racyTime = 2 * time.Second

// examine returns the state of a file without its contents, and whether it exists.
func examine(name string, now time.Time) (*file, bool) {
	info, err := os.Lstat(name)
	if err != nil || info.IsDir() {
		return nil, false
	}
	return &file{
		stamp: stamp{info.Size(), info.Mode(), info.ModTime()},
		racy:  now.Sub(info.ModTime()) < racyTime,
	}, true
}

// read hashes the contents of a file, unless it has changed since it was examined.
func (f *file) read(ctx context.Context, name string) {
	if f.hash().known || f.size > maxHashed || ctx.Err() != nil {
		return
	}
	c, ok := hashOf(name, f.mode)
	if !ok {
		return
	}
	if after, exists := examine(name, f.modified); exists && after.equal(f.stamp) {
		f.setHash(c)
	}
}

// hashOf hashes a regular file or the target of a link. Other files have no contents.
func hashOf(name string, mode fs.FileMode) (contents, bool) {
	switch {
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(name)
		return contents{true, sha256.Sum256([]byte(target))}, err == nil
	case !mode.IsRegular():
		return contents{known: true}, true
	}
	f, err := regular.Open(name)
	if err != nil {
		return contents{}, false
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return contents{}, false
	}
	c := contents{known: true}
	sum.Sum(c.sum[:0])
	return c, true
}
