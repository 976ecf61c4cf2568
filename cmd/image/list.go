package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runtimes"
)

// shownImage is an image as it is listed, in text and in JSON.
type shownImage struct {
	Name     string    `json:"name"`
	Engine   string    `json:"engine"` // docker or sandbox
	ID       string    `json:"id"`     // sha256:... of the image's configuration
	Digest   string    `json:"digest,omitempty"`
	Size     int64     `json:"sizeInBytes"`
	Created  time.Time `json:"created,omitzero"`
	Used     time.Time `json:"used,omitzero"` // last use by a build; Docker does not record it
	Platform string    `json:"platform,omitempty"`

	// Runtimes has the versions of each runtime. It is null if the image was not inspected yet.
	Runtimes map[string][]string `json:"runtimes"`
	// inspected distinguishes an image without runtimes from one that was not read yet.
	inspected bool
}

// list prints the images of both engines. Docker can read the runtimes of an image only from
// a container, so the list shows only those that are known from earlier.
func list(ctx context.Context, a *cli.App, o *Options) error {
	all, total, err := allImages(ctx, a, o.Engine)
	if err != nil {
		return err
	}
	if o.Format == cli.FormatJSON {
		return a.WriteJSON(map[string]any{
			"version": 1, "images": append([]shownImage{}, all...), // an empty list, not null
			"storeSizeInBytes": total, "store": a.ImageStore(),
		})
	}
	screen := a.Screen()
	if len(all) == 0 {
		screen.Printf("no images; buildlocal image pull IMAGE pulls one")
		return screen.Err()
	}
	t := console.Table{Columns: []console.Column{
		{Title: "IMAGE", Fit: console.FitPath}, {Title: "ENGINE"}, {Title: "ID", Drop: 1}, {Title: "SIZE"},
		{Title: "AGE", Drop: 2}, {Title: "RUNTIMES", Fit: console.FitText},
	}}
	for _, i := range all {
		id := human.ShortID(i.ID)
		if o.Full {
			id = cmp.Or(i.Digest, i.ID) // --image-digest accepts both
		}
		t.Add(console.Strong(i.Name), console.Plain(i.Engine), console.Weak(id), console.Plain(human.Bytes(i.Size)),
			console.Weak(strings.TrimSuffix(ago(a, i.Created, ""), " ago")), console.Plain(i.runtimeNames()))
	}
	screen.Table(t)
	if err := screen.Err(); err != nil || o.Engine == "docker" || runtime.GOOS != "linux" {
		return err
	}
	// The sizes of the table do not add up to this one: images share layers.
	footer := a.Footer()
	footer.Printf("sandbox images use %s in %s", human.Bytes(total), a.Tilde(a.ImageStore()))
	return footer.Err()
}

// ago returns the age of a time, or unknown. Reproducible builds of images set the creation
// time to the epoch, which says nothing about their age.
func ago(a *cli.App, t time.Time, unknown string) string {
	if t.IsZero() || t.Unix() <= 0 {
		return unknown
	}
	return human.Ago(a.Now().Sub(t))
}

// runtimeNames returns the runtimes of the image with their versions, for a column.
func (i shownImage) runtimeNames() string {
	switch {
	case !i.inspected:
		return "unknown"
	case len(i.Runtimes) == 0:
		return "none"
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(i.Runtimes)) {
		all = append(all, strings.Join(append([]string{name}, i.Runtimes[name]...), " "))
	}
	return strings.Join(all, ", ")
}

// allImages returns the images of both engines, and the size in bytes of the sandbox store.
// That is less than the sum of its images, because they share layers.
func allImages(ctx context.Context, a *cli.App, which string) (all []shownImage, total int64, err error) {
	e, err := dockerFor(ctx, a, which)
	if err != nil {
		return nil, 0, err
	}
	if e != nil {
		defer e.Close()
		// An image with several names is listed several times, as docker images does.
		atDocker, err := e.Images(ctx)
		if err != nil {
			return nil, 0, err
		}
		for _, i := range atDocker {
			s := shownImage{Name: i.Name, Engine: "docker", ID: i.ID, Digest: i.Digest, Size: i.Size, Created: i.Created}
			s.Runtimes, s.inspected = a.KnownRuntimes(i.ID)
			all = append(all, s)
		}
	} else if which == "auto" { // a short list is not mistaken for all images
		fmt.Fprintln(a.Stderr, "warning: cannot connect to Docker: showing sandbox images only")
	}
	// The sandbox engine exists on Linux only.
	if which == "docker" || runtime.GOOS != "linux" {
		return all, 0, nil
	}
	inStore, total, err := a.Sandbox(sandbox.Images).Images()
	for _, i := range inStore {
		s := shownImage{
			Name:    i.Name,
			Engine:  "sandbox",
			ID:      i.ID,
			Digest:  i.Digest,
			Size:    i.Size,
			Created: i.Created,
			Used:    i.Used,
		}
		s.Runtimes, s.inspected = a.KnownRuntimes(i.ID)
		all = append(all, s)
	}
	return all, total, err
}

