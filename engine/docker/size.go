package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/system"

	"github.com/buildlocal/buildlocal/engine"
)

// measureLimit is how long a registry may take to say how large an image is.
const measureLimit = 5 * time.Second

// hasRoom tells how large an image is that is to be pulled, and refuses one that has no
// room. Layers that the engine has are counted too: it does not say which it has, so where
// it has another image of the repository nothing is refused. What cannot be found out is
// not told.
func (e *Engine) hasRoom(ctx context.Context, name string, s engine.Spec) error {
	if e.measure == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, measureLimit)
	defer cancel()
	info, err := e.api.Info(ctx)
	if err != nil {
		return nil
	}
	native, err := e.native(ctx)
	if err != nil {
		return nil
	}
	wanted := cmp.Or(s.Image.Platform, native)
	have := ""
	older, missing := e.api.ImageInspect(ctx, name)
	if missing == nil && fits(platform(older.Os, older.Architecture, older.Variant), wanted) {
		have = digestOf(older.RepoDigests, name)
	}
	size, err := e.measure(ctx, name, wanted, have)
	if err != nil || have != "" && size.Digest == have { // it is here
		return nil
	}
	free, known := int64(0), false
	if e.sharesFiles() == nil && !keptElsewhere(info) {
		free, err = freeSpace(info.DockerRootDir)
		known = err == nil
	}
	known = known && missing != nil && !e.hasOthers(ctx, name)
	s.Hooks.ReportProgress(engine.Progress{Image: name, Status: engine.Sized, Total: size.Download, Disk: size.Disk, Free: free})
	if !known {
		return nil
	}
	return size.CheckSpace(name, info.DockerRootDir, free)
}

// keptElsewhere reports whether images are with containerd, which does not say where.
func keptElsewhere(info system.Info) bool {
	return slices.ContainsFunc(info.DriverStatus, func(s [2]string) bool { return strings.HasPrefix(s[1], "io.containerd.snapshotter") })
}

// hasOthers reports whether the engine has an image of the same repository, which may
// share layers.
func (e *Engine) hasOthers(ctx context.Context, name string) bool {
	others, err := e.api.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", engine.Repository(name)))})
	return err != nil || len(others) > 0
}

// notThere makes need go on as if the image were not there.
type notThere string

// Error says why it does not count.
func (n notThere) Error() string { return string(n) }

// NotFound makes it an error of something that is not there.
func (notThere) NotFound() {}

// digestOf returns the digest by which the registry of name has an image; empty where
// that is not known.
func digestOf(repoDigests []string, name string) string {
	name = familiar(engine.Repository(name))
	for _, r := range repoDigests {
		if repository, digest, _ := strings.Cut(r, "@"); familiar(repository) == name {
			return digest
		}
	}
	return ""
}

// familiar is a name of an image as the engine lists it.
func familiar(name string) string {
	if ref, err := reference.ParseNormalizedNamed(name); err == nil {
		return reference.FamiliarString(ref)
	}
	return name
}

// hasDigest reports whether some registry has an image by a digest.
func hasDigest(repoDigests []string, digest string) bool {
	return slices.ContainsFunc(repoDigests, func(r string) bool { return strings.HasSuffix(r, "@"+digest) })
}

// tell tells which image a container is made from.
func (f found) tell(s engine.Spec) {
	s.Hooks.ReportImage(f.about())
}

func (f found) about() engine.Image {
	created, _ := time.Parse(time.RFC3339Nano, f.image.Created)
	return engine.Image{
		Name: f.name, ID: f.image.ID, Digest: digestOf(f.image.RepoDigests, f.name), Size: f.image.Size, Created: created,
		Platform: platform(f.image.Os, f.image.Architecture, f.image.Variant), Emulated: f.emulated, Native: f.native, Local: f.local,
	}
}

// Need returns the image of a container, which is pulled as spec says. The errors are
// those of Start.
func (e *Engine) Need(ctx context.Context, spec engine.Spec) (engine.Image, error) {
	f, err := e.need(ctx, spec)
	if err != nil {
		return engine.Image{}, orCause(ctx, err)
	}
	return f.about(), nil
}

// Images returns the images that have a name, by name, but for those of our own.
func (e *Engine) Images(ctx context.Context) ([]engine.Image, error) {
	listed, err := e.api.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return nil, e.fault(orCause(ctx, err), "list images")
	}
	var all []engine.Image
	for _, i := range listed {
		for _, name := range i.RepoTags {
			if _, ours := i.Labels[relayLabel]; ours || strings.HasPrefix(name, "<none>") {
				continue
			}
			all = append(all, engine.Image{Name: strings.TrimSuffix(name, ":latest"), ID: i.ID, Digest: digestOf(i.RepoDigests, name), Size: i.Size, Created: time.Unix(i.Created, 0)})
		}
	}
	slices.SortFunc(all, func(a, b engine.Image) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// RemoveImage removes a name of an image, and with its last one the image. It is
// fs.ErrNotExist where there is none of the name.
func (e *Engine) RemoveImage(ctx context.Context, name string) error {
	_, err := e.api.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true})
	if isGone(err) {
		return fmt.Errorf("image %s: %w", name, fs.ErrNotExist)
	}
	return e.fault(orCause(ctx, err), "remove image "+name)
}

// ImageEnv returns the variables of an image that is at the engine, and its entrypoint.
func (e *Engine) ImageEnv(ctx context.Context, id string) (env, entrypoint []string, err error) {
	got, err := e.api.ImageInspect(ctx, id)
	if err != nil || got.Config == nil {
		return nil, nil, e.fault(err, "look at image "+id)
	}
	return got.Config.Env, got.Config.Entrypoint, nil
}

// About is what an engine says of itself.
type About struct {
	Version     string
	CPUs        int
	Memory      int64  // bytes
	Storage     string // such as overlay2
	Root        string // where it keeps what it has
	SharesFiles bool   // it sees this machine's files as they are
}

// About asks the engine what it is.
func (e *Engine) About(ctx context.Context) (About, error) {
	info, err := e.api.Info(ctx)
	if err != nil {
		return About{}, e.fault(orCause(ctx, err), "ask the engine what it is")
	}
	return About{Version: info.ServerVersion, CPUs: info.NCPU, Memory: info.MemTotal, Storage: info.Driver, Root: info.DockerRootDir, SharesFiles: e.sharesFiles() == nil}, nil
}

// FreeSpace returns how many bytes may still be written in a directory of this machine,
// or where it will be; an error where that is not known.
func FreeSpace(dir string) (int64, error) {
	free, err := freeSpace(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		free, err = freeSpace(dir)
	}
	return free, err
}
