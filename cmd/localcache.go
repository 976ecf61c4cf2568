package cmd

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/runner"
)

// labelCache marks what is kept for the modes of a LOCAL cache: its value is the
// cache's name.
// Beside it stand the host and its directory of caches, as one engine may serve
// several.
const (
	labelCache    = "dev.buildlocal.cache"
	labelCacheDir = "dev.buildlocal.cache-directory"
)

// localDir is below the directory of caches, and has one for each that a LOCAL cache
// keeps: scope/mode. Where Docker keeps it, that is where its lock is.
const localDir = cache.LocalDir

// localName is what the cache of a mode is called, besides its scope.
func localName(mode string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(mode, "LOCAL_"), "_CACHE"))
}

// volumes returns what the project's LOCAL cache keeps. Of two builds at once the first
// one has it until its end: two package managers, or two dockerds, in one directory
// would harm it.
func (g *found) volumes(a *App, f *runFlags, privileged bool) ([]engine.Volume, error) {
	modes := runner.LocalModes(g.project, privileged && f.docker != "socket") // whose layers the machine's engine keeps
	if f.noCache || len(modes) == 0 || isS3(f.cache) {
		return nil, nil
	}
	top, err := a.cacheDir(f.cache)
	if err != nil {
		return nil, err
	}
	scope := g.cacheScope(f)
	dir := filepath.Join(top, localDir, scope)
	if err := errors.Join(a.wrongCache(f), cache.Claim(top), makeDirs(top, localDir, scope)); err != nil {
		return nil, err
	}
	var all []engine.Volume
	number := sha256.Sum256([]byte(dir))
	for _, mode := range modes {
		name := localName(mode)
		lock, err := newLock(filepath.Join(dir, name+".lock"), os.O_CREATE|os.O_RDONLY)
		if err != nil {
			return nil, err
		}
		if locked, err := lock.TryLock(); err != nil || !locked {
			fmt.Fprintf(a.Stderr, "%s: in use by another build; not used for this one\n", mode)
			g.without = g.without || mode == runner.CustomCache
			continue
		}
		g.locks = append(g.locks, lock)
		all = append(all, engine.Volume{
			Name: "buildlocal-cache-" + scope + "-" + hex.EncodeToString(number[:4]) + "-" + name, Host: filepath.Join(dir, name),
			Path: runner.LocalPath(mode, hex.EncodeToString(number[:])), Labels: map[string]string{labelCache: scope + "/" + name, labelCacheDir: top, labelHost: a.Hostname},
		})
	}
	return all, nil
}

// localCache is what a LOCAL cache keeps.
type localCache struct {
	name string // scope/mode
	dir  string // on this machine; empty where Docker has it
	left engine.Resource
}

// listLocal returns what LOCAL caches keep for a directory of caches, in it and, where a
// Docker engine answers, there.
func (a *App) listLocal(ctx context.Context, dir string) ([]localCache, *docker.Engine) {
	var all []localCache
	for _, d := range localDirs(dir) {
		all = append(all, localCache{name: filepath.Base(filepath.Dir(d)) + "/" + filepath.Base(d), dir: d})
	}
	e, err := a.engine(ctx)
	if err != nil {
		return all, nil // there is none
	}
	left, err := e.List(ctx, labelCache)
	if err != nil {
		return all, e
	}
	for _, l := range left {
		if l.Labels[labelCacheDir] != dir || l.Labels[labelHost] != a.Hostname {
			continue
		}
		all = append(all, localCache{name: l.Labels[labelCache], left: l})
	}
	slices.SortStableFunc(all, func(a, b localCache) int { return cmp.Compare(a.name, b.name) })
	return all, e
}

// localDirs returns the directories that LOCAL caches have made below a directory of
// caches: those that have the name of a mode and its lock beside them. Links are not
// followed.
func localDirs(dir string) []string {
	var all []string
	scopes, _ := os.ReadDir(filepath.Join(dir, localDir))
	for _, scope := range scopes {
		if !scope.IsDir() {
			continue
		}
		for _, mode := range []string{runner.SourceCache, runner.DockerLayerCache, runner.CustomCache} {
			d := filepath.Join(dir, localDir, scope.Name(), localName(mode))
			info, err := os.Lstat(d)
			lock, lockErr := os.Lstat(d + ".lock")
			if err == nil && lockErr == nil && info.IsDir() && lock.Mode().IsRegular() {
				all = append(all, d)
			}
		}
	}
	return all
}

// makeDirs makes directories one below the other. None of them may be a link.
func makeDirs(dir string, below ...string) error {
	for _, name := range below {
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			return errors.Join(err, fmt.Errorf("%s is not a directory; remove it, or choose another one with --cache", dir))
		}
	}
	return nil
}

// place says where it is, and size how much it has, in bytes; -1 where only the engine
// knows.
func (c localCache) place() string {
	if c.dir == "" {
		return "volume " + c.left.Name
	}
	return c.dir
}

func (c localCache) size() (bytes int64, files int) {
	if c.dir == "" {
		return -1, 0
	}
	_ = filepath.WalkDir(c.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			bytes, files = bytes+info.Size(), files+1
		}
		return nil
	})
	return bytes, files
}

// removeLocal removes all that has a name: this machine and Docker may both have it.
func (a *App) removeLocal(ctx context.Context, all []localCache, e *docker.Engine, name, dir string) error {
	var errs []error
	for _, l := range all {
		if l.name != name {
			continue
		}
		err := l.remove(ctx, a, e, dir)
		if err == nil {
			fmt.Fprintf(a.Stdout, "removed %s, %s\n", name, l.place())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// remove removes it; what a plain user's build left may belong to numbers he borrows.
func (c localCache) remove(ctx context.Context, a *App, e *docker.Engine, dir string) error {
	scope, name, _ := strings.Cut(c.name, "/")
	lock, err := newLock(filepath.Join(dir, localDir, scope, name+".lock"), os.O_RDWR)
	if err != nil {
		return err
	}
	if _, err := os.Stat(lock.Path()); err == nil {
		locked, err := lock.TryLock()
		if err != nil || !locked {
			return fmt.Errorf("%s is in use by a build; not removed", c.name)
		}
		defer lock.Close()
	}
	if c.dir == "" {
		return e.Remove(ctx, c.left)
	}
	return a.sandboxEngine(sandbox.Images).Discard(ctx, c.dir)
}