// dockerFor returns the Docker engine for a value of --engine: auto, docker or sandbox. It
// is nil for sandbox, and for auto if Docker cannot be reached. Other errors, such as a
// missing permission, are returned for auto too: the user has Docker and expects its images.
func dockerFor(ctx context.Context, a *cli.App, which string) (*docker.Engine, error) {
	if which == "sandbox" {
		return nil, nil
	}
	e, err := a.Docker(ctx)
	if which == "auto" && isUnreachable(err) {
		return nil, nil
	}
	return e, err
}

// isUnreachable reports whether an error says that Docker cannot be reached.
func isUnreachable(err error) bool {
	var fault *engine.Fault
	return errors.As(err, &fault) && fault.Kind == engine.NoEngine
}

// indexOf returns the index of the first image with one of the names, or -1. The store
// keeps names with their tag, and users leave out latest.
func indexOf(all []shownImage, names []string) int {
	return slices.IndexFunc(all, func(i shownImage) bool {
		return slices.ContainsFunc(names, func(name string) bool { return i.Name == name || i.Name == name+":latest" })
	})
}

// inspect prints the properties of a local image. Properties that are not known have no
// row.
func inspect(ctx context.Context, a *cli.App, o *Options) error {
	i, err := findImage(ctx, a, o.Engine, o.Names[0])
	if err != nil {
		return err
	}
	if o.Format == "json" {
		return a.WriteJSON(struct {
			Version int `json:"version"`
			shownImage
		}{1, i})
	}
	t := console.Table{Columns: make([]console.Column, 2), NoHead: true}
	row := func(title, text string) {
		if text != "" {
			t.Add(console.Weak(title), console.Plain(text))
		}
	}
	row("image", i.Name)
	row("engine", i.Engine)
	row("id", i.ID)
	row("digest", i.Digest)
	row("platform", i.Platform)
	row("size", human.Bytes(i.Size))
	row("created", ago(a, i.Created, ""))
	row("used", ago(a, i.Used, ""))
	// The file decides whether runtime-versions works, not the programs in the image.
	if i.inspected && len(i.Runtimes) == 0 {
		row("runtimes", "not selectable: the image has no "+runtimes.Path)
	}
	title := "runtimes"
	for _, name := range slices.Sorted(maps.Keys(i.Runtimes)) {
		row(title, name+" "+strings.Join(i.Runtimes[name], " "))
		title = " " // the following rows continue this one
	}
	screen := a.Screen()
	screen.Table(t)
	return screen.Err()
}

// errMissing is wrapped by errNoImage, so that callers can ask for this case.
var errMissing = errors.New("is not available locally")

// errNoImage returns the error for an image that is not available locally. It is a usage
// error: the name is most likely misspelt.
func errNoImage(name string) error {
	return cli.Usagef(
		"image %s %w\nRun buildlocal image ls to list images, or buildlocal image pull to pull one",
		name,
		errMissing,
	)
}

// findImage returns a local image with its runtimes. For auto, Docker is asked first, as in
// a build, and the sandbox store if Docker does not have the image or cannot be reached.
func findImage(ctx context.Context, a *cli.App, which, name string) (shownImage, error) {
	name = project.Curated(name)
	missing := errNoImage(name)
	if which != "sandbox" {
		i, err := findAtDocker(ctx, a, name)
		if err == nil || which == "docker" || !errors.Is(err, errMissing) && !isUnreachable(err) {
			return i, err
		}
		missing = err // if the store has it neither, a hint to start Docker is more helpful
	}
	inStore, _, err := allImages(ctx, a, "sandbox")
	if err != nil {
		return shownImage{}, err
	}
	at := indexOf(inStore, project.ImageCandidates(name))
	if at < 0 {
		return shownImage{}, missing
	}
	i := inStore[at]
	// An image without the file has no runtimes, which is a result too.
	text, err := a.Sandbox(sandbox.Images).ReadImageFile(i.Name, runtimes.Path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		i.Runtimes, i.inspected = local.RuntimeVersions(text), true
	}
	return i, nil
}

// findAtDocker looks the image up exactly as a build with --pull never does, so inspect
// shows the image that such a build would use.
func findAtDocker(ctx context.Context, a *cli.App, name string) (shownImage, error) {
	e, err := a.Docker(ctx)
	if err != nil {
		return shownImage{}, err
	}
	defer e.Close()
	got, err := e.Need(
		ctx,
		engine.Spec{Image: engine.ImageRef{Names: project.ImageCandidates(name), Pull: engine.PullNever}},
	)
	var fault *engine.Fault
	if errors.As(err, &fault) && fault.Kind == engine.NoImage {
		return shownImage{}, errNoImage(name)
	}
	if err != nil {
		return shownImage{}, err
	}
	i := shownImage{
		Name:     got.Name,
		Engine:   "docker",
		ID:       got.ID,
		Digest:   got.Digest,
		Platform: got.Platform,
		Size:     got.Size,
		Created:  got.Created,
	}
	// If the file cannot be read, or not in time, the other properties are shown without it.
	if text, available, err := a.ImageRuntimes(ctx, name); err == nil && available {
		i.Runtimes, i.inspected = local.RuntimeVersions(text), true
	}
	return i, nil
}
