package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/project"
)

func shortID(id string) string {
	const length = 12
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(length, len(id))]
}

// ago says how long ago something was, in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/day)
}

// removeImages removes images where they are; in both engines only where that is said.
func (a *App) removeImages(ctx context.Context, f *imageFlags, names []string) error {
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
		if f.engine == "auto" && isLocalImage(name) {
			errs = append(errs, a.removeKept(ctx, name)) // Docker has none of those
			continue
		}
		errs = append(errs, a.removeImage(ctx, d, kept, name))
	}
	return errors.Join(errs...)
}

// removeImage removes an image from the engine that has it, by the name it has there; e
// is nil where that of Docker is not to be asked.
func (a *App) removeImage(ctx context.Context, e *docker.Engine, kept []shownImage, name string) error {
	names := project.ImageCandidates(project.Curated(name))
	at := imageNamed(kept, names)
	there, err := nameAt(ctx, e, names)
	switch {
	case err != nil:
		return err
	case there != "" && at >= 0:
		return usagef("image %s is in Docker and in the sandbox; choose one with --engine", name)
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
	return a.removeKept(ctx, name) // which tells that there is none
}

// nameAt returns the first of some names that an engine has an image of; "" for none,
// and for no engine.
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

// removeKept removes an image that we keep ourselves.
func (a *App) removeKept(ctx context.Context, name string) error {
	e := a.sandboxEngine(sandbox.Images)
	before, _, listed := e.Images()
	err := e.RemoveImages(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("%s\nRun buildlocal image ls to list images", strings.ReplaceAll(err.Error(), ": "+fs.ErrNotExist.Error(), ""))
	}
	after, _, again := e.Images()
	if err := errors.Join(err, listed, again); err != nil {
		return err
	}
	a.tellKept(before, after)
	return nil
}

// tellKept tells images that lost a name and stay by another one.
func (a *App) tellKept(before, after []images.Named) {
	for _, gone := range before {
		if slices.ContainsFunc(after, func(i images.Named) bool { return i.Name == gone.Name }) {
			continue
		}
		if at := slices.IndexFunc(after, func(i images.Named) bool { return i.ID == gone.ID }); at >= 0 {
			fmt.Fprintf(a.Stderr, "removed %s; its image is still tagged %s\n", gone.Name, after[at].Name)
		}
	}
}

// pruneImages removes images that were not used for a time; those in use stay.
func (a *App) pruneImages(ctx context.Context, unused time.Duration) error {
	e := a.sandboxEngine(sandbox.Images)
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
	if err := e.RemoveImages(ctx); err != nil { // what was cut off
		return err
	}
	_, after, err := e.Images()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "removed %d images, %s\n", len(old)-kept, console.Bytes(before-after))
	return err
}
