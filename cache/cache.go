// Package cache keeps the files of a buildspec's cache section from one build to the next.
//
// A Store has entries, which are immutable: a build that saves creates a new one. Files go
// in and out as a tar stream whose names begin with src/, for files of the source, or
// root/, for all others. Local is a Store in a directory of the host; package aws has one
// in S3.
//
// Paths maps paths of a container to these names. Extraction converts the stream of an
// entry for a container, and Packer collects the changed files of a container. The package
// does not decide when a cache is restored or saved.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

// First elements of names in an entry.
const (
	Source = "src"  // parent of names relative to the source's directory
	Root   = "root" // parent of absolute names
)

// Name identifies a cache.
type Name struct {
	Scope     string   // owner: a project, or a namespace that projects share
	Paths     []string // of the buildspec; different paths are different caches (documented)
	Arch      string   // architecture of the build, such as amd64
	Key       string   // may be empty: then there is one entry, which each save replaces
	Fallbacks []string // prefixes of keys, tried in order; ignored without Key (documented)
}

// Version identifies the paths of a name by 16 hexadecimal digits. It does not depend on
// their order.
func (n Name) Version() string {
	paths := slices.Compact(slices.Sorted(slices.Values(n.Paths)))
	text, _ := json.Marshal(paths) // strings can always be marshaled
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Entry is one cache in a store.
type Entry struct {
	ID               string        `json:"-"` // unique in its store
	Scope            string        `json:"scope"`
	Version          string        `json:"version"` // Name.Version
	Paths            []string      `json:"paths"`
	Arch             string        `json:"arch"`
	Key              string        `json:"key,omitempty"`
	Image            string        `json:"image"` // of the build that saved it
	Build            string        `json:"build"` // ID of the build that saved it
	Saved            time.Time     `json:"saved"`
	UncachedDuration time.Duration `json:"cold"`   // of the commands of a build without a cache; 0 if unknown
	Files            int           `json:"files"`  // number of files and links, without directories
	Size             int64         `json:"size"`   // total size of the files, in bytes
	HasParentDirs    bool          `json:"placed"` // it has all directories above its files
	Index            string        `json:"index"`  // SHA-256 of the list of files, in hexadecimal digits

	Packed bool      `json:"-"` // Size is the size of the packed stream; Files is unknown
	Used   time.Time `json:"-"` // time of the last restore, else of the save
	Hits   int       `json:"-"` // number of restores
	Broken string    `json:"-"` // reason why it cannot be used; empty if it can

	list []File
	dir  string
	lost bool // its description is damaged, so that no program can use it
}

// SaveRequest is an entry to save.
type SaveRequest struct {
	Entry             // without ID, Files, Size and Index
	Base  *Entry      // an entry of the same store that has the files of Kept; may be nil
	Kept  []string    // names of files that have not changed since Base
	Local []LocalFile // files to copy from the host; only Local supports them
	// Copied is called with the number of files that were copied so far, and of their bytes. It may
	// be nil. Only Local supports it.
	Copied func(files int, bytes int64)
}

// LocalFile is a file of an entry that is available on the host: below the directory Dir,
// with the slash-separated name At. Links in At are not followed out of Dir.
type LocalFile struct {
	File
	Dir, At string
}

// Store keeps entries. It may be used by several builds concurrently.
type Store interface {
	// Find returns the entry with the name's key, else the newest entry whose key begins
	// with a fallback key. The entry is not removed until Close. The error is or wraps
	// ErrNotFound if there is no such entry.
	Find(ctx context.Context, n Name) (*Entry, error)
	// Open returns the files of an entry from Find as a tar stream.
	Open(ctx context.Context, e *Entry) (io.ReadCloser, error)
	// Save creates an entry from a tar stream and the files of s.Kept and s.Local. A
	// failed Save leaves no entry. An existing entry with the same key is not replaced:
	// the error is ErrImmutable. It wraps ErrNotLocal if a file of s.Local has changed.
	Save(ctx context.Context, s SaveRequest, files io.Reader) (*Entry, error)
	// Close releases the entries that Find has returned.
	Close() error
}

// Errors of stores.
var (
	ErrNotFound  = errors.New("no cache found")
	ErrImmutable = errors.New("a cache with this key already exists")
	ErrNotLocal  = errors.New("a file on the host has changed")
	ErrBroken    = errors.New("the cache is incomplete")
)

// Choose returns the entry that Find returns for a name, or nil. all are the entries of
// the name's scope, version and architecture. It is the same for all stores: the exact key
// comes first, then the fallback keys in their order, and within each the newest entry.
func Choose(n Name, all []*Entry) *Entry {
	newest := func(matches func(key string) bool) *Entry {
		var best *Entry
		for _, e := range all {
			if matches(e.Key) && (best == nil || e.Saved.After(best.Saved)) {
				best = e
			}
		}
		return best
	}
	if e := newest(func(key string) bool { return key == n.Key }); e != nil || n.Key == "" {
		return e
	}
	for _, prefix := range n.Fallbacks {
		// An entry without a key was saved by a buildspec without keys: it never matches, not
		// even an empty prefix.
		e := newest(func(key string) bool { return key != "" && strings.HasPrefix(key, prefix) })
		if e != nil {
			return e
		}
	}
	return nil
}
