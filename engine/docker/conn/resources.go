package conn

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/buildlocal/buildlocal/engine"
)

// The kinds of engine.Resource.
const (
	KindContainer = "container"
	KindVolume    = "volume"
	KindNetwork   = "network"
	KindImage     = "image"
)

// RelayLabel is the label of all images that contain a relay, and of their containers.
const RelayLabel = "dev.buildlocal.relay"

// SnapshotLabel is the label of the images of snapshots.
const SnapshotLabel = "dev.buildlocal.snapshot"

// List returns all resources that have a label: containers first, then the networks,
// volumes and images that containers use. See engine.Lister.
func (e *Engine) List(ctx context.Context, key string) ([]engine.Resource, error) {
	labelled := filters.NewArgs(filters.Arg("label", key))
	containers, err := e.API.ContainerList(ctx, container.ListOptions{All: true, Filters: labelled})
	if err != nil {
		return nil, e.Fault(err, "list containers")
	}
	var all []engine.Resource
	for _, c := range containers {
		all = append(all, engine.Resource{
			Kind: KindContainer, ID: c.ID, Name: strings.TrimPrefix(strings.Join(c.Names, " "), "/"),
			Labels: c.Labels, Created: time.Unix(c.Created, 0), Running: c.State == "running",
		})
	}
	networks, err := e.API.NetworkList(ctx, network.ListOptions{Filters: labelled})
	if err != nil {
		return nil, e.Fault(err, "list networks")
	}
	for _, n := range networks {
		all = append(all, engine.Resource{Kind: KindNetwork, ID: n.ID, Name: n.Name, Labels: n.Labels, Created: n.Created})
	}
	volumes, err := e.Volumes(ctx, labelled)
	if err != nil {
		return nil, err
	}
	images, err := e.API.ImageList(ctx, image.ListOptions{Filters: labelled})
	if err != nil {
		return nil, e.Fault(err, "list images")
	}
	all = append(all, volumes...)
	for _, i := range images {
		name := i.ID
		if len(i.RepoTags) > 0 {
			name = strings.Join(i.RepoTags, " ")
		}
		all = append(
			all,
			engine.Resource{Kind: KindImage, ID: i.ID, Name: name, Labels: i.Labels, Created: time.Unix(i.Created, 0)},
		)
	}
	return all, nil
}

// Volumes returns the volumes that match a filter.
func (e *Engine) Volumes(ctx context.Context, which filters.Args) ([]engine.Resource, error) {
	volumes, err := e.API.VolumeList(ctx, volume.ListOptions{Filters: which})
	if err != nil {
		return nil, e.Fault(err, "list volumes")
	}
	var all []engine.Resource
	for _, v := range volumes.Volumes {
		created, _ := time.Parse(time.RFC3339, v.CreatedAt)
		all = append(all, engine.Resource{Kind: KindVolume, ID: v.Name, Name: v.Name, Labels: v.Labels, Created: created})
	}
	return all, nil
}

// Remove removes a resource that List returned. It keeps an image that a container of
// another program uses. See engine.Lister.
func (e *Engine) Remove(ctx context.Context, r engine.Resource) error {
	var err error
	switch r.Kind {
	case KindContainer:
		return e.RemoveContainer(ctx, r.ID)
	case KindNetwork:
		err = e.API.NetworkRemove(ctx, r.ID)
	// A conflict means that a container still uses the image; it is removed when that container is.
	case KindImage:
		err = e.ForceRemoveImage(ctx, r.ID, image.RemoveOptions{Force: true, PruneChildren: true})
		if cerrdefs.IsConflict(err) {
			err = nil
		}
	default:
		err = e.API.VolumeRemove(ctx, r.ID, true)
	}
	if err == nil || IsNotFound(err) {
		return nil
	}
	return e.Fault(err, "remove "+r.Kind+" "+r.Name)
}

// ForceRemoveImage removes an image and its untagged parents. It tries twice: the engine
// fails if a concurrent removal takes away a parent, although the image itself may be gone.
func (e *Engine) ForceRemoveImage(ctx context.Context, id string, o image.RemoveOptions) error {
	_, err := e.API.ImageRemove(ctx, id, o)
	if err == nil || IsNotFound(err) || cerrdefs.IsConflict(err) {
		return err
	}
	if _, inspected := e.API.ImageInspect(ctx, id); IsNotFound(inspected) {
		return nil
	}
	_, err = e.API.ImageRemove(ctx, id, o)
	return err
}

// RemoveContainer removes a container and its anonymous volumes. If another client is
// removing it already, it waits until it is gone.
func (e *Engine) RemoveContainer(ctx context.Context, id string) error {
	options := container.RemoveOptions{Force: true, RemoveVolumes: true}
	err := e.API.ContainerRemove(ctx, id, options)
	if err != nil && e.removeDependents(ctx, id, err) {
		err = e.API.ContainerRemove(ctx, id, options)
	}
	if err == nil || IsNotFound(err) {
		return nil
	}
	if !cerrdefs.IsConflict(err) || !strings.Contains(err.Error(), "already in progress") {
		return e.Fault(err, "remove container "+id)
	}
	// Returning earlier would let a caller reuse the name or the network too soon.
	gone, failed := e.API.ContainerWait(ctx, id, container.WaitConditionRemoved)
	select {
	case <-gone:
		return nil
	case err := <-failed:
		if IsNotFound(err) {
			return nil
		}
		return e.Fault(err, "remove container "+id)
	}
}

// containerIDs matches the container IDs in a message.
var containerIDs = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b[0-9a-f]{64}\b`)
})

// removeDependents removes the relays that keep a container from being removed: Podman
// refuses to remove a container whose network another container uses, and names those in
// its message (observed, 4.3). It reports whether the removal should be tried again.
func (e *Engine) removeDependents(ctx context.Context, id string, err error) bool {
	_, named, found := strings.Cut(err.Error(), "has dependent containers")
	if !found {
		return false
	}
	of, err := e.API.ContainerInspect(ctx, id)
	if err != nil {
		return false
	}
	for _, id := range containerIDs().FindAllString(named, -1) {
		got, err := e.API.ContainerInspect(ctx, id)
		if err == nil && got.Config != nil && got.Config.Labels[RelayLabel] != "" &&
			strings.HasPrefix(got.Name, of.Name+"-") {
			_ = e.RemoveContainer(ctx, id) // the second attempt reports failures
		}
	}
	return true
}

var _ engine.Lister = (*Engine)(nil)

// Sizes returns the disk space that removing each resource frees, in bytes, by ID. Resources of
// unknown size are missing. The engine measures all its resources for it, which takes long if
// there are many.
func (e *Engine) Sizes(ctx context.Context) (map[string]int64, error) {
	used, err := e.API.DiskUsage(ctx, types.DiskUsageOptions{
		Types: []types.DiskUsageObject{types.ContainerObject, types.ImageObject, types.VolumeObject},
	})
	if err != nil {
		return nil, e.Fault(CauseOr(ctx, err), "measure the disk usage")
	}
	sizes := map[string]int64{}
	for _, c := range used.Containers {
		sizes[c.ID] = c.SizeRw
	}
	for _, i := range used.Images {
		sizes[i.ID] = i.Size - max(0, i.SharedSize) // -1 if it is not known
	}
	for _, v := range used.Volumes {
		if v.UsageData != nil && v.UsageData.Size >= 0 {
			sizes[v.Name] = v.UsageData.Size
		}
	}
	return sizes, nil
}
