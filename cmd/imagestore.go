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
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox"
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

// removeKept removes images that we keep ourselves.
func (a *App) removeKept(ctx context.Context, names []string) error {
	e := a.sandboxEngine(sandbox.Images)
	before, _, listed := e.Images()
	err := e.RemoveImages(ctx, names...)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("%s\nbuildlocal image ls lists what is there", strings.ReplaceAll(err.Error(), ": "+fs.ErrNotExist.Error(), ""))
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
			fmt.Fprintf(a.Stderr, "%s is gone, and its image stays by its other name, %s\n", gone.Name, after[at].Name)
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
			fmt.Fprintf(a.Stderr, "kept %s: a build uses it\n", i.Name)
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
