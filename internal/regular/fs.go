package regular

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenFlags are flags for open calls outside of this package that must not block on a named pipe,
// such as those of a library for lock files.
const OpenFlags = nonblock

// Check returns an *Error if name refers to a file that is not regular. A name without a file is not
// an error, because the file may be created.
func Check(name string) error {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return &Error{name, info.Mode()}
	}
	return nil
}

// FS returns a file system of the tree below dir. It opens directories and regular files only, and
// returns an *Error for others. Reading more than limit bytes of a file returns a *TooLargeError; 0
// means no limit.
func FS(dir string, limit int64) fs.FS { return tree{os.DirFS(dir), dir, limit} }

// tree implements fs.FS for FS.
type tree struct {
	fs.FS
	dir   string
	limit int64
}

// Open implements fs.FS.
func (t tree) Open(name string) (fs.File, error) {
	info, err := fs.Stat(t.FS, name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return t.FS.Open(name)
	}
	file, err := Open(filepath.Join(t.dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if t.limit == 0 {
		return file, nil
	}
	return &limited{File: file, name: name, left: t.limit, limit: t.limit}, nil
}

// Stat implements fs.StatFS.
func (t tree) Stat(name string) (fs.FileInfo, error) { return fs.Stat(t.FS, name) }

// ReadDir implements fs.ReadDirFS.
func (t tree) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(t.FS, name) }

// limited is a file with a limit for reading.
type limited struct {
	*os.File
	name        string
	left, limit int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		one := make([]byte, 1)
		if n, err := l.File.Read(one); n == 0 {
			return 0, err
		}
		return 0, &TooLargeError{l.name, l.limit}
	}
	n, err := l.File.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// WriteTo hides the method of the embedded file, which would bypass the limit.
func (l *limited) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{l})
}
