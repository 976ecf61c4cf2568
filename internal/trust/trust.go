// Package trust remembers which files of which source directories the user
// trusts, by their contents: a file that has changed is not trusted any more.
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

// Record is one trusted source directory.
type Record struct {
	Version   int               `json:"version"` // 1
	Directory string            `json:"directory"`
	Trusted   time.Time         `json:"trusted"`
	Files     map[string]string `json:"files"`  // name below the directory to SHA-256, in hex
	Allows    []string          `json:"allows"` // what the user agreed to, a line each
}

// Sum returns the SHA-256 of a file's contents, in hex, as Record has it.
func Sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Covers reports whether the record is for exactly these files.
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

// Store keeps records, each in a file of its own below a directory of the user's.
type Store struct{ dir string }

// Open returns the store in a directory, which need not exist. Without a directory
// nothing is trusted, and Add is an error.
func Open(dir string) *Store { return &Store{dir} }

// maxRecord is how many bytes a record may have.
const maxRecord = 1 << 20

func (s *Store) file(dir string) string { return filepath.Join(s.dir, Sum([]byte(dir))+".json") }

// Find returns the record of a directory, an absolute path without links, and
// whether there is one.
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

func read(name string) (Record, error) {
	var r Record
	text, err := regular.Read(name, maxRecord)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil || r.Version != 1 {
		return r, fmt.Errorf("%s is not a record of trust; remove it", name)
	}
	return r, nil
}

// Add replaces the record of a directory.
func (s *Store) Add(r Record) error {
	if s.dir == "" {
		return errors.New("there is no home directory to remember it in; set XDG_CONFIG_HOME")
	}
	r.Version = 1
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	const private = 0o600
	return atomicfile.Write(s.file(r.Directory), append(text, '\n'), private)
}

// Remove forgets a directory, and reports whether it was known.
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

// List returns all records, sorted by directory, and an error for those that
// cannot be read.
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
