package image

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

// puller pulls images one after the other, and shows their progress as a build does.
type puller struct {
	*cli.App
	docker *docker.Engine // nil to pull into the sandbox store
	screen *console.Text  // on stderr, because stdout has the names of the pulled images
}

// pull pulls images as a build would, into Docker or else into the sandbox store. The
// next image is pulled after an error, but not after an interrupt.
func pull(ctx context.Context, a *cli.App, o *Options) error {
	which := o.Engine
	if which == "auto" && !slices.ContainsFunc(o.Names, func(name string) bool { return !local.IsLocalImage(name) }) {
		which = "sandbox" // Docker is not needed for files only, so it may be unreachable
	}
	d, err := dockerFor(ctx, a, which)
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
	}
	p := puller{App: a, docker: d, screen: console.NewText(a.Raw.Err, a.StatusOptions())}
	// One after the other: engines pull the layers of an image concurrently already.
	var errs []error
	for _, name := range o.Names {
		if local.IsLocalImage(name) && o.Engine == "docker" {
			const format = "image %s cannot be used with --engine docker; omit --engine, or load it with docker load"
			errs = append(errs, cli.Usagef(format, name))
			continue
		}
		name = project.Curated(name) // standard:7.0 is short for aws/codebuild/standard:7.0
		err := p.pull(ctx, name)
		if ctx.Err() != nil {
			// Layers that arrived completely are kept, so nothing is lost by the interrupt.
			fmt.Fprintf(a.Stderr, "pull of %s interrupted; the next pull resumes if the engine supports it\n", name)
			return cli.ExitError{Code: cli.ExitCode(err)}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// pull pulls one image, and prints its name if that succeeds.
func (p *puller) pull(ctx context.Context, name string) error {
	// Asking a registry would end in "access denied", which hides the reason.
	if hint, unpublished := project.Unpublished(name); unpublished {
		return fmt.Errorf("image %s is not in any registry\n%s", name, hint)
	}
	names := project.ImageCandidates(name)
	if len(names) > 1 {
		// A curated image has a name in the CodeBuild API, aws/codebuild/..., which no
		// registry has, and then the names under which public.ecr.aws publishes it.
		names = names[1:]
	}
	p.screen.Pulling(names[0]) // a registry may take seconds to answer
	d := p.docker
	if local.IsLocalImage(name) {
		d = nil // Docker cannot run oci: and tar: images
	}
	err := p.pullInto(ctx, d, names)
	p.screen.PullDone()
	if err == nil {
		_, err = fmt.Fprintf(p.Stdout, "pulled %s\n", name)
	}
	return err
}

// pullInto pulls the first of the names that exists, into Docker or if d is nil into the
// sandbox store.
func (p *puller) pullInto(ctx context.Context, d *docker.Engine, names []string) error {
	progress := func(e engine.Progress) {
		p.screen.Notify(runner.Event{Kind: runner.Pulled, Time: p.Now(), Pull: runner.Pull(e)})
	}
	// Docker tries the names itself. PullAlways also updates a tag that is there but old.
	if d != nil {
		_, err := d.Need(ctx, engine.Spec{
			Image: engine.ImageRef{Names: names, Pull: engine.PullAlways},
			Hooks: engine.Hooks{OnProgress: progress},
		})
		return err
	}
	var errs []error
	e := p.Sandbox(sandbox.Images)
	for _, name := range names {
		err := e.Pull(ctx, name, progress)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errs[0] // for the preferred name; the others are older names of the same image
}
