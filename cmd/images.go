package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/images"
	"github.com/buildlocal/buildlocal/engine/sandbox"
)

func newImages(a *App) *cobra.Command {
	c := &cobra.Command{
		Use: "images", Short: "List, bring and remove the images that need no Docker",
		Long: "images lists the images that the engine sandbox keeps: each layer unpacked once,\n" +
			"shared between images, in the cache directory of the user.",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.listImages() },
	}
	unused := 30 * 24 * time.Hour
	all := false
	prune := &cobra.Command{
		Use: "prune", Short: "Remove images that no build used of late", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case unused < 0:
				return usagef("--unused-for is %v; expected a time such as 48h", unused)
			case all && c.Flags().Changed("unused-for"):
				return usagef("--unused-for is set, and --all too; give one")
			case all:
				unused = 0
			}
			return a.pruneImages(c.Context(), unused)
		},
	}
	prune.Flags().DurationVar(&unused, "unused-for", unused, "remove those not used for this `time`, such as 48h")
	prune.Flags().BoolVar(&all, "all", false, "remove all that no build uses now")
	c.AddCommand(&cobra.Command{
		Use: "pull IMAGE...", Short: "Bring images: from a registry, oci:DIR or tar:FILE", Args: someArgs,
		Example: "  buildlocal images pull node:22\n  buildlocal images pull tar:image.tar oci:layout:1.0",
		RunE:    func(c *cobra.Command, names []string) error { return a.pullImages(c.Context(), names) },
	}, &cobra.Command{
		Use: "rm IMAGE...", Short: "Remove images", Args: someArgs,
		RunE: func(c *cobra.Command, names []string) error { return a.removeImages(c.Context(), names) },
	}, prune)
	return c
}

// someArgs refuses a command that was told nothing to do.
func someArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("%s needs the name of an image", c.CommandPath())
	}
	return nil
}

func (a *App) listImages() error {
	all, total, err := a.sandboxEngine(sandbox.Images).Images()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tID\tSIZE\tUSED")
	for _, i := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", i.Name, shortID(i.ID), console.Bytes(i.Size), ago(a.Now().Sub(i.Used)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s in %s\n", console.Bytes(total), a.imageStore())
	return err
}

func shortID(id string) string {
	const length = 12
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(length, len(id))]
}

// ago says how long ago something was, in its largest unit.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
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

func (a *App) pullImages(ctx context.Context, names []string) error {
	e := a.sandboxEngine(sandbox.Images)
	var errs []error
	for _, name := range names {
		err := e.Pull(ctx, name, func(p engine.Progress) {
			if p.Status == "Pull complete" {
				fmt.Fprintf(a.Stderr, "%s: %s\n", p.Layer, p.Status)
			}
		})
		if ctx.Err() != nil {
			return errFailed{exitCode(err)}
		}
		if err == nil {
			fmt.Fprintf(a.Stdout, "%s is here\n", name)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (a *App) removeImages(ctx context.Context, names []string) error {
	e := a.sandboxEngine(sandbox.Images)
	before, _, listed := e.Images()
	err := e.RemoveImages(ctx, names...)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("%w\nbuildlocal images lists what is there", err)
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
