// Package caches has the command cache: list, inspect, remove and evict caches.
package caches

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// commands are the commands of an app.
type commands struct{ *cli.App }

// NewCmd returns the command cache.
func NewCmd(app *cli.App) *cobra.Command {
	a := commands{app}
	where := ""
	c := &cobra.Command{
		Use: "cache", Short: "List and remove caches",
		Long: "List the caches that builds saved for the cache section of their buildspec. They\n" +
			"are in the user's cache directory, or in the directory given by --cache.",
		Example: "  buildlocal cache\n  buildlocal cache info shop-12843d28/3545600712\n  buildlocal cache prune --size 2GB",
		Args:    cli.NoArgs,
	}
	c.PersistentFlags().StringVar(&where, "cache", "", "use the caches in `DIR`, as run --cache does")
	c.RunE = func(c *cobra.Command, _ []string) error { return a.listCaches(c.Context(), where) }
	prune := &cobra.Command{
		Use: "prune", Short: "Evict least recently used caches", Args: cli.NoArgs,
		Example: "  buildlocal cache prune\n  buildlocal cache prune --size 500MB",
	}
	size := local.DefaultCacheSize
	prune.Flags().StringVar(&size, "size", size, "evict caches until their total size is at most `SIZE`, such as 500MB")
	prune.RunE = func(*cobra.Command, []string) error { return a.pruneCaches(where, size) }
	c.AddCommand(&cobra.Command{
		Use: "ls", Short: "List caches, most recently used first", Args: cli.NoArgs,
		Example: "  buildlocal cache ls\n  buildlocal cache ls --cache /var/cache/builds",
		RunE:    func(c *cobra.Command, _ []string) error { return a.listCaches(c.Context(), where) },
	}, &cobra.Command{
		Use: "info CACHE", Short: "Show the key, paths, files and usage of a cache", Args: oneCache,
		Example: "  buildlocal cache info shop-12843d28/3545600712\n  buildlocal cache info shop-12843d28/3545600712 " +
			"--cache /var/cache/builds",
		RunE: func(_ *cobra.Command, args []string) error { return a.showCache(where, args[0]) },
	}, &cobra.Command{
		Use: "rm CACHE...", Short: "Remove caches", Args: someCaches,
		Example: "  buildlocal cache rm shop-12843d28/3545600712\n  buildlocal cache rm --cache /var/cache/builds " +
			"shop-12843d28/3545600712",
		RunE: func(c *cobra.Command, args []string) error { return a.removeCaches(c.Context(), where, args) },
	}, prune)
	return c
}

func oneCache(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("%s needs the name of one cache; buildlocal cache ls lists them", c.CommandPath())
	}
	return nil
}

func someCaches(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cli.Usagef("%s needs the name of a cache; buildlocal cache ls lists them", c.CommandPath())
	}
	return nil
}

// localCaches opens a directory of caches, and returns its path.
func (a commands) localCaches(where string) (*cache.Local, string, error) {
	if local.IsS3(where) {
		return nil, "", cli.Usagef(
			"--cache: %s is a bucket; only local caches can be listed and removed: use aws s3 for a bucket",
			where,
		)
	}
	dir, err := a.CacheDir(where)
	if err == nil {
		err = local.CheckCacheDir(dir)
	}
	return cache.NewLocal(cache.Options{Dir: dir, Now: a.Now}), dir, err
}

