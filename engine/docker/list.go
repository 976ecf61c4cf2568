package docker

import (
	"context"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/buildlocal/buildlocal/engine"
)

// The kinds of what a build leaves.
const (
	kindContainer = "container"
	kindVolume    = "volume"
	kindNetwork   = "network"
	kindImage     = "image"
)

// List returns what carries a label: containers, then the networks, volumes and images
// that they hold. See engine.Lister.
func (e *Engine) List(ctx context.Context, key string) ([]engine.Resource, error) {
	labelled := filters.NewArgs(filters.Arg("label", key))
	containers, err := e.api.ContainerList(ctx, container.ListOptions{All: true, Filters: labelled})
	if err != nil {
		return nil, e.fault(err, "list containers")
	}
	var all []engine.Resource
	for _, c := range containers {
		all = append(all, engine.Resource{Kind: kindContainer, ID: c.ID, Name: strings.TrimPrefix(strings.Join(c.Names, " "), "/"),
			Labels: c.Labels, Created: time.Unix(c.Created, 0), Running: c.State == "running"})
	}
	networks, err := e.api.NetworkList(ctx, network.ListOptions{Filters: labelled})
	if err != nil {
		return nil, e.fault(err, "list networks")
	}
	for _, n := range networks {
		all = append(all, engine.Resource{Kind: kindNetwork, ID: n.ID, Name: n.Name, Labels: n.Labels, Created: n.Created})
	}
	volumes, err := e.volumes(ctx, labelled)
	if err != nil {
		return nil, err
	}
	images, err := e.api.ImageList(ctx, image.ListOptions{Filters: labelled})
	if err != nil {
		return nil, e.fault(err, "list images")
	}
	all = append(all, volumes...)
	for _, i := range images {
		name := i.ID
		if len(i.RepoTags) > 0 {
			name = strings.Join(i.RepoTags, " ")
		}
		all = append(all, engine.Resource{Kind: kindImage, ID: i.ID, Name: name, Labels: i.Labels, Created: time.Unix(i.Created, 0)})
	}
	return all, nil
}

func (e *Engine) volumes(ctx context.Context, which filters.Args) ([]engine.Resource, error) {
	volumes, err := e.api.VolumeList(ctx, volume.ListOptions{Filters: which})
	if err != nil {
		return nil, e.fault(err, "list volumes")
	}
	var all []engine.Resource
	for _, v := range volumes.Volumes {
		created, _ := time.Parse(time.RFC3339, v.CreatedAt)
		all = append(all, engine.Resource{Kind: kindVolume, ID: v.Name, Name: v.Name, Labels: v.Labels, Created: created})
	}
	return all, nil
}

// Remove removes what List returned. An image that a container of somebody else's uses
// stays. See engine.Lister.
func (e *Engine) Remove(ctx context.Context, left engine.Resource) error {
	var err error
	switch left.Kind {
	case kindContainer:
		return e.removeContainer(ctx, left.ID)
	case kindNetwork:
		err = e.api.NetworkRemove(ctx, left.ID)
	case kindImage:
		if err = e.removeImage(ctx, left.ID, image.RemoveOptions{Force: true, PruneChildren: true}); cerrdefs.IsConflict(err) {
			err = nil
		}
	default:
		err = e.api.VolumeRemove(ctx, left.ID, true)
	}
	if err == nil || isGone(err) {
		return nil
	}
	return e.fault(err, "remove "+left.Kind+" "+left.Name)
}

// removeImage removes an image and its parents without a name. The engine fails when
// another removal takes a parent away at the same time, also where the image is gone by then.
func (e *Engine) removeImage(ctx context.Context, id string, o image.RemoveOptions) error {
	_, err := e.api.ImageRemove(ctx, id, o)
	if err == nil || isGone(err) || cerrdefs.IsConflict(err) {
		return err
	}
	if _, inspected := e.api.ImageInspect(ctx, id); isGone(inspected) {
		return nil
	}
	_, err = e.api.ImageRemove(ctx, id, o)
	return err
}

var _ engine.Lister = (*Engine)(nil)
