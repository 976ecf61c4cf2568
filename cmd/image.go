package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/runtimes"
)

// imageFlags are those of the commands about images.
type imageFlags struct {
	engine string // auto, docker or sandbox
	format string // text or json
	full   bool
}

func newImage(a *App) *cobra.Command {
	f := &imageFlags{}
	c := &cobra.Command{
		Use: "image", Aliases: []string{"images"}, Short: "List, pull, inspect, build and remove images",
		Long: "List images that builds can run in: those of the Docker engine, and those that the\n" +
			"sandbox engine keeps, unpacked by layer, in the user's cache directory.",
		Example: "  buildlocal image\n  buildlocal image pull node:22\n  buildlocal image prune",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.listImages(c.Context(), f) },
	}
	c.PersistentFlags().StringVar(&f.engine, "engine", "auto", "use only images of `ENGINE`: auto, docker or sandbox")
	c.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return f.check() }
	ls := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List images", Args: noArgs,
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
		Example: "  buildlocal image pull node:22\n  buildlocal image pull aws/codebuild/amazonlinux-x86_64-standard:5.0\n  buildlocal image pull tar:image.tar oci:layout:1.0",
		RunE:    func(c *cobra.Command, names []string) error { return a.pullImages(c.Context(), f, names) },
	}, &cobra.Command{
		Use: "rm IMAGE...", Short: "Remove images", Args: someArgs,
		Example: "  buildlocal image rm node:22\n  buildlocal image rm --engine sandbox node:20 node:22",
		RunE:    func(c *cobra.Command, names []string) error { return a.removeImages(c.Context(), f, names) },
	}, newImagePrune(a, f), newImageBuild(a), newImageSlim(a))
	return c
}

func (f *imageFlags) check() error {
	for _, one := range []struct {
		name, value string
		known       []string
	}{{"engine", f.engine, []string{"auto", "docker", "sandbox"}}, {"format", f.format, []string{"", "text", "json"}}} {
		if !slices.Contains(one.known, one.value) {
			return usagef("--%s: invalid value %q; expected %s", one.name, one.value, strings.Join(slices.DeleteFunc(one.known, func(k string) bool { return k == "" }), ", "))
		}
	}
	if f.engine == "sandbox" && runtime.GOOS != "linux" {
		return usagef("--engine: sandbox requires Linux; use docker")
	}
	return nil
}

// someArgs refuses a command that was told nothing to do.
func someArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("%s requires the name of an image", c.CommandPath())
	}
	return nil
}

func oneImage(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s requires the name of one image, got %d", c.CommandPath(), len(args))
	}
	return nil
}

func newImagePrune(a *App, f *imageFlags) *cobra.Command {
	unused := 30 * day
	all := false
	c := &cobra.Command{
		Use: "prune", Short: "Remove unused sandbox images", Args: noArgs,
		Example: "  buildlocal image prune\n  buildlocal image prune --unused-for 7d\n  buildlocal image prune --all",
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.engine == "docker":
				return usagef("--engine: image prune removes images of the sandbox only; use docker image prune")
			case unused < 0:
				return usagef("--unused-for: invalid value %v; expected a duration such as 48h", unused)
			case all && c.Flags().Changed("unused-for"):
				return usagef("--unused-for cannot be combined with --all")
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

// days is a duration that may be given in days.
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

// String returns days where they are whole.
func (d *days) String() string {
	if t := time.Duration(*d); t%day != 0 {
		return t.String()
	}
	return strconv.Itoa(int(time.Duration(*d)/day)) + "d"
}

// Type is the name of the value in the help.
func (d *days) Type() string { return "time" }

// shownImage is an image as it is listed.
type shownImage struct {
	Name     string    `json:"name"`
	Engine   string    `json:"engine"`
	ID       string    `json:"id"`
	Digest   string    `json:"digest,omitempty"`
	Size     int64     `json:"sizeInBytes"`
	Created  time.Time `json:"created,omitzero"`
	Used     time.Time `json:"used,omitzero"`
	Platform string    `json:"platform,omitempty"`
	// Runtimes has what is known of the image's runtimes.yml: the versions of each.
	Runtimes map[string][]string `json:"runtimes,omitempty"`
	looked   bool                // whether it was looked into
}

func (a *App) listImages(ctx context.Context, f *imageFlags) error {
	all, total, err := a.allImages(ctx, f.engine)
	if err != nil {
		return err
	}
	if f.format == "json" {
		return a.writeJSON(append([]shownImage{}, all...))
	}
	t := newTable(a.Stdout)
	t.row("IMAGE", "ENGINE", "ID", "SIZE", "AGE", "RUNTIMES")
	for _, i := range all {
		id := shortID(i.ID)
		if f.full {
			id = firstText(i.Digest, i.ID)
		}
		t.row(i.Name, i.Engine, id, console.Bytes(i.Size), strings.TrimSuffix(a.agoOr(i.Created, "-"), " ago"), i.offers())
	}
	if err := t.flush(); err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(i shownImage) bool { return !i.looked }) {
		fmt.Fprintln(a.Stdout, "\n? image not inspected yet; run buildlocal image inspect IMAGE")
	}
	if f.engine == "docker" {
		return nil
	}
	_, err = fmt.Fprintf(a.Stdout, "\nSandbox images use %s, in %s\n", console.Bytes(total), a.imageStore())
	return err
}

func (a *App) writeJSON(what any) error {
	text, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.raw.out, diag.EscapeJSON(string(text))+"\n")
	return err
}