func (a commands) listCaches(ctx context.Context, where string) error {
	store, dir, err := a.localCaches(where)
	if err != nil {
		return err
	}
	all := store.List()
	t := cli.NewTable(a.Stdout)
	t.Row("CACHE", "KEY", "FILES", "SIZE", "HITS", "USED")
	for _, e := range all {
		key := shortKey(cmp.Or(e.Key, "-"))
		if e.Broken != "" {
			key = "incomplete"
		}
		t.Row(e.ID, key, e.Files, human.Bytes(e.Size), e.Hits, human.Ago(a.Now().Sub(e.Used)))
	}
	sum := cache.Sum(all)
	locals, e := a.ListLocalCaches(ctx, dir)
	if e != nil {
		defer e.Close()
	}
	for _, l := range locals {
		bytes, files := l.Size()
		if bytes < 0 {
			t.Row(l.Name, "local", "-", "-", "-", l.Place())
			continue
		}
		sum += bytes
		t.Row(l.Name, "local", files, human.Bytes(bytes), "-", l.Place())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s in %s\n", human.Bytes(sum), dir)
	return err
}

// shortKey shortens a key to the width of its column. Keys often end with a hash.
func shortKey(key string) string {
	const most = 32
	if runes := []rune(key); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return key
}

// findCache returns the cache with a name, which may be only the part after the slash if
// that is unique.
func findCache(store *cache.Local, name string) (*cache.Entry, error) {
	var found []*cache.Entry
	for _, e := range store.List() {
		if e.ID == name {
			return e, nil
		}
		if strings.HasSuffix(e.ID, "/"+name) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return nil, cli.Usagef("there is no cache %s; buildlocal cache ls lists them", name)
	case 1:
		return found[0], nil
	}
	return nil, cli.Usagef("%d caches are called %s; name one as buildlocal cache ls does", len(found), name)
}

func (a commands) showCache(where, name string) error {
	store, _, err := a.localCaches(where)
	if err != nil {
		return err
	}
	e, err := findCache(store, name)
	if err != nil {
		return err
	}
	if e.Broken != "" {
		return fmt.Errorf("the cache cannot be read: %s\nbuildlocal cache rm %s removes it", e.Broken, e.ID)
	}
	t := cli.NewTable(a.Stdout)
	row := func(name string, value any) { t.Row(name, value) }
	row("cache", e.ID)
	row("key", cmp.Or(e.Key, "not set: each build replaces it"))
	row("paths", strings.Join(e.Paths, ", "))
	row("files", fmt.Sprintf("%d, %s", e.Files, human.Bytes(e.Size)))
	row("saved", fmt.Sprintf("%s by %s", e.Saved.Local().Format(time.DateTime), e.Build))
	row("used", fmt.Sprintf("%d times, last %s", e.Hits, human.Ago(a.Now().Sub(e.Used))))
	row("image", e.Image)
	row("architecture", e.Arch)
	row("directory", e.Dir())
	return t.Flush()
}

func (a commands) removeCaches(ctx context.Context, where string, names []string) error {
	store, dir, err := a.localCaches(where)
	if err != nil {
		return err
	}
	locals, docker := a.ListLocalCaches(ctx, dir)
	if docker != nil {
		defer docker.Close()
	}
	var errs []error
	for _, name := range names {
		if slices.ContainsFunc(locals, func(l local.LocalCache) bool { return l.Name == name }) {
			errs = append(errs, a.removeLocal(ctx, locals, docker, name, dir))
			continue
		}
		e, err := findCache(store, name)
		if err == nil {
			err = store.Remove(e.ID)
		}
		switch {
		case errors.Is(err, cache.ErrInUse):
			err = fmt.Errorf("%s not removed: %w", name, err)
		case errors.Is(err, fs.ErrNotExist):
			err = nil // another process has removed it
		case err == nil:
			fmt.Fprintf(a.Stdout, "removed %s, %s\n", e.ID, human.Bytes(e.Size))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (a commands) pruneCaches(where, size string) error {
	limit, err := local.CacheSize(size)
	if err != nil {
		return cli.Usagef("--size: %w", err)
	}
	store, dir, err := a.localCaches(where)
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = 1 // for the store 0 is unlimited
	}
	store.Sweep()
	gone, err := store.Evict(limit, "")
	_, told := fmt.Fprintf(
		a.Stdout,
		"removed %d caches, %s; %s left in %s\n",
		len(gone),
		human.Bytes(cache.Sum(gone)),
		human.Bytes(cache.Sum(store.List())),
		dir,
	)
	return errors.Join(err, told)
}

// removeLocal removes all LOCAL caches with a name: the host and Docker may both have one.
func (a commands) removeLocal(ctx context.Context, all []local.LocalCache, e *docker.Engine, name, dir string) error {
	var errs []error
	for _, l := range all {
		if l.Name != name {
			continue
		}
		err := a.RemoveLocalCache(ctx, l, e, dir)
		if err == nil {
			fmt.Fprintf(a.Stdout, "removed %s, %s\n", name, l.Place())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
