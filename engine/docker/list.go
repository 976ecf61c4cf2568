package docker

import (
	"context"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"

	"github.com/buildlocal/buildlocal/engine"
)

// List returns the containers and volumes that carry a label. See engine.Lister.
func (e *Engine) List(ctx context.Context, key string) ([]engine.Left, error) {
	labelled := filters.NewArgs(filters.Arg("label", key))
	containers, err := e.api.ContainerList(ctx, container.ListOptions{All: true, Filters: labelled})
	if err != nil {
		return nil, e.fault(err, "list containers")
	}
	var all []engine.Left
	for _, c := range containers {
		all = append(all, engine.Left{Kind: "container", ID: c.ID, Name: strings.TrimPrefix(strings.Join(c.Names, " "), "/"),
			Labels: c.Labels, Created: time.Unix(c.Created, 0), Running: c.State == "running"})
	}
	volumes, err := e.api.VolumeList(ctx, volume.ListOptions{Filters: labelled})
	if err != nil {
		return nil, e.fault(err, "list volumes")
	}
	for _, v := range volumes.Volumes {
		created, _ := time.Parse(time.RFC3339, v.CreatedAt)
		all = append(all, engine.Left{Kind: "volume", ID: v.Name, Name: v.Name, Labels: v.Labels, Created: created})
	}
	return all, nil
}

// Remove removes what List returned. See engine.Lister.
func (e *Engine) Remove(ctx context.Context, left engine.Left) error {
	if left.Kind == "container" {
		return e.removeContainer(ctx, left.ID)
	}
	err := e.api.VolumeRemove(ctx, left.ID, true)
	if isGone(err) {
		return nil
	}
	return e.fault(err, "remove volume "+left.Name)
}

var _ engine.Lister = (*Engine)(nil)
