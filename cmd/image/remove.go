package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/project"
)

// removeImages removes images from the engine that has them. An image in both engines is
// an error without --engine.
func (a commands) removeImages(ctx context.Context, f *imageFlags, names []string) error {
	d, err := a.dockerFor(ctx, f.engine)
	if err != nil {
		return err
	}
	if d != nil {
		defer d.Close()
	}
	var kept []shownImage
	if f.engine != "docker" {
		if kept, _, err = a.allImages(ctx, "sandbox"); err != nil {
			return err
		}
	}
	var errs []error
	for _, name := range names {
		if f.engine == "auto" && local.IsLocalImage(name) {
			errs = append(errs, a.removeKept(ctx, name)) // Docker does not have them
			continue
		}
		errs = append(errs, a.removeImage(ctx, d, kept, name))
	}
	return errors.Join(errs...)
}

// removeImage removes an image by the name that its engine has for it. The Docker engine e
// may be nil.
func (a commands) removeImage(ctx context.Context, e *docker.Engine, kept []shownImage, name string) error {
	names := project.ImageCandidates(project.Curated(name))
	at := imageNamed(kept, names)
	there, err := nameAt(ctx, e, names)
	switch {
	case err != nil:
		return err
	case there != "" && at >= 0:
		return cli.Usagef("image %s is in Docker and in the sandbox; choose one with --engine", name)
	case there != "":
		if err := e.RemoveImage(ctx, there); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.Stdout, "removed %s\n", there)
		return err
	case at >= 0:
		return a.removeKept(ctx, kept[at].Name)
	case e != nil:
		return errNoImage(name)
	}
	return a.removeKept(ctx, name) // returns the error for a missing image
}

// nameAt returns the first name for which an engine has an image, or "". The engine may be
// nil.
func nameAt(ctx context.Context, e *docker.Engine, names []string) (string, error) {
	if e == nil {
		return "", nil
	}
	for _, name := range names {
		if id, err := e.ImageID(ctx, []string{name}); err != nil || id != "" {
			return name, err
		}
	}
	return "", nil
}

// removeKept removes an image of the sandbox store.
func (a commands) removeKept(ctx context.Context, name string) error {
	e := a.Sandbox(sandbox.Images)
	before, _, listed := e.Images()
	err := e.RemoveImages(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return cli.Usagef(
			"%s\nRun buildlocal image ls to list images",
			strings.ReplaceAll(err.Error(), ": "+fs.ErrNotExist.Error(), ""),
		)
	}
	after, _, again := e.Images()
	if err := errors.Join(err, listed, again); err != nil {
		return err
	}
	a.reportKept(before, after)
	return nil
}

// reportKept reports images that lost a name and are kept under another one.
func (a commands) reportKept(before, after []images.Named) {
	for _, gone := range before {
		if slices.ContainsFunc(after, func(i images.Named) bool { return i.Name == gone.Name }) {
			continue
		}
		if at := slices.IndexFunc(after, func(i images.Named) bool { return i.ID == gone.ID }); at >= 0 {
			fmt.Fprintf(a.Stderr, "removed %s; its image is still tagged %s\n", gone.Name, after[at].Name)
		}
	}
}

// pruneImages removes images of the sandbox store that were not used for some time. Images
// in use are kept.
func (a commands) pruneImages(ctx context.Context, unused time.Duration) error {
	e := a.Sandbox(sandbox.Images)
	all, before, err := e.Images()
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(all, func(i images.Named) bool { return a.Now().Sub(i.Used) < unused })
	kept := 0
	for _, i := range old {
		err := e.RemoveImages(ctx, i.Name)
		switch {
		case errors.Is(err, images.ErrInUse):
			kept++
			fmt.Fprintf(a.Stderr, "kept %s: in use by a build\n", i.Name)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if err := e.RemoveImages(ctx); err != nil { // interrupted pulls
		return err
	}
	_, after, err := e.Images()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "removed %d images, %s\n", len(old)-kept, human.Bytes(before-after))
	return err
}