func (a *App) agoOr(t time.Time, none string) string {
	if t.IsZero() || t.Unix() <= 0 {
		return none
	}
	return ago(a.Now().Sub(t))
}

// offers is what runtimes an image has, in a word or two.
func (i shownImage) offers() string {
	switch {
	case !i.looked:
		return "?"
	case len(i.Runtimes) == 0:
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(i.Runtimes)), ",")
}

// allImages returns the images of both engines, and how many bytes those of the sandbox
// have together.
func (a *App) allImages(ctx context.Context, which string) (all []shownImage, total int64, err error) {
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
			s.Runtimes, s.looked = a.knownRuntimes(i.ID)
			all = append(all, s)
		}
	} else if which == "auto" {
		fmt.Fprintln(a.Stderr, "Cannot connect to Docker; showing sandbox images only.")
	}
	if which == "docker" || runtime.GOOS != "linux" {
		return all, 0, nil
	}
	kept, total, err := a.sandboxEngine(sandbox.Images).Images()
	for _, i := range kept {
		s := shownImage{Name: i.Name, Engine: "sandbox", ID: i.ID, Digest: i.Digest, Size: i.Size, Created: i.Created, Used: i.Used}
		s.Runtimes, s.looked = a.knownRuntimes(i.ID)
		all = append(all, s)
	}
	return all, total, err
}

// dockerFor returns the Docker engine for a value of --engine: auto, docker or sandbox.
// It is nil where that is not to be asked, and for auto where none answers.
func (a *App) dockerFor(ctx context.Context, which string) (*docker.Engine, error) {
	if which == "sandbox" {
		return nil, nil
	}
	e, err := a.engine(ctx)
	if which == "auto" && noEngine(err) {
		return nil, nil
	}
	return e, err
}

// noEngine reports whether an error says that cannot connect to Docker.
func noEngine(err error) bool {
	var fault *engine.Fault
	return errors.As(err, &fault) && fault.Kind == engine.NoEngine
}

// imageNamed returns where in a list an image is that has one of some names; -1 for none.
func imageNamed(all []shownImage, names []string) int {
	return slices.IndexFunc(all, func(i shownImage) bool {
		return slices.ContainsFunc(names, func(name string) bool { return i.Name == name || i.Name == name+":latest" })
	})
}

// inspectImage looks into an image that is here.
func (a *App) inspectImage(ctx context.Context, f *imageFlags, name string) error {
	i, err := a.findImage(ctx, f, name)
	if err != nil {
		return err
	}
	if f.format == "json" {
		return a.writeJSON(i)
	}
	t := newTable(a.Stdout)
	row := func(title, text string) {
		if text != "" {
			t.row(title, text)
		}
	}
	row("image", i.Name)
	row("engine", i.Engine)
	row("id", i.ID)
	row("digest", i.Digest)
	row("platform", i.Platform)
	row("size", console.Bytes(i.Size))
	row("made", a.agoOr(i.Created, ""))
	row("used", a.agoOr(i.Used, ""))
	if i.looked && len(i.Runtimes) == 0 {
		row("runtimes", "none to choose from: "+runtimes.Path+" is not in it")
	}
	title := "runtimes"
	for _, name := range slices.Sorted(maps.Keys(i.Runtimes)) {
		row(title, name+" "+strings.Join(i.Runtimes[name], " "))
		title = " "
	}
	return t.flush()
}

