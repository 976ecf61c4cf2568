package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/snapshots"
)

// SnapshotRemover removes snapshots of all engines.
type SnapshotRemover struct {
	host   *Host
	store  snapshots.Store
	docker *docker.Engine // nil if it cannot be reached
	err    error          // of connecting to it
}

// NewSnapshotRemover returns a remover. The caller closes it.
func (h *Host) NewSnapshotRemover(ctx context.Context) *SnapshotRemover {
	r := &SnapshotRemover{host: h, store: h.Snapshots()}
	r.docker, r.err = h.Docker(ctx)
	return r
}

// Close closes the connection to the engine.
func (r *SnapshotRemover) Close() error {
	if r.docker == nil {
		return nil
	}
	return r.docker.Close()
}

// Remove removes a snapshot. The error is snapshots.ErrInUse if a build uses it, also one that failed
// and can go on.
func (r *SnapshotRemover) Remove(ctx context.Context, s *snapshots.Snapshot) error {
	if slices.Contains(r.host.neededSnapshots(), s.ID()) {
		return snapshots.ErrInUse
	}
	if s.Engine == string(EngineDocker) {
		switch {
		case r.err != nil:
			return r.err
		case r.docker.Host() != s.Host:
			return errors.New("it is on the engine at " + s.Host + "\nSelect that one with DOCKER_HOST or a Docker context")
		}
	}
	return r.store.Remove(s.ID(), func(dir string) error { return r.removeFiles(ctx, dir) })
}

// removeFiles removes the files of a snapshot, whichever engine has made it.
func (r *SnapshotRemover) removeFiles(ctx context.Context, dir string) error {
	if r.docker != nil {
		if err := r.docker.RemoveSnapshot(ctx, dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return r.host.Sandbox(sandbox.Images).RemoveSnapshot(ctx, dir)
}

// Clean removes the remains of snapshots that were not completed, or not removed completely, and
// returns how many there were.
func (r *SnapshotRemover) Clean(ctx context.Context) (int, error) {
	var errs []error
	ids := r.store.Incomplete()
	for _, id := range ids {
		errs = append(errs, r.store.Remove(id, func(dir string) error { return r.removeFiles(ctx, dir) }))
	}
	return len(ids), errors.Join(errs...)
}

// isSnapshot reports whether a directory of the label LabelSnapshot has a snapshot, or one is being taken
// there. It may be the cache directory of another environment of the same user.
func isSnapshot(dir string) bool {
	store, name := filepath.Split(dir)
	for _, prefix := range []string{"", "new-"} {
		if _, err := os.Lstat(filepath.Join(store, prefix+name)); err == nil {
			return true
		}
	}
	return false
}
