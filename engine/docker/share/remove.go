package share

import (
	"context"
	"errors"
	"slices"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker/conn"
)

// filter selects everything that was created at the socket and can have labels.
func (s *Socket) filter() filters.Args { return filters.NewArgs(filters.Arg("label", s.label)) }

// RemoveContainers closes the socket and removes the containers that were created at it.
func (s *Socket) RemoveContainers(ctx context.Context) error {
	if s == nil {
		return nil
	}
	if s.proxy != nil {
		s.proxy.Close(ctx)
		s.unwatch()
	}
	_ = s.listener.Close()
	made, err := s.conn.API.ContainerList(ctx, container.ListOptions{All: true, Filters: s.filter()})
	if err != nil {
		return s.conn.Fault(err, "list the build's containers")
	}
	errs := make([]error, len(made))
	var group sync.WaitGroup
	for i, m := range made {
		group.Go(func() { errs[i] = s.conn.RemoveContainer(ctx, m.ID) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// RemoveResources removes the networks, volumes and images that were created at the socket.
// It must be called when no container uses them any more: after RemoveContainers and the
// removal of the build's container.
func (s *Socket) RemoveResources(ctx context.Context) error {
	if s == nil {
		return nil
	}
	var errs []error
	// One failure does not stop the others: each resource that is removed is one less to find later.
	networks, err := s.conn.API.NetworkList(ctx, network.ListOptions{Filters: s.filter()})
	errs = append(errs, s.conn.Fault(err, "list networks"))
	for _, n := range networks {
		errs = append(errs, s.conn.Remove(ctx, engine.Resource{Kind: conn.KindNetwork, ID: n.ID, Name: n.Name}))
	}
	volumes, err := s.conn.Volumes(ctx, s.filter())
	errs = append(errs, err)
	for _, v := range volumes {
		if v.Labels[InsideLabel] != "" {
			errs = append(errs, s.conn.Remove(ctx, v))
		}
	}
	errs = append(errs, s.restoreNames(ctx))
	images, err := s.conn.API.ImageList(ctx, image.ListOptions{Filters: s.filter()})
	errs = append(errs, s.conn.Fault(err, "list images"))
	for _, i := range images {
		errs = append(errs, s.conn.Remove(ctx, engine.Resource{Kind: conn.KindImage, ID: i.ID, Name: i.ID}))
	}
	errs = append(errs, s.removeUntagged(ctx))
	return errors.Join(errs...)
}

// removeUntagged removes images without a name that the build created. Images that were
// built by BuildKit or loaded have no labels, so the proxy has recorded their IDs.
func (s *Socket) removeUntagged(ctx context.Context) error {
	if s.proxy == nil || s.spec.Network.Socket.KeepImages {
		return nil
	}
	var errs []error
	for _, id := range s.proxy.Made() {
		// An image that has a name by now, or that existed before the build, is not the build's.
		is, err := s.conn.API.ImageInspect(ctx, id)
		if s.images[id] || conn.IsNotFound(err) || err == nil && (len(is.RepoTags) > 0 || s.images[is.ID]) {
			continue
		}
		if err == nil {
			err = s.conn.ForceRemoveImage(ctx, is.ID, image.RemoveOptions{PruneChildren: true})
		}
		if err != nil && !conn.IsNotFound(err) && !cerrdefs.IsConflict(err) {
			errs = append(errs, s.conn.Fault(err, "remove the image "+id))
		}
	}
	return errors.Join(errs...)
}

// originalID returns the ID of the image that had a name before the build, or "" if it was
// not used. now are the names of the image that has it after the build. Podman stores what
// is requested as a under the name localhost/a; for Docker these are two names.
func originalID(tags map[string]string, name string, now []string) string {
	long := "localhost/" + name
	if tags[name] == "" && slices.Contains(now, long) && !slices.Contains(now, name) {
		name = long
	}
	return tags[name]
}

// restoreNames gives names that the build has taken from other images back to them, and
// removes the names that it has created.
func (s *Socket) restoreNames(ctx context.Context) error {
	if s.proxy == nil || s.spec.Network.Socket.KeepImages {
		return nil
	}
	var errs []error
	for _, name := range s.proxy.Named() {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue // the engine has refused it too
		}
		name = reference.FamiliarString(ref)
		err = s.restoreName(ctx, name)
		if err != nil && !conn.IsNotFound(err) && !cerrdefs.IsConflict(err) {
			errs = append(errs, s.conn.Fault(err, "restore the image name "+name))
		}
	}
	return errors.Join(errs...)
}

// restoreName moves one name back to the image that had it before the build, or removes it.
func (s *Socket) restoreName(ctx context.Context, name string) error {
	now, err := s.conn.API.ImageInspect(ctx, name)
	original := originalID(s.tags, name, now.RepoTags)
	switch {
	case conn.IsNotFound(err) && original == "", err == nil && now.ID == original:
		return nil
	// Tagging moves the name back; the image that had it in the meantime may be left without any.
	case original != "":
		created := err == nil && !s.images[now.ID]
		if err := s.conn.API.ImageTag(ctx, original, name); err != nil || !created {
			return err
		}
		// The build's image has lost its name, and nothing else would remove it.
		return s.conn.ForceRemoveImage(ctx, now.ID, image.RemoveOptions{PruneChildren: true})
	case err == nil:
		return s.conn.ForceRemoveImage(ctx, name, image.RemoveOptions{PruneChildren: true})
	}
	return err
}
