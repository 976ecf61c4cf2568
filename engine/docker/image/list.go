package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
)

// Images returns the images that have a name, sorted by it. Those of relays and snapshots, which
// buildlocal creates for itself, are omitted.
func (st *Store) Images(ctx context.Context) ([]engine.Image, error) {
	listed, err := st.conn.API.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return nil, st.conn.Fault(conn.CauseOr(ctx, err), "list images")
	}
	var all []engine.Image
	for _, i := range listed {
		_, relay := i.Labels[conn.RelayLabel]
		if _, snapshot := i.Labels[conn.SnapshotLabel]; relay || snapshot {
			continue
		}
		for _, name := range i.RepoTags {
			if strings.HasPrefix(name, "<none>") {
				continue
			}
			all = append(all, engine.Image{
				Name: strings.TrimSuffix(name, ":latest"), ID: i.ID, Digest: digestOf(i.RepoDigests, name),
				Size: i.Size, Created: time.Unix(i.Created, 0),
			})
		}
	}
	slices.SortFunc(all, func(a, b engine.Image) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// RemoveImage removes a name of an image, and the image with its last name. The error for a
// name that does not exist wraps fs.ErrNotExist.
func (st *Store) RemoveImage(ctx context.Context, name string) error {
	_, err := st.conn.API.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true})
	if conn.IsNotFound(err) {
		return fmt.Errorf("image %s: %w", name, fs.ErrNotExist)
	}
	return st.conn.Fault(conn.CauseOr(ctx, err), "remove image "+name)
}

// ImageEnv returns the environment variables and the entrypoint of a local image. A Dockerfile that
// copies the files of an image has to repeat them.
func (st *Store) ImageEnv(ctx context.Context, id string) (env, entrypoint []string, err error) {
	got, err := st.conn.API.ImageInspect(ctx, id)
	if err != nil || got.Config == nil {
		return nil, nil, st.conn.Fault(err, "look at image "+id)
	}
	return got.Config.Env, got.Config.Entrypoint, nil
}

// ImageID returns the ID of the first spelling of an image that the engine has, or "" if it
// has none. Nothing is pulled.
func (st *Store) ImageID(ctx context.Context, names []string) (string, error) {
	for _, name := range names {
		got, err := st.conn.API.ImageInspect(ctx, name)
		switch {
		case err == nil:
			return got.ID, nil
		case !conn.IsNotFound(err):
			return "", st.conn.Fault(err, "look at image "+name)
		}
	}
	return "", nil
}

// maxImageFile bounds how much of a file ReadImageFile returns, in bytes.
const maxImageFile = 1 << 20

// ReadImageFile returns a file of a local image without running anything. The API reads
// files of containers only, so it creates one with the given labels, and removes it. The
// error for a missing file wraps fs.ErrNotExist.
func (st *Store) ReadImageFile(
	ctx context.Context,
	id, file string,
	labels map[string]string,
) (text []byte, err error) {
	made, err := st.conn.API.ContainerCreate(ctx,
		&container.Config{Image: id, Labels: labels, Entrypoint: []string{"none"}},
		&container.HostConfig{NetworkMode: "none"}, nil, nil, "")
	if err != nil {
		return nil, st.conn.Fault(err, "look into image "+id)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), conn.CleanupTimeout)
		defer cancel()
		err = errors.Join(err, st.conn.RemoveContainer(ctx, made.ID))
	}()
	stream, err := st.conn.CopyOut(ctx, made.ID, file)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	r := tar.NewReader(stream)
	header, err := r.Next()
	if err != nil {
		return nil, st.conn.Fault(conn.CauseOr(ctx, err), "look into image "+id)
	}
	if header.Typeflag != tar.TypeReg {
		return nil, fmt.Errorf("read %s of the image: %w", file, fs.ErrNotExist)
	}
	return io.ReadAll(io.LimitReader(r, maxImageFile))
}
