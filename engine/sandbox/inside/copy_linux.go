package inside

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/buildlocal/buildlocal/internal/untar"
)

// copy packs or unpacks a tree, and responds when it is done. Before it packs, it reports
// that the path exists, so that the client can return an error or a stream.
func (s *server) copy(r Request, stream *os.File) {
	if r.Op == Unpack {
		err := unpack(r.Path, stream)
		stream.Close()
		s.done(r.ID, err)
		return
	}
	name, err := filepath.EvalSymlinks(r.Path)
	if err != nil {
		stream.Close()
		s.fault(r.ID, err)
		return
	}
	s.send(Response{ID: r.ID})
	w := bufio.NewWriterSize(stream, 1<<20)
	err = errors.Join(pack(name, w), w.Flush())
	stream.Close()
	s.done(r.ID, err)
}

// unpack unpacks a tar stream below dir, which is created.
func unpack(dir string, from io.Reader) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return untar.Unpack(dir, from, untar.Unpacking{Owners: true, Strict: true})
}

// pack writes a directory as "./" and its content, or a file as one entry. Commands of the
// build may still run, so files can change or disappear at any time.
func pack(name string, to io.Writer) error {
	w := tar.NewWriter(to)
	linked := map[[2]uint64]string{} // device and inode → name of the first hard link
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.Join(packOne(w, name, filepath.Base(name), info, linked), w.Close())
	}
	err = filepath.WalkDir(name, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed in the meantime
		}
		if err != nil {
			return err
		}
		switch file {
		case "/proc", "/sys", "/dev":
			if file != name { // below /: files of the kernel, without an end
				return fs.SkipDir
			}
		}
		info, err := d.Info()
		if err != nil {
			return nil // removed after its directory was read
		}
		rel, err := filepath.Rel(name, file)
		if err != nil {
			return err
		}
		if rel == "." {
			rel = ""
		}
		return packOne(w, file, "./"+rel, info, linked)
	})
	return errors.Join(err, w.Close())
}

// packOne writes the entry of one file. Sockets and devices are skipped, because they are of
// no use outside the sandbox.
func packOne(w *tar.Writer, file, name string, info fs.FileInfo, linked map[[2]uint64]string) error {
	if info.Mode()&(fs.ModeSocket|fs.ModeDevice) != 0 {
		return nil
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(file); errors.Is(err, fs.ErrNotExist) {
			return nil // removed in the meantime
		}
		if err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	// User names would be those of the sandbox and mean something else on the host. PAX keeps
	// nanoseconds of mtime, which caches compare.
	h.Name, h.Format, h.Uname, h.Gname = name, tar.FormatPAX, "", ""
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	if info.IsDir() && !strings.HasSuffix(h.Name, "/") {
		h.Name += "/"
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 && info.Mode().IsRegular() {
		key := [2]uint64{uint64(stat.Dev), stat.Ino}
		if first, seen := linked[key]; seen {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return w.WriteHeader(h)
		}
		linked[key] = name
	}
	if !info.Mode().IsRegular() {
		return w.WriteHeader(h)
	}
	text, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer text.Close()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	// The size is in the header already: a file that grows is cut, and one that shrinks filled.
	n, err := io.Copy(w, io.LimitReader(text, h.Size))
	if err == nil && n < h.Size { // it was truncated in the meantime
		_, err = io.CopyN(w, zeros{}, h.Size-n)
	}
	return err
}

// zeros replaces the part that a file lost while it was being read, since its size is already
// written.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
