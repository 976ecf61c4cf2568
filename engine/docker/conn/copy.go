package conn

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/buildlocal/buildlocal/engine"
)

// CopyIn unpacks a tar stream below dir in a container. See engine.Container.
//
// The engine requires that the target exists, so the stream is unpacked at the root, with
// dir in front of every name. That creates missing parents.
func (e *Engine) CopyIn(ctx context.Context, id, dir string, stream io.Reader) error {
	r, w := io.Pipe()
	go func() {
		err := renameEntries(stream, w, func(name string) (string, error) { return joinBelow(dir, name) })
		if err != nil {
			err = &streamError{err}
		}
		w.CloseWithError(err)
	}()
	defer r.Close()
	err := CauseOr(ctx, e.API.CopyToContainer(ctx, id, "/", r, container.CopyToContainerOptions{}))
	// The engine sees a stream that breaks off, and reports an error of its own for that.
	var broken *streamError
	if errors.As(err, &broken) {
		return fmt.Errorf("copy into %s: %w", dir, broken.error)
	}
	return e.Fault(err, "copy into "+dir)
}

// streamError marks an error of the caller's stream. The client returns it wrapped, and it
// must not be reported as an error of the engine.
type streamError struct{ error }

// joinBelow joins dir and name, which must not leave dir. The result is relative to the
// root.
func joinBelow(dir, name string) (string, error) {
	clean := path.Clean("/" + name)
	if path.IsAbs(name) || strings.HasPrefix(path.Clean(name)+"/", "../") {
		return "", fmt.Errorf("the name %q leaves the directory", name)
	}
	return strings.TrimPrefix(path.Join(dir, clean), "/"), nil
}

// maxLinks is how many symbolic links Linux follows in one path.
const maxLinks = 40

// CopyOut returns a file or directory of a container as a tar stream. See
// engine.Container. The engine does not follow a link at the end of the path, so this
// does.
func (e *Engine) CopyOut(ctx context.Context, id, file string) (io.ReadCloser, error) {
	for range maxLinks {
		stream, stat, err := e.API.CopyFromContainer(ctx, id, file)
		if IsNotFound(err) {
			if _, gone := e.API.ContainerInspect(ctx, id); IsNotFound(gone) { // not only the file
				return nil, engine.Removed()
			}
			return nil, fmt.Errorf("copy out %s: %w", file, fs.ErrNotExist)
		}
		if err != nil {
			return nil, e.Fault(CauseOr(ctx, err), "copy out "+file)
		}
		if stat.Mode&fs.ModeSymlink == 0 {
			return stripTopDir(stream, stat.Mode.IsDir()), nil
		}
		stream.Close()
		target := stat.LinkTarget // engines resolve it to an absolute path, but do not promise to
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(file), target)
		}
		file = target
	}
	return nil, fmt.Errorf("copy out %s: too many links", file)
}

// stripTopDir removes the name of the directory itself from the names of a stream, as the
// contract requires.
func stripTopDir(stream io.ReadCloser, dir bool) io.ReadCloser {
	if !dir {
		return stream
	}
	r, w := io.Pipe()
	go func() {
		defer stream.Close()
		w.CloseWithError(renameEntries(stream, w, func(name string) (string, error) {
			_, rest, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
			return "./" + rest, nil
		}))
	}()
	return r
}

// renameEntries copies a tar stream and renames its entries, and the targets of hard
// links, which are names of other entries.
func renameEntries(from io.Reader, to io.Writer, name func(string) (string, error)) error {
	r, w := tar.NewReader(from), tar.NewWriter(to)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return w.Close()
		}
		if err != nil {
			return err
		}
		if h.Name, err = name(h.Name); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeLink {
			if h.Linkname, err = name(h.Linkname); err != nil {
				return err
			}
		}
		if h.Typeflag == tar.TypeDir && !strings.HasSuffix(h.Name, "/") { // Podman omits the slash
			h.Name += "/"
		}
		h.Format = tar.FormatPAX // names and times of any length
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}
