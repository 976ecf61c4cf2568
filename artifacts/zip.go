package artifacts

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// epoch is the time of all files in an archive: the earliest that the zip format can represent. The
// same files therefore result in the same archive.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Zip writes an archive of files below dir to a file that must not exist. The archive
// keeps their order and modes, stores links as links, and has constant times.
// An incomplete archive is removed. If the file system is full,
// the error is a *tree.NoSpaceError. The function each wraps the
// reader of a file, to count bytes or to stop with an error; it may be nil.
func Zip(file, dir string, files []tree.File, each func(io.Reader) io.Reader) error {
	if each == nil {
		each = func(file io.Reader) io.Reader { return file }
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	// The archive gets its name when it is complete.
	part := file + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = errors.Join(pack(out, root, files, each), out.Close())
	if err == nil {
		err = os.Rename(part, file)
	}
	if err == nil {
		return nil
	}
	err = errors.Join(err, os.Remove(part))
	if errors.Is(err, syscall.ENOSPC) {
		err = noRoom(file, root, files, err)
	}
	return fmt.Errorf("write %s: %w", file, err)
}

// noRoom returns the error for an archive that did not fit. Its size is known only after packing, so
// the error has the size of the files.
func noRoom(file string, root *os.Root, files []tree.File, err error) error {
	free, known := tree.FreeSpace(filepath.Dir(file))
	var need int64
	for _, f := range files {
		if info, err := root.Lstat(filepath.FromSlash(f.Path)); err == nil && info.Mode().IsRegular() {
			need += tree.Allocated(info)
		}
	}
	// Another file system may be full, or a quota exceeded.
	if !known || need <= free {
		return err
	}
	return &tree.NoSpaceError{Dir: filepath.Dir(file), What: "artifacts", Free: free, Need: need}
}

// pack writes the archive. The fastest compression is enough, because the archive stays on this
// host.
func pack(out io.Writer, root *os.Root, files []tree.File, each func(io.Reader) io.Reader) error {
	w := zip.NewWriter(out)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out,
			flate.BestSpeed)
	})
	for _, f := range files {
		if err := add(w, root, f, each); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return w.Close()
}

// add adds one file. Its size follows the data, because it is not known before.
func add(w *zip.Writer, root *os.Root, f tree.File, each func(io.Reader) io.Reader) error {
	h := &zip.FileHeader{Name: f.Path, Method: zip.Deflate, Modified: epoch}
	// The mode is that of the build, which the copy on disk need not have.
	h.SetMode(f.Mode)
	// CreateHeader marks names in UTF-8; others are written as they are.
	to, err := w.CreateHeader(h)
	if err != nil {
		return err
	}
	if f.Mode&fs.ModeSymlink != 0 {
		_, err := io.WriteString(to, f.Link)
		return err
	}
	from, err := regular.OpenIn(root, filepath.FromSlash(f.Path))
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.Copy(to, each(from))
	return err
}
