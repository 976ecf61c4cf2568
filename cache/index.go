package cache

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/regular"
)

// File is one file, directory or link of an entry.
type File struct {
	Name     string // slash-separated; begins with Source or Root
	Kind     byte   // tar.TypeReg, TypeDir, TypeSymlink or TypeLink
	Mode     int64  // permissions, setuid, setgid and sticky, as in a tar stream
	UID, GID int
	Size     int64  // bytes
	Time     int64  // of the last change of its content, nanoseconds since 1970
	Link     string // target of a symbolic link, or name of the file of a hard link
}

// FileOf returns the file of a tar header.
func FileOf(h *tar.Header) File {
	const bits = 0o7777
	return File{
		Name: h.Name, Kind: h.Typeflag, Mode: h.Mode & bits, UID: h.Uid, GID: h.Gid,
		Size: h.Size, Time: h.ModTime.UnixNano(), Link: h.Linkname,
	}
}

// Header returns the tar header of a file. Only a regular file has a size in it.
func (f File) Header() *tar.Header {
	h := &tar.Header{
		Name: f.Name, Typeflag: f.Kind, Mode: f.Mode, Uid: f.UID, Gid: f.GID,
		ModTime: time.Unix(0, f.Time), Linkname: f.Link, Format: tar.FormatPAX,
	}
	if f.Kind == tar.TypeReg {
		h.Size = f.Size
	}
	return h
}

// Files in the directory of an entry, next to the cached files.
const (
	indexName = "index"      // the list of files
	entryName = "entry.json" // the Entry
	usedName  = "used.json"  // the time of the last restore, which changes
	lockName  = "lock"
)

// writeIndex writes the list of files and returns its SHA-256. The list is separate from
// entry.json, because choosing an entry reads only the latter. Neither is synchronized to the disk:
// after a power failure the hash or the sizes do not match, and the entry is a miss.
func writeIndex(dir string, files []File) (string, error) {
	text := encodeList(files)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), os.WriteFile(filepath.Join(dir, indexName), text, 0o600)
}

// readIndex reads a list of files, which must have this hash.
func readIndex(dir, hash string) ([]File, error) {
	text, err := regular.Read(filepath.Join(dir, indexName), maxIndex)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("%w: its list of files was changed", ErrBroken)
	}
	files, err := decodeList(text)
	if err != nil {
		return nil, err
	}
	return files, validList(files)
}

// validList returns an error unless each name is below the entry's directory and its
// parent is a directory of the list. So no link of the entry can be the parent of a name.
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

// maxCheckers is the number of files that are checked concurrently.
const maxCheckers = 4

// check returns an error that wraps ErrBroken unless all files of an entry exist with
// their type, size and time. It does not read their content: that would take longer than
// the restore, which mounts them.
func (e *Entry) check() error {
	var group sync.WaitGroup
	errs := make([]error, maxCheckers)
	share := len(e.list)/maxCheckers + 1
	for i := range maxCheckers {
		part := e.list[min(i*share, len(e.list)):min((i+1)*share, len(e.list))]
		group.Go(func() { errs[i] = checkFiles(e.dir, part) })
	}
	group.Wait()
	for _, err := range errs { // the first is enough for a message
		if err != nil {
			return err
		}
	}
	return nil
}

func checkFiles(dir string, files []File) error {
	for _, f := range files {
		info, err := os.Lstat(dir + "/" + f.Name) // the name is clean, so Join would only cost time
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
		switch {
		case f.Kind == tar.TypeDir && !info.IsDir(),
			f.Kind == tar.TypeSymlink && info.Mode()&os.ModeSymlink == 0,
			f.Kind == tar.TypeReg && !info.Mode().IsRegular():
			return fmt.Errorf("%w: %s has another type", ErrBroken, f.Name)
		case f.Kind == tar.TypeReg && (info.Size() != f.Size || info.ModTime().UnixNano() != f.Time):
			return fmt.Errorf("%w: %s has changed", ErrBroken, f.Name)
		}
	}
	return nil
}

// List returns the files of an entry from Find, sorted by name: a directory comes before
// its content. The caller must not change it.
func (e *Entry) List() []File { return e.list }

// Exact reports whether the files in Dir have the owners and modes of the container if the
// user of this program is mapped to root there.
func (e *Entry) Exact() bool {
	if os.Geteuid() == 0 {
		return true
	}
	for _, f := range e.list {
		changed := f.Mode&0o7000 != 0 || f.Mode&0o400 == 0 || f.Kind == tar.TypeDir && f.Mode&0o100 == 0
		if f.UID != 0 || f.GID != 0 || changed { // see writer.mode
			return false
		}
	}
	return true
}

// String returns the number and size of an entry's files.
func (e *Entry) String() string {
	if e.Packed {
		return human.Bytes(e.Size) + " packed"
	}
	noun := "files"
	if e.Files == 1 {
		noun = "file"
	}
	return fmt.Sprintf("%d %s, %s", e.Files, noun, human.Bytes(e.Size))
}

// Dir returns the directory of the host that has the files of an entry, or "" if the store
// does not keep them as files.
func (e *Entry) Dir() string { return e.dir }
