// Package trust stores which files of which source directories the user trusts.
//
// A Record identifies files by their contents, so a changed file is no longer trusted. The records
// are kept in the user's configuration directory, outside of any source. The package does not
// decide which settings need trust; see package config.
package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/atomicfile"
	"github.com/buildlocal/buildlocal/internal/regular"
)

// Record is a trusted source directory.
type Record struct {
	Version   int               `json:"version"`   // of the file format, 1
	Directory string            `json:"directory"` // absolute path without symlinks
	Trusted   time.Time         `json:"trusted"`   // time of the user's consent
	Files     map[string]string `json:"files"`     // SHA-256 in hex, by name relative to the directory
	Allows    []string          `json:"allows"`    // effects that the user accepted, one line each
}

// Sum returns the SHA-256 of a file's contents, in hex, for Record.Files.
func Sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Covers reports whether the record is for exactly these files with these contents.
func (r Record) Covers(files map[string]string) bool {
	if len(files) == 0 || len(files) != len(r.Files) {
		return false
	}
	for name, sum := range files {
		if r.Files[name] != sum {
			return false
		}
	}
	return true
}

// Store is a directory with one file for each record. Its methods may be called concurrently with
// those of other processes, because files are replaced atomically.
type Store struct{ dir string }

// Open returns the store in a directory, which need not exist. With an empty dir nothing is
// trusted, and Add returns an error.
func Open(dir string) *Store { return &Store{dir} }

// maxRecord limits the size of a record, in bytes.
const maxRecord = 1 << 20

// file returns the name of the record's file. A hash, because a path may be too long for a name.
func (s *Store) file(dir string) string { return filepath.Join(s.dir, Sum([]byte(dir))+".json") }

// Find returns the record of a directory, given as an absolute path without symlinks, and whether
// there is one.
func (s *Store) Find(dir string) (Record, bool, error) {
	if s.dir == "" {
		return Record{}, false, nil
	}
	r, err := read(s.file(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Record{}, false, nil
	case err != nil:
		return Record{}, false, err
	}
	return r, r.Directory == dir, nil
}

// read reads and checks a record.
func read(name string) (Record, error) {
	var r Record
	text, err := regular.Read(name, maxRecord)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil || r.Version != 1 {
		return r, fmt.Errorf("%s is not a valid trust record; remove it", name)
	}
	return r, nil
}

// Add stores a record and replaces an earlier one of the same directory.
func (s *Store) Add(r Record) error {
	if s.dir == "" {
		return errors.New("no home directory to store trust in; set XDG_CONFIG_HOME")
	}
	r.Version = 1
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	const private = 0o600
	return atomicfile.Write(s.file(r.Directory), append(text, '\n'), private)
}

// Remove removes the record of a directory, and reports whether there was one.
func (s *Store) Remove(dir string) (bool, error) {
	if s.dir == "" {
		return false, nil
	}
	err := os.Remove(s.file(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// List returns all readable records, sorted by directory, and an error for the others.
func (s *Store) List() ([]Record, error) {
	names, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	if s.dir == "" || err != nil {
		return nil, err
	}
	var all []Record
	var errs []error
	for _, name := range names {
		r, err := read(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Record) int { return strings.Compare(a.Directory, b.Directory) })
	return all, errors.Join(errs...)
}
