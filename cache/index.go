package cache

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/go-units"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// File is one file, directory or link of an entry.
type File struct {
	Name     string // slash-separated; begins with src or root
	Kind     byte   // as a tar stream has it: tar.TypeReg, TypeDir, TypeSymlink or TypeLink
	Mode     int64  // permissions, and the bits for setuid, setgid and sticky, as a tar stream has them
	UID, GID int
	Size     int64  // bytes
	Time     int64  // of its content's last change, nanoseconds since 1970
	Link     string // where a symbolic link leads, or the name of the file of a hard link
}

// FileOf is a file as an entry of a tar stream says it.
func FileOf(h *tar.Header) File {
	const bits = 0o7777
	return File{
		Name: h.Name, Kind: h.Typeflag, Mode: h.Mode & bits, UID: h.Uid, GID: h.Gid, Size: h.Size, Time: h.ModTime.UnixNano(), Link: h.Linkname,
	}
}

// Header is the file as an entry of a tar stream; only a regular file has a size there.
func (f File) Header() *tar.Header {
	h := &tar.Header{
		Name: f.Name, Typeflag: f.Kind, Mode: f.Mode, Uid: f.UID, Gid: f.GID, ModTime: time.Unix(0, f.Time), Linkname: f.Link, Format: tar.FormatPAX,
	}
	if f.Kind == tar.TypeReg {
		h.Size = f.Size
	}
	return h
}

// indexName is the list of an entry's files, and entryName what is said of it all.
const (
	indexName = "index"
	entryName = "entry.json"
	usedName  = "used.json"
	lockName  = "lock"
)

// writeIndex writes the list of files and returns its hash.
func writeIndex(dir string, files []File) (string, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(files); err != nil {
		return "", err
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:]), os.WriteFile(filepath.Join(dir, indexName), b.Bytes(), 0o600)
}

// readIndex reads a list of files that has this hash.
func readIndex(dir, hash string) ([]File, error) {
	text, err := regular.Read(filepath.Join(dir, indexName), maxIndex)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("%w: its list of files has changed", ErrBroken)
	}
	var files []File
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&files); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return files, validList(files)
}

// validList returns an error unless each name stays below the entry's directory and
// stands in a directory of the list: what check has looked at cannot lead elsewhere.
func validList(files []File) error {
	dirs := map[string]bool{".": true}
	for _, f := range files {
		if f.Kind == tar.TypeDir {
			dirs[f.Name] = true
		}
	}
	for _, f := range files {
		if !valid(f.Name) || !dirs[path.Dir(f.Name)] || f.Kind == tar.TypeLink && !valid(f.Link) {
			return fmt.Errorf("%w: its list of files has the name %q", ErrBroken, f.Name)
		}
	}
	return nil
}

// maxCheckers is how many files of an entry are looked at at once.
const maxCheckers = 4

// check looks whether all files of an entry are there as they were saved; their
// content is not read.
func (e *Entry) check() error {
	var group sync.WaitGroup
	errs := make([]error, maxCheckers)
	share := len(e.list)/maxCheckers + 1
	for i := range maxCheckers {
		group.Go(func() { errs[i] = checkFiles(e.dir, e.list[min(i*share, len(e.list)):min((i+1)*share, len(e.list))]) })
	}
	group.Wait()
	for _, err := range errs { // one is enough to tell
		if err != nil {
			return err
		}
	}
	return nil
}

func checkFiles(dir string, files []File) error {
	for _, f := range files {
		info, err := os.Lstat(dir + "/" + f.Name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
		switch {
		case f.Kind == tar.TypeDir && !info.IsDir(),
			f.Kind == tar.TypeSymlink && info.Mode()&os.ModeSymlink == 0,
			f.Kind == tar.TypeReg && !info.Mode().IsRegular():
			return fmt.Errorf("%w: %s is something else now", ErrBroken, f.Name)
		case f.Kind == tar.TypeReg && (info.Size() != f.Size || info.ModTime().UnixNano() != f.Time):
			return fmt.Errorf("%w: %s has changed", ErrBroken, f.Name)
		}
	}
	return nil
}

// List returns what is in an entry that was found; its names are sorted, so that a
// directory comes before what is in it.
func (e *Entry) List() []File { return e.list }

// Exact reports whether the host's directory has the files with the owners and modes they
// have inside, where its own user is root there.
func (e *Entry) Exact() bool {
	if os.Geteuid() == 0 {
		return true
	}
	for _, f := range e.list {
		if f.UID != 0 || f.GID != 0 || f.Mode&0o7000 != 0 || f.Mode&0o400 == 0 || f.Kind == tar.TypeDir && f.Mode&0o100 == 0 {
			return false
		}
	}
	return true
}

// String says how much an entry is, for a person.
func (e *Entry) String() string {
	if e.Packed {
		return units.HumanSizeWithPrecision(float64(e.Size), 3) + " packed"
	}
	noun := "files"
	if e.Files == 1 {
		noun = "file"
	}
	return fmt.Sprintf("%d %s, %s", e.Files, noun, units.HumanSizeWithPrecision(float64(e.Size), 3))
}

// Dir is the directory of the host that has the files of an entry, under their names;
// empty where the store has none.
func (e *Entry) Dir() string { return e.dir }
