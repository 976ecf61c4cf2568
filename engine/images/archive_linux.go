package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/gzip"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// archiveManifest returns the list of images in an archive. The library reads the manifest
// and the configurations into memory, so their sizes are checked first.
func archiveManifest(open tarball.Opener) (tarball.Manifest, error) {
	// Two passes, because the manifest names the configurations. A pass is cheap: it seeks from
	// header to header, unless the archive is compressed.
	if err := checkSizes(open, func(name string) bool { return name == "manifest.json" }); err != nil {
		return nil, err
	}
	manifest, err := tarball.LoadManifest(open)
	// The library reports any other file as a missing manifest.json, which says little about
	// what the file is.
	var unreadable *fs.PathError
	if errors.As(err, &unreadable) || isStopped(err) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: an archive of docker save has a manifest.json", err)
	}
	configs := map[string]bool{}
	for _, d := range manifest {
		configs[d.Config] = true
	}
	return manifest, checkSizes(open, func(name string) bool { return configs[name] })
}

// checkSizes returns an error if one of the chosen files of an archive is larger than
// maxDocument.
//
// The archive is a file of the user, but possibly a downloaded one: the size in a header costs
// its author nothing.
func checkSizes(open tarball.Opener, chosen func(name string) bool) error {
	archive, err := open()
	if err != nil {
		return err
	}
	defer archive.Close()
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		switch {
		case isStopped(err):
			return err
		case err != nil:
			return nil // the end, or an error that the library reports
		case chosen(h.Name) && h.Size > maxDocument:
			return &regular.TooLargeError{Name: h.Name, Limit: maxDocument}
		}
	}
}

// openArchive opens an archive and decompresses it. Reading it ends with ctx.
func openArchive(ctx context.Context, name string) (io.ReadCloser, error) {
	file, err := openWithContext(ctx, name)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 2)
	// ReadAt leaves the position of the file at its beginning. A file that is too short is left
	// to the reader of the archive.
	if _, err := file.ReadAt(head, 0); err != nil || !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return file, nil
	}
	z, err := gzip.NewReader(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &unzipped{z, file}, nil
}

// unzipped closes the file with the stream.
type unzipped struct {
	*gzip.Reader
	file io.Closer
}

// Close closes both.
func (u *unzipped) Close() error { return errors.Join(u.Reader.Close(), u.file.Close()) }

// contextReader is a file that can be read until its context ends. It remains an *os.File for
// its Seek: package tar skips layers with it that it would read otherwise.
type contextReader struct {
	*os.File
	ctx context.Context
}

// Read implements io.Reader.
func (u *contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(u.ctx); err != nil {
		return 0, &stoppedError{err}
	}
	return u.File.Read(p)
}

// WriteTo hides the method of the embedded file, which would ignore ctx.
func (u *contextReader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{u})
}

// stoppedError is the cause of a context that ended while a file was being read. Without a type
// of its own, it could not be distinguished from an error of the archive, which the library
// reports in its own words.
type stoppedError struct{ error }

// Unwrap returns the cause.
func (s *stoppedError) Unwrap() error { return s.error }

func isStopped(err error) bool {
	var stopped *stoppedError
	return errors.As(err, &stopped)
}
