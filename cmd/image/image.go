// Package image has the command image: list, pull, inspect, build, slim and remove images.
// Images are at the Docker engine or in the store of the sandbox engine. Most subcommands
// use both, and --engine restricts them to one.
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
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/runtimes"
)

// imageFlags are the flags of several subcommands.
type imageFlags struct {
	engine string // auto, docker or sandbox
	format string // text or json
	full   bool
}

// commands are the commands of an app.
type commands struct{ *cli.App }

// NewCmd returns the command image.
func NewCmd(app *cli.App) *cobra.Command {
	a := commands{app}
	f := &imageFlags{}
	c := &cobra.Command{
		Use: "image", Aliases: []string{"images"}, Short: "List, pull, inspect, build and remove images",
		Long: "List images that builds can run in: those of the Docker engine, and those that the\n" +
			"sandbox engine keeps, unpacked by layer, in the user's cache directory.",
		Example: "  buildlocal image\n  buildlocal image pull node:22\n  buildlocal image prune",
		Args:    cli.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.listImages(c.Context(), f) },
	}
	c.PersistentFlags().StringVar(&f.engine, "engine", "auto", "use only images of `ENGINE`: auto, docker or sandbox")
	c.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return f.check() }
	ls := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List images", Args: cli.NoArgs,
		Example: "  buildlocal image ls\n  buildlocal image ls --full --engine docker",
		RunE:    func(c *cobra.Command, _ []string) error { return a.listImages(c.Context(), f) },
	}
	ls.Flags().BoolVar(&f.full, "full", false, "print full IDs and digests")
	inspect := &cobra.Command{
		Use: "inspect IMAGE", Short: "Show the properties and runtimes of an image", Args: oneImage,
		Example: "  buildlocal image inspect node:22\n  buildlocal image inspect standard:7.0 --format json",
		RunE:    func(c *cobra.Command, names []string) error { return a.inspectImage(c.Context(), f, names[0]) },
	}
	for _, c := range []*cobra.Command{ls, inspect} {
		c.Flags().StringVar(&f.format, "format", "text", "print as `FORMAT`: text or json")
	}
	c.AddCommand(ls, inspect, &cobra.Command{
		Use: "pull IMAGE...", Short: "Pull images from a registry, an OCI layout or a tarball", Args: someArgs,
		Example: "  buildlocal image pull node:22\n  buildlocal image pull " +
			"aws/codebuild/amazonlinux-x86_64-standard:5.0\n  buildlocal image pull tar:image.tar oci:layout:1.0",
		RunE: func(c *cobra.Command, names []string) error { return a.pullImages(c.Context(), f, names) },
	}, &cobra.Command{
		Use: "rm IMAGE...", Short: "Remove images", Args: someArgs,
		Example: "  buildlocal image rm node:22\n  buildlocal image rm --engine sandbox node:20 node:22",
		RunE:    func(c *cobra.Command, names []string) error { return a.removeImages(c.Context(), f, names) },
	}, newPrune(a, f), newBuild(a), newSlim(a))
	return c
}

func (f *imageFlags) check() error {
	for _, one := range []struct {
		name, value string
		known       []string
	}{{"engine", f.engine, []string{"auto", "docker", "sandbox"}}, {"format", f.format, []string{"", "text", "json"}}} {
		if !slices.Contains(one.known, one.value) {
			return cli.Usagef(
				"--%s: invalid value %q; expected %s",
				one.name,
				one.value,
				strings.Join(slices.DeleteFunc(one.known, func(k string) bool { return k == "" }), ", "),
			)
		}
	}
	if f.engine == "sandbox" && runtime.GOOS != "linux" {
		return cli.Usagef("--engine: sandbox requires Linux; use docker")
	}
	return nil
}

// someArgs requires an argument.
func someArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cli.Usagef("%s requires the name of an image", c.CommandPath())
	}
	return nil
}

func oneImage(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("%s requires the name of one image, got %d", c.CommandPath(), len(args))
	}
	return nil
}

func newPrune(a commands, f *imageFlags) *cobra.Command {
	unused := 30 * day
	all := false
	c := &cobra.Command{
		Use: "prune", Short: "Remove unused sandbox images", Args: cli.NoArgs,
		Example: "  buildlocal image prune\n  buildlocal image prune --unused-for 7d\n  buildlocal image prune --all",
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.engine == "docker":
				return cli.Usagef("--engine: image prune removes images of the sandbox only; use docker image prune")
			case unused < 0:
				return cli.Usagef("--unused-for: invalid value %v; expected a duration such as 48h", unused)
			case all && c.Flags().Changed("unused-for"):
				return cli.Usagef("--unused-for cannot be combined with --all")
			case all:
				unused = 0
			}
			return a.pruneImages(c.Context(), unused)
		},
	}
	c.Flags().Var((*days)(&unused), "unused-for", "remove images not used for `TIME`, such as 7d or 48h")
	c.Flags().BoolVar(&all, "all", false, "remove all images that are not in use")
	return c
}

// days is a duration that can also be given in days, which Go durations cannot.
type days time.Duration

const day = 24 * time.Hour

