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
	"time"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// epoch is the time of all files in an archive: the first that a zip can say. So the
// same files make the same archive.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Zip writes an archive of files that stand below dir to a file that must not exist:
// in their order, with their modes, links as links, and times that are always the same.
// Nothing is left of one that could not be written whole.
func Zip(file, dir string, files []tree.File) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	part := file + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = errors.Join(pack(out, root, files), out.Close())
	if err == nil {
		err = os.Rename(part, file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(part))
	}
	return nil
}

func pack(out io.Writer, root *os.Root, files []tree.File) error {
	w := zip.NewWriter(out)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	for _, f := range files {
		if err := add(w, root, f); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return w.Close()
}

// add adds one file, whose size the archive learns behind it.
func add(w *zip.Writer, root *os.Root, f tree.File) error {
	h := &zip.FileHeader{Name: f.Path, Method: zip.Deflate, Modified: epoch}
	h.SetMode(f.Mode)
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
	_, err = io.Copy(to, from)
	return err
}
