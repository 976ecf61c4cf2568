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

	// Runtimes has the versions of each runtime, if the image was inspected before.
	Runtimes map[string][]string `json:"runtimes,omitempty"`
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
	if o.Format == "json" {
		return a.WriteJSON(append([]shownImage{}, all...)) // an empty list, not null
	}
	t := cli.NewTable(a.Stdout)
	t.Row("IMAGE", "ENGINE", "ID", "SIZE", "AGE", "RUNTIMES")
	for _, i := range all {
		id := human.ShortID(i.ID)
		if o.Full {
			id = cmp.Or(i.Digest, i.ID) // --image-digest accepts both
		}
		t.Row(i.Name, i.Engine, id, human.Bytes(i.Size), strings.TrimSuffix(ago(a, i.Created, "-"), " ago"),
			i.runtimeNames())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	// The footers explain the table, and what its sizes do not add up to.
	if slices.ContainsFunc(all, func(i shownImage) bool { return !i.inspected }) {
		fmt.Fprintln(a.Stdout, "\n? image not inspected yet; run buildlocal image inspect IMAGE")
	}
	if o.Engine == "docker" {
		return nil
	}
	_, err = fmt.Fprintf(a.Stdout, "\nSandbox images use %s, in %s\n", human.Bytes(total), a.ImageStore())
	return err
}

// ago returns the age of a time, or unknown. Reproducible builds of images set the creation
// time to the epoch, which says nothing about their age.
func ago(a *cli.App, t time.Time, unknown string) string {
	if t.IsZero() || t.Unix() <= 0 {
		return unknown
	}
	return human.Ago(a.Now().Sub(t))
}

// runtimeNames returns the names of the runtimes in the image, for a column.
func (i shownImage) runtimeNames() string {
	switch {
	case !i.inspected:
		return "?"
	case len(i.Runtimes) == 0:
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(i.Runtimes)), ",")
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
		fmt.Fprintln(a.Stderr, "Cannot connect to Docker; showing sandbox images only.")
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
		return a.WriteJSON(i) // one object, of the same form as in the list
	}
	t := cli.NewTable(a.Stdout)
	row := func(title, text string) {
		if text != "" {
			t.Row(title, text)
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
	return t.Flush()
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
