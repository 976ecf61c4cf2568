package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/docker/docker/api/types/container"
)

// ImageID returns the ID of the first of the spellings of an image that is at
// the engine, or "" where none is. Nothing is pulled.
func (e *Engine) ImageID(ctx context.Context, names []string) (string, error) {
	for _, name := range names {
		got, err := e.api.ImageInspect(ctx, name)
		switch {
		case err == nil:
			return got.ID, nil
		case !isNotFound(err):
			return "", e.fault(err, "look at image "+name)
		}
	}
	return "", nil
}

// imageFileLimit is how large a file of an image may be that is read, in bytes.
const maxImageFile = 1 << 20

// ReadImageFile returns a file of an image that is at the engine, without
// starting anything; the error wraps fs.ErrNotExist where there is none. The
// container it needs for that carries labels and is removed.
func (e *Engine) ReadImageFile(ctx context.Context, id, file string, labels map[string]string) (text []byte, err error) {
	made, err := e.api.ContainerCreate(ctx, &container.Config{Image: id, Labels: labels, Entrypoint: []string{"none"}}, &container.HostConfig{NetworkMode: "none"}, nil, nil, "")
	if err != nil {
		return nil, e.fault(err, "look into image "+id)
	}
	c := &Container{engine: e, id: made.ID}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		err = errors.Join(err, e.removeContainer(ctx, made.ID))
	}()
	stream, err := c.CopyOut(ctx, file)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	r := tar.NewReader(stream)
	header, err := r.Next()
	if err != nil {
		return nil, e.fault(causeOr(ctx, err), "look into image "+id)
	}
	if header.Typeflag != tar.TypeReg {
		return nil, fmt.Errorf("read %s of the image: %w", file, fs.ErrNotExist)
	}
	return io.ReadAll(io.LimitReader(r, maxImageFile))
}
