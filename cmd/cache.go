package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/console"
)

// defaultCacheSize is how much is kept between builds, of all projects.
const defaultCacheSize = "10GB"

// isS3 tells a cache in a bucket from a directory.
func isS3(where string) bool { return strings.HasPrefix(where, "s3://") }

// cacheDir is where this machine keeps caches.
func (a *App) cacheDir(where string) (string, error) {
	if where != "" {
		return filepath.Abs(where)
	}
	if dir := a.cacheFile("cache"); dir != "" {
		return dir, nil
	}
	return filepath.Join(a.tempRoot(), "cache"), nil // a user without a home
}

// cachePlace is where a build's cache is kept, for a person; empty where it is not.
func (a *App) cachePlace(f *runFlags) string {
	if f.noCache {
		return ""
	}
	dir, err := a.cacheDir(f.cache)
	if isS3(f.cache) || err != nil {
		return f.cache
	}
	return dir
}

// cacheSize reads a size such as 10GB, in bytes.
func cacheSize(text string) (int64, error) {
	n, err := console.ParseBytes(text)
	if err != nil {
		return 0, fmt.Errorf("invalid value %q; expected a size such as 500MB or 10GB, or 0 for no limit", text)
	}
	return n, nil
}

// openCache returns what opens the store of a build's cache; nil where none is
// wanted.
func (a *App) openCache(f *runFlags, g *found) func(say func(string, ...any)) (cache.Store, error) {
	if f.noCache || g.without {
		return nil
	}
	if isS3(f.cache) {
		if a.env("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(packingLimit)
		}
		return func(func(string, ...any)) (cache.Store, error) { return g.bucket.Cache(f.cache) }
	}
	return func(say func(string, ...any)) (cache.Store, error) {
		dir, err := a.cacheDir(f.cache)
		if err != nil {
			return nil, err
		}
		limit, err := cacheSize(f.cacheSize)
		return cache.NewLocal(cache.Options{Dir: dir, Now: a.Now, Warnf: say, Limit: limit}), err
	}
}

// cacheScope says whose caches a build's are: a namespace's, which projects share,
// or a project's. In the user's own directory it is this source's project: others may
// have its name.
func (g *found) cacheScope(f *runFlags) string {
	const digits = 8
	name, more := g.projectName(f), ""
	if ns := g.project.Cache.Namespace; ns != "" {
		name = "namespace-" + strings.Trim(nameForm().ReplaceAllString(ns, "-"), "-")
		more = ns
	} else if f.cache == "" {
		more = g.source.Dir
		if dir, err := filepath.Abs(f.source); err == nil {
			more = dir
		}
	}
	if more != "" {
		sum := sha256.Sum256([]byte(more))
		name += "-" + hex.EncodeToString(sum[:])[:digits]
	}
	return name
}

func newCache(a *App) *cobra.Command {
	where := ""
	c := &cobra.Command{
		Use: "cache", Short: "List and remove caches",
		Long: "List the caches that builds saved for the cache section of their buildspec. They\n" +
			"are in the user's cache directory, or in the directory given by --cache.",
		Example: "  buildlocal cache\n  buildlocal cache info shop-12843d28/3545600712\n  buildlocal cache prune --size 2GB",
		Args:    noArgs,
	}
	c.PersistentFlags().StringVar(&where, "cache", "", "use the caches in `DIR`, as run --cache does")
	c.RunE = func(c *cobra.Command, _ []string) error { return a.listCaches(c.Context(), where) }
	prune := &cobra.Command{
		Use: "prune", Short: "Evict least recently used caches", Args: noArgs,
		Example: "  buildlocal cache prune\n  buildlocal cache prune --size 500MB",
	}
	size := defaultCacheSize
	prune.Flags().StringVar(&size, "size", size, "evict caches until their total size is at most `SIZE`, such as 500MB")
	prune.RunE = func(*cobra.Command, []string) error { return a.pruneCaches(where, size) }
	c.AddCommand(&cobra.Command{
		Use: "ls", Short: "List caches, most recently used first", Args: noArgs,
		Example: "  buildlocal cache ls\n  buildlocal cache ls --cache /var/cache/builds",
		RunE:    func(c *cobra.Command, _ []string) error { return a.listCaches(c.Context(), where) },
	}, &cobra.Command{
		Use: "info CACHE", Short: "Show the key, paths, files and usage of a cache", Args: oneCache,
		Example: "  buildlocal cache info shop-12843d28/3545600712\n  buildlocal cache info shop-12843d28/3545600712 --cache /var/cache/builds",
		RunE:    func(_ *cobra.Command, args []string) error { return a.showCache(where, args[0]) },
	}, &cobra.Command{
		Use: "rm CACHE...", Short: "Remove caches", Args: someCaches,
		Example: "  buildlocal cache rm shop-12843d28/3545600712\n  buildlocal cache rm --cache /var/cache/builds shop-12843d28/3545600712",
		RunE:    func(c *cobra.Command, args []string) error { return a.removeCaches(c.Context(), where, args) },
	}, prune)
	return c
}

func oneCache(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s needs the name of one cache; buildlocal cache ls lists them", c.CommandPath())
	}
	return nil
}

