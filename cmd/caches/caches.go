// Package caches has the command cache: list, inspect, remove and evict caches.
//
// Two kinds of caches are listed together. Entries of the local store belong to the cache
// section of a buildspec; they have a key, and are evicted by size. LOCAL caches belong to
// a project of cache type LOCAL; they are directories or Docker volumes that each build
// changes in place, so they have no key, and only rm removes them.
package caches

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// Options are the flags and arguments of cache and its subcommands.
type Options struct {
	Dir    string   // --cache: the directory of the caches; "" for the user's
	Names  []string // of caches, for info and rm
	Format string   // text or json
	Size   int64    // prune: the total size in bytes that caches may keep; 0 removes all
}

// NewCmd returns the command cache.
func NewCmd(a *cli.App, runF cli.RunF[Options]) *cobra.Command {
	o := &Options{}
	// Without a subcommand, cache lists: that is what people want nearly always.
	do := func(work func(context.Context, *cli.App, *Options) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, names []string) error {
			if local.IsS3(o.Dir) {
				return cli.Usagef(
					"--cache: %s is a bucket; only local caches can be listed and removed: use aws s3 for a bucket", o.Dir,
				)
			}
			if err := cli.CheckFormat(o.Format); err != nil {
				return err
			}
			o.Names = names
			return runF.Or(a, work)(c.Context(), o)
		}
	}
	c := &cobra.Command{
		Use: "cache", Short: "List and remove caches",
		Long: "List the caches that builds saved for the cache section of their buildspec. They\n" +
			"are in the user's cache directory, or in the directory given by --cache.",
		Example: "  buildlocal cache\n  buildlocal cache info shop-12843d28/3545600712\n  buildlocal cache prune --size 2GB",
		Args:    cli.NoArgs, RunE: do(list),
	}
	c.PersistentFlags().StringVar(&o.Dir, "cache", "", "use the caches in `DIR`, as run --cache does")
	ls := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List caches, most recently used first", Args: cli.NoArgs,
		RunE:    do(list),
		Example: "  buildlocal cache ls\n  buildlocal cache ls --cache /var/cache/builds",
	}
	show := &cobra.Command{
		Use: "info CACHE", Short: "Show the key, paths, files and usage of a cache", Args: oneCache, RunE: do(info),
		Example: "  buildlocal cache info shop-12843d28/3545600712\n  buildlocal cache info shop-12843d28/3545600712 " +
			"--cache /var/cache/builds",
	}
	for _, c := range []*cobra.Command{c, ls, show} {
		cli.AddFormat(c, &o.Format)
	}
	c.AddCommand(ls, show, &cobra.Command{
		Use: "rm CACHE...", Short: "Remove caches", Args: someCaches, RunE: do(remove),
		Example: "  buildlocal cache rm shop-12843d28/3545600712\n  buildlocal cache rm --cache /var/cache/builds " +
			"shop-12843d28/3545600712",
	}, newPrune(o, do(prune)))
	return c
}

// newPrune returns the command prune. The size is parsed here, so a test of the flags
// covers it.
func newPrune(o *Options, runE func(*cobra.Command, []string) error) *cobra.Command {
	size := local.DefaultCacheSize
	c := &cobra.Command{
		Use: "prune", Short: "Evict least recently used caches", Args: cli.NoArgs,
		Example: "  buildlocal cache prune\n  buildlocal cache prune --size 500MB",
	}
	c.Flags().StringVar(&size, "size", size, "evict caches until their total size is at most `SIZE`, such as 500MB")
	c.RunE = func(c *cobra.Command, args []string) error {
		var err error
		if o.Size, err = local.CacheSize(size); err != nil {
			return cli.Usagef("--size %s: %w", size, err)
		}
		return runE(c, args)
	}
	return c
}

// oneCache requires exactly one argument. Names are long, and the list has them to copy.
func oneCache(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("%s requires the name of one cache\nbuildlocal cache ls lists them", c.CommandPath())
	}
	return nil
}