// errNotHere is what errNoImage wraps.
var errNotHere = errors.New("is not here")

// errNoImage tells that an image is not here.
func errNoImage(name string) error {
	return usagef("image %s %w\nRun buildlocal image ls to list images, or buildlocal image pull to pull one", name, errNotHere)
}

// findImage finds an image that is here, at the Docker engine first, and looks into it.
func (a *App) findImage(ctx context.Context, f *imageFlags, name string) (shownImage, error) {
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
	at := imageNamed(kept, project.ImageSpellings(name))
	if at < 0 {
		return shownImage{}, missing
	}
	i := kept[at]
	text, err := a.sandboxEngine(sandbox.Images).ReadImageFile(i.Name, runtimes.Path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		i.Runtimes, i.looked = versionsOf(text), true
	}
	return i, nil
}

func (a *App) findAtDocker(ctx context.Context, name string) (shownImage, error) {
	e, err := a.engine(ctx)
	if err != nil {
		return shownImage{}, err
	}
	defer e.Close()
	got, err := e.Need(ctx, engine.Spec{Image: engine.ImageRef{Names: project.ImageSpellings(name), Pull: engine.PullNever}})
	var fault *engine.Fault
	if errors.As(err, &fault) && fault.Kind == engine.NoImage {
		return shownImage{}, errNoImage(name)
	}
	if err != nil {
		return shownImage{}, err
	}
	i := shownImage{Name: got.Name, Engine: "docker", ID: got.ID, Digest: got.Digest, Platform: got.Platform, Size: got.Size, Created: got.Created}
	if text, here, err := a.imageRuntimes(ctx, name); err == nil && here {
		i.Runtimes, i.looked = versionsOf(text), true
	}
	return i, nil
}

// versionsOf returns the versions of each runtime of a runtimes.yml.
func versionsOf(text []byte) map[string][]string {
	table, err := runtimes.Read(text)
	if err != nil || len(text) == 0 {
		return nil
	}
	all := map[string][]string{}
	for name, r := range table {
		all[name] = r.Keys()
	}
	return all
}

// pullImages brings images as a build would.
func (a *App) pullImages(ctx context.Context, f *imageFlags, names []string) error {
	which := f.engine
	if which == "auto" && !slices.ContainsFunc(names, func(name string) bool { return !isLocalImage(name) }) {
		which = "sandbox"
	}
	d, err := a.dockerFor(ctx, which)
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
	}
	terminal := a.isTerminal()
	screen := console.NewText(a.raw.err, console.Options{Terminal: terminal && a.color(terminal)})
	tell := func(p engine.Progress) {
		screen.Notify(runner.Event{Kind: runner.Pulled, Time: a.Now(), Pull: runner.Pull(p)})
	}
	var errs []error
	for _, name := range names {
		d, name := d, project.Curated(name)
		if isLocalImage(name) && f.engine == "docker" {
			errs = append(errs, usagef("image %s cannot be used with --engine docker; omit --engine, or load it with docker load", name))
			continue
		}
		if isLocalImage(name) {
			d = nil
		}
		spec := engine.Spec{Image: engine.ImageRef{Names: project.ImageSpellings(name), Pull: engine.PullAlways}, Hooks: engine.Hooks{OnProgress: tell}}
		if len(spec.Image.Names) > 1 { // the configured name of a curated image is no registry's
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
			return errFailed{exitCode(err)}
		}
		if err == nil {
			fmt.Fprintf(a.Stdout, "%s is here\n", name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (a *App) pullImage(ctx context.Context, d *docker.Engine, spec engine.Spec) error {
	if d != nil {
		_, err := d.Need(ctx, spec)
		return err
	}
	var errs []error
	e := a.sandboxEngine(sandbox.Images)
	for _, name := range spec.Image.Names {
		err := e.Pull(ctx, name, spec.Hooks.ReportProgress)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errs[0]
}