// Set reads a Go duration, or a number of days such as 7d.
func (d *days) Set(text string) error {
	if number, is := strings.CutSuffix(text, "d"); is {
		if n, err := strconv.Atoi(number); err == nil {
			*d = days(time.Duration(n) * day)
			return nil
		}
	}
	t, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("expected a duration such as 7d or 48h")
	}
	*d = days(t)
	return nil
}

// String returns whole days with the unit d, and other durations as Go does.
func (d *days) String() string {
	if t := time.Duration(*d); t%day != 0 {
		return t.String()
	}
	return strconv.Itoa(int(time.Duration(*d)/day)) + "d"
}

// Type is the name of the value in the help.
func (d *days) Type() string { return "time" }

// shownImage is an image as it is listed, in text and in JSON.
type shownImage struct {
	Name     string    `json:"name"`
	Engine   string    `json:"engine"`
	ID       string    `json:"id"`
	Digest   string    `json:"digest,omitempty"`
	Size     int64     `json:"sizeInBytes"`
	Created  time.Time `json:"created,omitzero"`
	Used     time.Time `json:"used,omitzero"`
	Platform string    `json:"platform,omitempty"`
	// Runtimes has the versions of each runtime, if the image was inspected before.
	Runtimes map[string][]string `json:"runtimes,omitempty"`
	looked   bool                // Runtimes is known
}

func (a commands) listImages(ctx context.Context, f *imageFlags) error {
	all, total, err := a.allImages(ctx, f.engine)
	if err != nil {
		return err
	}
	if f.format == "json" {
		return a.WriteJSON(append([]shownImage{}, all...))
	}
	t := cli.NewTable(a.Stdout)
	t.Row("IMAGE", "ENGINE", "ID", "SIZE", "AGE", "RUNTIMES")
	for _, i := range all {
		id := human.ShortID(i.ID)
		if f.full {
			id = cmp.Or(i.Digest, i.ID)
		}
		t.Row(i.Name, i.Engine, id, human.Bytes(i.Size), strings.TrimSuffix(a.agoOr(i.Created, "-"), " ago"), i.offers())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(i shownImage) bool { return !i.looked }) {
		fmt.Fprintln(a.Stdout, "\n? image not inspected yet; run buildlocal image inspect IMAGE")
	}
	if f.engine == "docker" {
		return nil
	}
	_, err = fmt.Fprintf(a.Stdout, "\nSandbox images use %s, in %s\n", human.Bytes(total), a.ImageStore())
	return err
}

// agoOr returns the age of a time, or none if it is not known.
func (a commands) agoOr(t time.Time, none string) string {
	if t.IsZero() || t.Unix() <= 0 {
		return none
	}
	return human.Ago(a.Now().Sub(t))
}

// offers returns the names of the runtimes in the image.
func (i shownImage) offers() string {
	switch {
	case !i.looked:
		return "?"
	case len(i.Runtimes) == 0:
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(i.Runtimes)), ",")
}

// allImages returns the images of both engines, and the size in bytes of the sandbox store.
// That is less than the sum of its images, because they share layers.
func (a commands) allImages(ctx context.Context, which string) (all []shownImage, total int64, err error) {
	e, err := a.dockerFor(ctx, which)
	if err != nil {
		return nil, 0, err
	}
	if e != nil {
		defer e.Close()
		there, err := e.Images(ctx)
		if err != nil {
			return nil, 0, err
		}
		for _, i := range there {
			s := shownImage{Name: i.Name, Engine: "docker", ID: i.ID, Digest: i.Digest, Size: i.Size, Created: i.Created}
			s.Runtimes, s.looked = a.KnownRuntimes(i.ID)
			all = append(all, s)
		}
	} else if which == "auto" {
		fmt.Fprintln(a.Stderr, "Cannot connect to Docker; showing sandbox images only.")
	}
	if which == "docker" || runtime.GOOS != "linux" {
		return all, 0, nil
	}
	kept, total, err := a.Sandbox(sandbox.Images).Images()
	for _, i := range kept {
		s := shownImage{
			Name:    i.Name,
			Engine:  "sandbox",
			ID:      i.ID,
			Digest:  i.Digest,
			Size:    i.Size,
			Created: i.Created,
			Used:    i.Used,
		}
		s.Runtimes, s.looked = a.KnownRuntimes(i.ID)
		all = append(all, s)
	}
	return all, total, err
}

// dockerFor returns the Docker engine for a value of --engine: auto, docker or sandbox. It
// is nil for sandbox, and for auto if Docker cannot be reached.
func (a commands) dockerFor(ctx context.Context, which string) (*docker.Engine, error) {
	if which == "sandbox" {
		return nil, nil
	}
	e, err := a.Docker(ctx)
	if which == "auto" && noEngine(err) {
		return nil, nil
	}
	return e, err
}

// noEngine reports whether an error says that Docker cannot be reached.
func noEngine(err error) bool {
	var fault *engine.Fault
	return errors.As(err, &fault) && fault.Kind == engine.NoEngine
}