// someCaches requires one argument or more: "rm" without a name must not remove everything.
func someCaches(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cli.Usagef("%s requires the name of a cache\nbuildlocal cache ls lists them", c.CommandPath())
	}
	return nil
}

// open opens the directory of caches, and returns its absolute path. A directory with
// files of other programs is refused before anything in it is listed as a cache, and so
// could be removed.
func open(a *cli.App, o *Options) (*cache.Local, string, error) {
	dir, err := a.CacheDir(o.Dir)
	if err == nil {
		err = local.CheckCacheDir(dir)
	}
	return cache.NewLocal(cache.Options{Dir: dir, Now: a.Now}), dir, err
}

// findCache returns the cache with a name. The part after the slash is enough if only one
// project has such a cache.
func findCache(store *cache.Local, name string) (*cache.Entry, error) {
	var found []*cache.Entry
	for _, e := range store.List() {
		if e.ID == name { // a full name is never ambiguous
			return e, nil
		}
		if strings.HasSuffix(e.ID, "/"+name) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return nil, cli.Usagef("there is no cache %s\nbuildlocal cache ls lists them", name)
	case 1:
		return found[0], nil
	}
	return nil, cli.Usagef("%d caches are called %s; use the full name that buildlocal cache ls prints", len(found), name)
}

// remove removes the named caches. It goes on after an error, and returns all errors.
func remove(ctx context.Context, a *cli.App, o *Options) error {
	store, dir, err := open(a, o)
	if err != nil {
		return err
	}
	r := remover{App: a, store: store, dir: dir}
	r.locals, r.docker = a.ListLocalCaches(ctx, dir)
	if r.docker != nil {
		defer r.docker.Close()
	}
	// LOCAL caches first: their names, such as shop-12843d28/source, have the form of others.
	var errs []error
	for _, name := range o.Names {
		isLocal := slices.ContainsFunc(r.locals, func(l local.LocalCache) bool { return l.Name == name })
		if isLocal {
			errs = append(errs, r.removeLocal(ctx, name))
		} else {
			errs = append(errs, r.removeEntry(name))
		}
	}
	return errors.Join(errs...)
}

// remover removes caches of one directory.
type remover struct {
	*cli.App
	store  *cache.Local
	dir    string
	locals []local.LocalCache
	docker *docker.Engine // has some of the LOCAL caches; nil if it cannot be reached
}

// removeEntry removes an entry of the store. An entry that a running build restores or
// saves is locked, and stays.
func (r *remover) removeEntry(name string) error {
	e, err := findCache(r.store, name)
	if err == nil {
		err = r.store.Remove(e.ID)
	}
	switch {
	case errors.Is(err, cache.ErrInUse):
		return fmt.Errorf("%s not removed: %w", name, err)
	case errors.Is(err, fs.ErrNotExist):
		return nil // another process has removed it
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(r.Stdout, "removed %s, %s\n", e.ID, human.Bytes(e.Size))
	return err
}

// removeLocal removes all LOCAL caches with a name: builds on different engines leave one
// on the host and one in Docker.
func (r *remover) removeLocal(ctx context.Context, name string) error {
	var errs []error
	for _, l := range r.locals {
		if l.Name != name {
			continue
		}
		err := r.RemoveLocalCache(ctx, l, r.docker, r.dir)
		if err == nil {
			fmt.Fprintf(r.Stdout, "removed %s, %s\n", name, l.Place())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// prune evicts entries of the store, the least recently used first. Interrupted saves are
// removed before, because their space counts too.
func prune(_ context.Context, a *cli.App, o *Options) error {
	store, dir, err := open(a, o)
	if err != nil {
		return err
	}
	limit := max(o.Size, 1) // the store takes 0 as unlimited, but no cache fits in one byte
	store.Sweep()
	gone, err := store.Evict(limit, "") // "": no entry is exempt
	_, printErr := fmt.Fprintf(
		a.Stdout,
		"removed %s, %s; %s left in %s\n",
		human.Count(len(gone), "cache"),
		human.Bytes(cache.Sum(gone)),
		human.Bytes(cache.Sum(store.List())),
		dir,
	)
	return errors.Join(err, printErr)
}
