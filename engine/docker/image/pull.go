package image

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/api/types/system"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// pull pulls an image and reports the progress of its layers.
func (st *Store) pull(ctx context.Context, name string, s engine.Spec) error {
	doing := "pull " + name
	auth, err := st.registryAuth(name)
	if err != nil {
		return &engine.Fault{Kind: engine.NoImage, Err: err, Message: fmt.Sprintf("%s: %v", doing, err),
			Hint: "Check the name of the image, REGISTRY/NAME:TAG, and the credential helper of the docker configuration."}
	}
	if err := st.CheckSpace(ctx, name, s); err != nil {
		return err
	}
	stream, err := st.conn.API.ImagePull(ctx, name, image.PullOptions{RegistryAuth: auth, Platform: s.Image.Platform})
	if err != nil {
		return st.pullFault(err, doing)
	}
	defer stream.Close()
	return st.pullFault(conn.ReadProgress(stream, name, s.Hooks.ReportProgress), doing)
}

// pullFault returns a fault for every error of a pull: those that the engine's text does
// not classify are most likely about the registry.
func (st *Store) pullFault(err error, doing string) error {
	fault := st.conn.Fault(err, doing)
	switch {
	case err == nil || conn.IsFault(fault):
		return fault
	case conn.IsNotFound(err):
		return &engine.Fault{Kind: engine.NoImage, Err: err, Message: doing + ": " + conn.TrimDaemonPrefix(err.Error()),
			Hint: "Check the name, or run docker login: the image does not exist or requires a login."}
	}
	return &engine.Fault{Kind: engine.NoRegistry, Err: err, Message: doing + ": " + conn.TrimDaemonPrefix(err.Error()),
		Hint: "Try again, and try docker pull: the registry, or the connection to it, does not work."}
}

// registryAuth returns the login for the registry of an image, encoded for the engine,
// from the docker configuration and its credential helpers.
func (st *Store) registryAuth(name string) (string, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", err
	}
	a, err := st.conn.Config().GetAuthConfig(conn.AuthKey(reference.Domain(ref)))
	if err != nil {
		return "", err
	}
	return registry.EncodeAuthConfig(registry.AuthConfig{
		Username: a.Username, Password: a.Password, Auth: a.Auth,
		ServerAddress: a.ServerAddress, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken,
	})
}

// maxMeasureTime bounds how long a pull waits for the size of the image.
const maxMeasureTime = 5 * time.Second

// CheckSpace reports the size of an image before it is pulled, and returns a fault if the
// engine's disk has not enough space for it.
//
// The size includes layers that the engine has already, because it does not say which those
// are. If it has another image of the repository, which probably shares layers, nothing is
// refused; neither is if the size or the space is unknown.
func (st *Store) CheckSpace(ctx context.Context, name string, s engine.Spec) error {
	if st.measure == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxMeasureTime)
	defer cancel()
	info, err := st.conn.API.Info(ctx)
	if err != nil {
		return nil
	}
	native, err := st.conn.Native(ctx)
	if err != nil {
		return nil
	}
	wanted, have := cmp.Or(s.Image.Platform, native), ""
	older, missing := st.conn.API.ImageInspect(ctx, name)
	if missing == nil && platformMatches(platformOf(older), wanted) {
		have = digestOf(older.RepoDigests, name)
	}
	// An unknown size must not prevent a pull, so errors are ignored.
	size, err := st.measure(ctx, name, wanted, have)
	if err != nil || have != "" && size.Digest == have { // up to date: the pull transfers nothing
		return nil
	}
	free, known := int64(0), false
	if st.conn.CheckSharedFiles() == nil && !usesContainerd(info) {
		free, known = tree.FreeSpace(info.DockerRootDir)
	}
	known = known && missing != nil && !st.hasRepository(ctx, name)
	s.Hooks.ReportProgress(
		engine.Progress{Image: name, Status: engine.Sized, Total: size.Download, Disk: size.Disk, Free: free},
	)
	if !known {
		return nil
	}
	return size.CheckSpace(name, info.DockerRootDir, free)
}

// usesContainerd reports whether images are in containerd's store. The engine does not say
// in which directory that is.
func usesContainerd(info system.Info) bool {
	return slices.ContainsFunc(info.DriverStatus, func(s [2]string) bool {
		return strings.HasPrefix(s[1], "io.containerd.snapshotter")
	})
}

// hasRepository reports whether the engine has, or may have, an image of the same
// repository.
func (st *Store) hasRepository(ctx context.Context, name string) bool {
	others, err := st.conn.API.ImageList(ctx, image.ListOptions{
		Filters: filters.NewArgs(filters.Arg("reference", engine.Repository(name))),
	})
	return err != nil || len(others) > 0
}
