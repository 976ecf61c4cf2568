package docker

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

// CopyIn unpacks a tar stream below dir. See engine.Container.
func (c *Container) CopyIn(ctx context.Context, dir string, stream io.Reader) error {
	r, w := io.Pipe()
	go func() {
		err := renameEntries(stream, w, func(name string) (string, error) { return joinBelow(dir, name) })
		if err != nil {
			err = &streamError{err}
		}
		w.CloseWithError(err)
	}()
	defer r.Close()
	err := causeOr(ctx, c.engine.api.CopyToContainer(ctx, c.id, "/", r, container.CopyToContainerOptions{}))
	var broken *streamError
	if errors.As(err, &broken) {
		return fmt.Errorf("copy into %s: %w", dir, broken.error)
	}
	return c.engine.fault(err, "copy into "+dir)
}

// streamError is an error of a stream to copy, which is no fault of the engine.
type streamError struct{ error }

// below returns name as seen from the root when it stands below dir.
func joinBelow(dir, name string) (string, error) {
	clean := path.Clean("/" + name)
	if path.IsAbs(name) || strings.HasPrefix(path.Clean(name)+"/", "../") {
		return "", fmt.Errorf("the name %q leaves the directory", name)
	}
	return strings.TrimPrefix(path.Join(dir, clean), "/"), nil
}

// CopyOut returns what stands at file as a tar stream. See engine.Container.
func (c *Container) CopyOut(ctx context.Context, file string) (io.ReadCloser, error) {
	for range 40 { // as many links as the kernel follows
		stream, stat, err := c.engine.api.CopyFromContainer(ctx, c.id, file)
		if isNotFound(err) {
			return nil, fmt.Errorf("copy out %s: %w", file, fs.ErrNotExist)
		}
		if err != nil {
			return nil, c.engine.fault(causeOr(ctx, err), "copy out "+file)
		}
		if stat.Mode&fs.ModeSymlink == 0 {
			return stripTopDir(stream, stat.Mode.IsDir()), nil
		}
		stream.Close()
		file = stat.LinkTarget
		if !path.IsAbs(file) {
			file = path.Join(path.Dir(file), stat.LinkTarget)
		}
	}
	return nil, fmt.Errorf("copy out %s: too many links", file)
}

// relative takes the directory's own name off the names of a stream.
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

// rename copies a tar stream with other names; targets of hard links are names too.
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
		if h.Typeflag == tar.TypeDir && !strings.HasSuffix(h.Name, "/") { // as podman sends it
			h.Name += "/"
		}
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}

var _ engine.Container = (*Container)(nil)