// imageNamed returns the index of the first image with one of the names, or -1.
func imageNamed(all []shownImage, names []string) int {
	return slices.IndexFunc(all, func(i shownImage) bool {
		return slices.ContainsFunc(names, func(name string) bool { return i.Name == name || i.Name == name+":latest" })
	})
}

// inspectImage prints the properties of a local image.
func (a commands) inspectImage(ctx context.Context, f *imageFlags, name string) error {
	i, err := a.findImage(ctx, f, name)
	if err != nil {
		return err
	}
	if f.format == "json" {
		return a.WriteJSON(i)
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
	row("made", a.agoOr(i.Created, ""))
	row("used", a.agoOr(i.Used, ""))
	if i.looked && len(i.Runtimes) == 0 {
		row("runtimes", "not selectable: the image has no "+runtimes.Path+"")
	}
	title := "runtimes"
	for _, name := range slices.Sorted(maps.Keys(i.Runtimes)) {
		row(title, name+" "+strings.Join(i.Runtimes[name], " "))
		title = " "
	}
	return t.Flush()
}

// errNotHere is wrapped by errNoImage.
var errNotHere = errors.New("is not here")

// errNoImage returns the error for an image that is not available locally.
func errNoImage(name string) error {
	return cli.Usagef(
		"image %s %w\nRun buildlocal image ls to list images, or buildlocal image pull to pull one",
		name,
		errNotHere,
	)
}

// findImage returns a local image with its runtimes. Docker is asked first, as in a build.
func (a commands) findImage(ctx context.Context, f *imageFlags, name string) (shownImage, error) {
	name = project.Curated(name)
	missing := errNoImage(name)
	if f.engine != "sandbox" {
		i, err := a.findAtDocker(ctx, name)
		if err == nil || f.engine == "docker" || !errors.Is(err, errNotHere) && !noEngine(err) {
			return i, err
		}
		missing = err
	}
	kept, _, err := a.allImages(ctx, "sandbox")
	if err != nil {
		return shownImage{}, err
	}
	at := imageNamed(kept, project.ImageCandidates(name))
	if at < 0 {
		return shownImage{}, missing
	}
	i := kept[at]
	text, err := a.Sandbox(sandbox.Images).ReadImageFile(i.Name, runtimes.Path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		i.Runtimes, i.looked = local.RuntimeVersions(text), true
	}
	return i, nil
}

func (a commands) findAtDocker(ctx context.Context, name string) (shownImage, error) {
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
	if text, here, err := a.ImageRuntimes(ctx, name); err == nil && here {
		i.Runtimes, i.looked = local.RuntimeVersions(text), true
	}
	return i, nil
}

// pullImages pulls images as a build would, into Docker or else into the sandbox store.
// The next image is pulled after an error, but not after an interrupt.
func (a commands) pullImages(ctx context.Context, f *imageFlags, names []string) error {
	which := f.engine
	if which == "auto" && !slices.ContainsFunc(names, func(name string) bool { return !local.IsLocalImage(name) }) {
		which = "sandbox"
	}
	d, err := a.dockerFor(ctx, which)
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
	}
	terminal := a.IsTerminal()
	screen := console.NewText(a.Raw.Err, console.Options{Terminal: terminal && a.Color(terminal)})
	tell := func(p engine.Progress) {
		screen.Notify(runner.Event{Kind: runner.Pulled, Time: a.Now(), Pull: runner.Pull(p)})
	}
	var errs []error
	for _, name := range names {
		d, name := d, project.Curated(name)
		if local.IsLocalImage(name) && f.engine == "docker" {
			errs = append(
				errs,
				cli.Usagef("image %s cannot be used with --engine docker; omit --engine, or load it with docker load", name),
			)
			continue
		}
		if local.IsLocalImage(name) {
			d = nil
		}
		spec := engine.Spec{
			Image: engine.ImageRef{Names: project.ImageCandidates(name), Pull: engine.PullAlways},
			Hooks: engine.Hooks{OnProgress: tell},
		}
		if len(spec.Image.Names) > 1 { // the first name is that of the CodeBuild API, not of a registry
			spec.Image.Names = spec.Image.Names[1:]
		}
		if way, unpublished := project.Unpublished(name); unpublished {
			errs = append(errs, fmt.Errorf("image %s is not in any registry\n%s", name, way))
			continue
		}
		if terminal {
			fmt.Fprintf(a.Stderr, "asking for %s\r", spec.Image.Names[0])
		}
		err := a.pullImage(ctx, d, spec)
		screen.PullDone()
		if ctx.Err() != nil {
			fmt.Fprintf(a.Stderr, "pull of %s interrupted; the next pull resumes if the engine supports it\n", name)
			return cli.ExitError{Code: cli.ExitCode(err)}
		}
		if err == nil {
			fmt.Fprintf(a.Stdout, "%s is here\n", name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (a commands) pullImage(ctx context.Context, d *docker.Engine, spec engine.Spec) error {
	if d != nil {
		_, err := d.Need(ctx, spec)
		return err
	}
	var errs []error
	e := a.Sandbox(sandbox.Images)
	for _, name := range spec.Image.Names {
		err := e.Pull(ctx, name, spec.Hooks.ReportProgress)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errs[0]
}
