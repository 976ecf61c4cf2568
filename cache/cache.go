// Package cache keeps files from one build to the next: the section cache of a
// buildspec.
//
// A Store has entries. Each is whole and never changes: a build that saves makes a
// new one. What goes in and comes out is a tar stream whose names begin with
// src/, for what is in the source's directory, or root/, for everything else.
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

// Beginnings of names in an entry.
const (
	Source = "src"  // below it, names relative to the source's directory
	Root   = "root" // below it, absolute names
)

// Name says which cache is meant.
type Name struct {
	Scope     string   // whose: a project's, or a namespace that projects share
	Paths     []string // as the buildspec has them; other paths are another cache (documented)
	Arch      string   // of the build, such as amd64
	Key       string   // empty for none: then there is one entry, which is replaced
	Fallbacks []string // beginnings of keys, tried in order; without Key they do not count (documented)
}

// Version tells caches of other paths apart: 16 hexadecimal digits. The order of
// the paths does not count.
func (n Name) Version() string {
	paths := slices.Compact(slices.Sorted(slices.Values(n.Paths)))
	text, _ := json.Marshal(paths) // of texts, which cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Entry is one cache that is kept.
type Entry struct {
	ID               string        `json:"-"` // in its store
	Scope            string        `json:"scope"`
	Version          string        `json:"version"` // Name.Version
	Paths            []string      `json:"paths"`
	Arch             string        `json:"arch"`
	Key              string        `json:"key,omitempty"`
	Image            string        `json:"image"` // the build ran in
	Build            string        `json:"build"` // that saved it, as ID of the service's
	Saved            time.Time     `json:"saved"`
	UncachedDuration time.Duration `json:"cold"`   // what the commands took without a cache; 0 where not known
	Files            int           `json:"files"`  // without directories
	Size             int64         `json:"size"`   // bytes, of their content
	HasParentDirs    bool          `json:"placed"` // the directories around its files are known too
	Index            string        `json:"index"`  // SHA-256 of the list of files, in hexadecimal digits

	Packed bool      `json:"-"` // Size is that of the packed stream, and Files is not known
	Used   time.Time `json:"-"` // when it was last restored; else when it was saved
	Hits   int       `json:"-"` // how often
	Broken string    `json:"-"` // why it cannot be used; empty where nothing is known to be wrong

	list []File
	dir  string
	lost bool // it is of no use to anybody
}

// SaveRequest is an entry to be saved.
type SaveRequest struct {
	Entry        // without ID, Files, Size and Index
	Base  *Entry // an entry of the same store some files are taken from; nil for none
	Kept  []string
	Local []LocalFile // files that are copied from this machine; a Local has use for them
}

// Near is a file of an entry that is on this machine already: below a directory, at a
// name that leads nowhere else.
type LocalFile struct {
	File
	Dir, At string
}

// Store keeps entries. Its methods may be used by several builds at once.
type Store interface {
	// Find returns the entry with the name's key, or the newest one whose key begins
	// with a fallback key. It stays there until Close. Where there is none, the error
	// is ErrNotFound, or wraps it and says why.
	Find(ctx context.Context, n Name) (*Entry, error)
	// Open returns the files of an entry that Find returned as a tar stream.
	Open(ctx context.Context, e *Entry) (io.ReadCloser, error)
	// Save keeps a new entry: the files of a tar stream, and those of s.Kept that
	// s.Base has. It is there whole or not at all. An entry with a key that is kept
	// already is not replaced: the error is ErrImmutable.
	Save(ctx context.Context, s SaveRequest, files io.Reader) (*Entry, error)
	// Close lets go of the entries that were found.
	Close() error
}

// Errors of stores.
var (
	ErrNotFound  = errors.New("nothing is kept")
	ErrImmutable = errors.New("a cache with this key is kept already")
	ErrNotLocal  = errors.New("a file on this machine is another one")
	ErrBroken    = errors.New("the cache is not whole")
)

// Choose returns the entry that a name finds among these, all of its scope, version
// and architecture; nil for none.
func Choose(n Name, all []*Entry) *Entry {
	newest := func(is func(key string) bool) *Entry {
		var best *Entry
		for _, e := range all {
			if is(e.Key) && (best == nil || e.Saved.After(best.Saved)) {
				best = e
			}
		}
		return best
	}
	if e := newest(func(key string) bool { return key == n.Key }); e != nil || n.Key == "" {
		return e
	}
	for _, prefix := range n.Fallbacks {
		e := newest(func(key string) bool { return key != "" && strings.HasPrefix(key, prefix) })
		if e != nil {
			return e
		}
	}
	return nil
}