func someCaches(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("%s needs the name of a cache; buildlocal cache ls lists them", c.CommandPath())
	}
	return nil
}

// localCaches opens the caches of this machine.
func (a *App) localCaches(where string) (*cache.Local, string, error) {
	if isS3(where) {
		return nil, "", usagef("--cache: %s is a bucket; only local caches can be listed and removed: use aws s3 for a bucket", where)
	}
	dir, err := a.cacheDir(where)
	if err == nil {
		err = checkCacheDir(dir)
	}
	return cache.NewLocal(cache.Options{Dir: dir, Now: a.Now}), dir, err
}

// checkCacheDir returns a usage error for a directory that holds files of the user.
func checkCacheDir(dir string) error {
	err := cache.Check(dir)
	var foreign *cache.ForeignError
	if errors.As(err, &foreign) {
		return usagef("--cache: %w", err)
	}
	return nil // if it cannot be read, it has no caches
}

// wrongCache returns an error if the user has named a directory for caches that cannot
// be one. In the default directory nothing is saved then, and a note says so.
func (a *App) wrongCache(f *runFlags) error {
	if f.noCache || f.cache == "" || isS3(f.cache) {
		return nil
	}
	dir, err := a.cacheDir(f.cache)
	if err != nil {
		return err
	}
	return checkCacheDir(dir)
}

func (a *App) listCaches(ctx context.Context, where string) error {
	store, dir, err := a.localCaches(where)
	if err != nil {
		return err
	}
	all := store.List()
	t := newTable(a.Stdout)
	t.row("CACHE", "KEY", "FILES", "SIZE", "HITS", "USED")
	for _, e := range all {
		key := shortKey(firstText(e.Key, "-"))
		if e.Broken != "" {
			key = "not whole"
		}
		t.row(e.ID, key, e.Files, console.Bytes(e.Size), e.Hits, ago(a.Now().Sub(e.Used)))
	}
	sum := cache.Sum(all)
	locals, e := a.listLocal(ctx, dir)
	if e != nil {
		defer e.Close()
	}
	for _, l := range locals {
		bytes, files := l.size()
		if bytes < 0 {
			t.row(l.name, "local", "-", "-", "-", l.place())
			continue
		}
		sum += bytes
		t.row(l.name, "local", files, console.Bytes(bytes), "-", l.place())
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s in %s\n", console.Bytes(sum), dir)
	return err
}

// shortKey is the beginning of a key; one with a hash in it would fill the line.
func shortKey(key string) string {
	const most = 32
	if runes := []rune(key); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return key
}

// findCache returns the cache that a person means: its name, or the end of it.
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
		return nil, usagef("there is no cache %s; buildlocal cache ls lists them", name)
	case 1:
		return found[0], nil
	}
	return nil, usagef("%d caches are called %s; name one as buildlocal cache ls does", len(found), name)
}

func (a *App) showCache(where, name string) error {
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
	t := newTable(a.Stdout)
	row := func(name string, value any) { t.row(name, value) }
	row("cache", e.ID)
	row("key", firstText(e.Key, "none: each build replaces it"))
	row("paths", strings.Join(e.Paths, ", "))
	row("files", fmt.Sprintf("%d, %s", e.Files, console.Bytes(e.Size)))
	row("saved", fmt.Sprintf("%s by %s", e.Saved.Local().Format(time.DateTime), e.Build))
	row("used", fmt.Sprintf("%d times, last %s", e.Hits, ago(a.Now().Sub(e.Used))))
	row("image", e.Image)
	row("architecture", e.Arch)
	row("directory", e.Dir())
	return t.flush()
}

func (a *App) removeCaches(ctx context.Context, where string, names []string) error {
	store, dir, err := a.localCaches(where)
	if err != nil {
		return err
	}
	locals, docker := a.listLocal(ctx, dir)
	if docker != nil {
		defer docker.Close()
	}
	var errs []error
	for _, name := range names {
		if slices.ContainsFunc(locals, func(l localCache) bool { return l.name == name }) {
			errs = append(errs, a.removeLocal(ctx, locals, docker, name, dir))
			continue
		}
		e, err := findCache(store, name)
		if err == nil {
			err = store.Remove(e.ID)
		}
		switch {
		case errors.Is(err, cache.ErrInUse):
			err = fmt.Errorf("%s stays: %w", name, err)
		case errors.Is(err, fs.ErrNotExist):
			err = nil // somebody else was faster
		case err == nil:
			fmt.Fprintf(a.Stdout, "removed %s, %s\n", e.ID, console.Bytes(e.Size))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (a *App) pruneCaches(where, size string) error {
	limit, err := cacheSize(size)
	if err != nil {
		return usagef("--size: %w", err)
	}
	store, dir, err := a.localCaches(where)
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = 1 // nothing fits
	}
	store.Sweep()
	gone, err := store.Evict(limit, "")
	_, told := fmt.Fprintf(a.Stdout, "removed %d caches, %s; %s are left in %s\n", len(gone), console.Bytes(cache.Sum(gone)), console.Bytes(cache.Sum(store.List())), dir)
	return errors.Join(err, told)
}
