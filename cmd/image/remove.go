package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/project"
)

// remove removes images from the engine that has them. An image in both engines is an
// error without --engine. The other images are removed after an error.
func remove(ctx context.Context, a *cli.App, o *Options) error {
	d, err := dockerFor(ctx, a, o.Engine)
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
	}
	r := remover{App: a, docker: d}
	if o.Engine != "docker" {
		if r.inStore, _, err = allImages(ctx, a, "sandbox"); err != nil {
			return err
		}
	}
	var errs []error
	for _, name := range o.Names {
		if o.Engine == "auto" && local.IsLocalImage(name) {
			errs = append(errs, r.removeFromStore(ctx, name)) // Docker cannot have oci: and tar: images
			continue
		}
		errs = append(errs, r.remove(ctx, name))
	}
	return errors.Join(errs...)
}

// remover removes images from both engines.
type remover struct {
	*cli.App
	docker  *docker.Engine // nil with --engine sandbox, or if it cannot be reached
	inStore []shownImage   // the images of the sandbox store; none with --engine docker
}

// remove removes an image by the name that its engine has for it: users may leave out a
// tag, and the prefix of a curated image.
func (r *remover) remove(ctx context.Context, name string) error {
	names := project.ImageCandidates(project.Curated(name))
	at := indexOf(r.inStore, names)
	atDocker, err := nameAt(ctx, r.docker, names)
	switch {
	case err != nil:
		return err
	case atDocker != "" && at >= 0:
		return cli.Usagef("image %s is in Docker and in the sandbox; choose one with --engine", name)
	case atDocker != "":
		if err := r.docker.RemoveImage(ctx, atDocker); err != nil {
			return err
		}
		_, err := fmt.Fprintf(r.Stdout, "removed %s\n", atDocker)
		return err
	case at >= 0:
		return r.removeFromStore(ctx, r.inStore[at].Name)
	case r.docker != nil: // both were asked, or Docker alone
		return errNoImage(name)
	}
	return r.removeFromStore(ctx, name) // returns the error for a missing image
}

// nameAt returns the first name for which an engine has an image, or "". The engine may be
// nil. Names are tried in the order in which a build would.
func nameAt(ctx context.Context, e *docker.Engine, names []string) (string, error) {
	if e == nil {
		return "", nil
	}
	// The engine takes several names at once, but would not say which of them it has.
	for _, name := range names {
		if id, err := e.ImageID(ctx, []string{name}); err != nil || id != "" {
			return name, err
		}
	}
	return "", nil
}

// removeFromStore removes an image of the sandbox store. Layers that other images share
// are kept.
func (r *remover) removeFromStore(ctx context.Context, name string) error {
	e := r.Sandbox(sandbox.Images)
	// Listed before and after, because the engine does not report what else had the name.
	before, _, listErr := e.Images()
	err := e.RemoveImages(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return cli.Usagef(
			"%s\nRun buildlocal image ls to list images",
			strings.ReplaceAll(err.Error(), ": "+fs.ErrNotExist.Error(), ""), // "file does not exist" is no help
		)
	}
	after, _, relistErr := e.Images()
	if err := errors.Join(err, listErr, relistErr); err != nil {
		return err
	}
	r.reportOtherNames(before, after)
	return nil
}

// reportOtherNames reports images that lost a name, but still take space under another
// one, as docker image rm does with "Untagged".
func (r *remover) reportOtherNames(before, after []images.Named) {
	for _, gone := range before {
		if slices.ContainsFunc(after, func(i images.Named) bool { return i.Name == gone.Name }) {
			continue
		}
		if at := slices.IndexFunc(after, func(i images.Named) bool { return i.ID == gone.ID }); at >= 0 {
			fmt.Fprintf(r.Stderr, "removed %s; its image is still tagged %s\n", gone.Name, after[at].Name)
		}
	}
}

// prune removes images of the sandbox store that were not used for some time. Images that
// a build uses now are kept, however old their last use is.
func prune(ctx context.Context, a *cli.App, o *Options) error {
	e := a.Sandbox(sandbox.Images)
	all, before, err := e.Images()
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(all, func(i images.Named) bool { return a.Now().Sub(i.Used) < o.UnusedFor })
	kept := 0
	for _, i := range old {
		err := e.RemoveImages(ctx, i.Name)
		switch {
		case errors.Is(err, images.ErrInUse):
			kept++
			fmt.Fprintf(a.Stderr, "kept %s: in use by a build\n", i.Name)
		case err != nil && !errors.Is(err, fs.ErrNotExist): // another process may have removed it
			return err
		}
	}
	if err := e.RemoveImages(ctx); err != nil { // without a name: leftovers of interrupted pulls
		return err
	}
	_, after, err := e.Images()
	if err != nil {
		return err
	}
	if len(old) == kept && before == after {
		_, err = fmt.Fprintln(a.Stdout, "nothing to remove")
		return err
	}
	// The freed space is measured, because images share layers.
	_, err = fmt.Fprintf(a.Stdout, "removed %s, %s\n", human.Count(len(old)-kept, "image"), human.Bytes(before-after))
	return err
}
