package local

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
	"runtime/debug"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/rundir"
	"github.com/buildlocal/buildlocal/runner"
)

// Labels of volumes that keep a LOCAL cache: its name, and the directory of caches that
// it belongs to, because one engine may serve several hosts and directories.
const (
	LabelCache    = "dev.buildlocal.cache"
	LabelCacheDir = "dev.buildlocal.cache-directory"
)

// CacheDir returns the directory of caches for the value of --cache, which is "" for the
// user's cache directory. A user without a home directory has caches in the temporary
// directory.
func (h *Host) CacheDir(place string) (string, error) {
	if place != "" {
		return filepath.Abs(place)
	}
	if dir := h.CacheFile("cache"); dir != "" {
		return dir, nil
	}
	return filepath.Join(h.Runs().Path, "cache"), nil
}

// CheckCacheDir returns a UsageError for a directory that contains files of the user.
func CheckCacheDir(dir string) error {
	err := cache.Check(dir)
	var foreign *cache.ForeignError
	if errors.As(err, &foreign) {
		return Usagef("--cache: %w", err)
	}
	return nil // a directory that cannot be read has no caches
}

// checkCache returns an error if the user named a directory that cannot contain caches.
// Problems with the default directory only make the build run without a cache.
func (h *Host) checkCache(r *Request) error {
	if r.Cache.Off || r.Cache.Place == "" || IsS3(r.Cache.Place) {
		return nil
	}
	dir, err := h.CacheDir(r.Cache.Place)
	if err != nil {
		return err
	}
	return CheckCacheDir(dir)
}

// cachePlace describes where the cache of a build is kept; it is "" without a cache.
func (h *Host) cachePlace(r *Request) string {
	if r.Cache.Off {
		return ""
	}
	dir, err := h.CacheDir(r.Cache.Place)
	if IsS3(r.Cache.Place) || err != nil {
		return r.Cache.Place
	}
	return dir
}

// packingMemoryLimit is the soft memory limit, in bytes, while a cache is packed for a
// bucket and parts of it wait in memory.
const packingMemoryLimit = 44 << 20

// cacheOpener returns a function that opens the store of caches, or nil if the build has
// none.
func (in *Inputs) cacheOpener(off bool) func(say func(string, ...any)) (cache.Store, error) {
	r, h := in.Request, in.host
	if r.Cache.Off || off {
		return nil
	}
	if IsS3(r.Cache.Place) {
		// The limit is one of the whole process, and the user's own setting takes precedence.
		if h.Env("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(packingMemoryLimit)
		}
		return func(func(string, ...any)) (cache.Store, error) { return in.aws.bucket.Cache(r.Cache.Place) }
	}
	return func(say func(string, ...any)) (cache.Store, error) {
		dir, err := h.CacheDir(r.Cache.Place)
		if err != nil {
			return nil, err
		}
		limit, err := CacheSize(r.Cache.Size)
		return cache.NewLocal(cache.Options{Dir: dir, Now: h.Now, Warnf: say, Limit: limit}), err
	}
}

// cacheScope returns the name of the group of caches that a build uses: those of its
// namespace, which several projects share, or those of its project. In the user's own
// directory the project is that of this source, because other sources may have a project
// with the same name.
func (in *Inputs) cacheScope() string {
	const digits = 8
	// The name is for people who look into the directory, and the digits of a hash make it
	// unique: characters of a namespace that file names cannot have are replaced.
	name, unique := in.ProjectName, ""
	if ns := in.Project.Cache.Namespace; ns != "" {
		name = "namespace-" + strings.Trim(notInNames().ReplaceAllString(ns, "-"), "-")
		unique = ns
	} else if in.Request.Cache.Place == "" {
		unique = in.Source.Dir
		if dir, err := filepath.Abs(in.Source.From); err == nil {
			unique = dir
		}
	}
	if unique != "" {
		sum := sha256.Sum256([]byte(unique))
		name += "-" + hex.EncodeToString(sum[:])[:digits]
	}
	return name
}

// localModeName returns the name of the cache of a LOCAL mode, such as source.
func localModeName(mode string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(mode, "LOCAL_"), "_CACHE"))
}

// localVolumes are the volumes of a build's LOCAL cache, with locks that the build holds
// until its end. The zero value has none.
type localVolumes struct {
	volumes []engine.Volume
	locks   []interface{ Close() error }
	busy    []string // modes whose volume another build uses
}

func (v *localVolumes) close() {
	for _, lock := range v.locks {
		_ = lock.Close()
	}
}

// openVolumes locks and returns the volumes of the project's LOCAL cache. A volume that
// another build uses is left out: two package managers, or two Docker daemons, would
// corrupt it.
func (in *Inputs) openVolumes(privileged bool) (*localVolumes, error) {
	h, r, all := in.host, in.Request, &localVolumes{}
	// With the host's Docker socket the host's engine caches the layers by itself.
	modes := runner.LocalModes(in.Project, privileged && r.Engine.Docker != "socket")
	if r.Cache.Off || len(modes) == 0 || IsS3(r.Cache.Place) {
		return all, nil
	}
	top, err := h.CacheDir(r.Cache.Place)
	if err != nil {
		return all, err
	}
	scope := in.cacheScope()
	dir := filepath.Join(top, cache.LocalDir, scope)
	if err := errors.Join(h.checkCache(r), cache.Claim(top), makeDirs(top, cache.LocalDir, scope)); err != nil {
		return all, err
	}
	// Volumes of one engine share a name space, so the directory is part of their names.
	unique := sha256.Sum256([]byte(dir))
	for _, mode := range modes {
		name := localModeName(mode)
		lock, err := rundir.Lock(filepath.Join(dir, name+".lock"), os.O_CREATE|os.O_RDONLY)
		if err != nil {
			return all, err
		}
		if locked, err := lock.TryLock(); err != nil || !locked {
			all.busy = append(all.busy, mode)
			continue
		}
		all.locks = append(all.locks, lock)
		all.volumes = append(all.volumes, engine.Volume{
			Name:   "buildlocal-cache-" + scope + "-" + hex.EncodeToString(unique[:4]) + "-" + name,
			Host:   filepath.Join(dir, name),
			Path:   runner.LocalPath(mode, hex.EncodeToString(unique[:])),
			Labels: map[string]string{LabelCache: scope + "/" + name, LabelCacheDir: top, LabelHost: h.Hostname},
		})
	}
	return all, nil
}

// makeDirs creates directories, each below the one before. None of them may be a link.
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

// LocalCache is the volume of one mode of a LOCAL cache.
type LocalCache struct {
	Name     string // scope/mode
	dir      string // on the host; "" if Docker has it
	resource engine.Resource
}

// ListLocalCaches returns the LOCAL caches of a directory of caches: those in it, and
// those at the Docker engine if it can be reached. The engine is nil if it cannot; else
// the caller closes it.
func (h *Host) ListLocalCaches(ctx context.Context, dir string) ([]LocalCache, *docker.Engine) {
	var all []LocalCache
	for _, d := range localCacheDirs(dir) {
		all = append(all, LocalCache{Name: filepath.Base(filepath.Dir(d)) + "/" + filepath.Base(d), dir: d})
	}
	e, err := h.Docker(ctx)
	if err != nil {
		return all, nil
	}
	resources, err := e.List(ctx, LabelCache)
	if err != nil {
		return all, e
	}
	for _, r := range resources {
		if r.Labels[LabelCacheDir] == dir && r.Labels[LabelHost] == h.Hostname {
			all = append(all, LocalCache{Name: r.Labels[LabelCache], resource: r})
		}
	}
	slices.SortStableFunc(all, func(a, b LocalCache) int { return cmp.Compare(a.Name, b.Name) })
	return all, e
}

// localCacheDirs returns the directories of LOCAL caches below a directory of caches:
// those with the name of a mode and a lock beside them. Links are not followed.
func localCacheDirs(dir string) []string {
	var all []string
	scopes, _ := os.ReadDir(filepath.Join(dir, cache.LocalDir))
	for _, scope := range scopes {
		if !scope.IsDir() {
			continue
		}
		for _, mode := range []string{runner.SourceCache, runner.DockerLayerCache, runner.CustomCache} {
			d := filepath.Join(dir, cache.LocalDir, scope.Name(), localModeName(mode))
			info, err := os.Lstat(d)
			lock, lockErr := os.Lstat(d + ".lock")
			if err == nil && lockErr == nil && info.IsDir() && lock.Mode().IsRegular() {
				all = append(all, d)
			}
		}
	}
	return all
}

// Place describes where the cache is.
func (c LocalCache) Place() string {
	if c.dir == "" {
		return "volume " + c.resource.Name
	}
	return c.dir
}

// Size returns the bytes and the number of files of the cache. Bytes is -1 if only the
// Docker engine knows it.
func (c LocalCache) Size() (bytes int64, files int) {
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

// RemoveLocalCache removes a LOCAL cache of a directory of caches. The Docker engine may
// be nil if the cache is in the directory.
func (h *Host) RemoveLocalCache(ctx context.Context, c LocalCache, e *docker.Engine, dir string) error {
	scope, name, _ := strings.Cut(c.Name, "/")
	lock, err := rundir.Lock(filepath.Join(dir, cache.LocalDir, scope, name+".lock"), os.O_RDWR)
	if err != nil {
		return err
	}
	// A volume of the engine may have outlived its directory, and then has no lock to take.
	if _, err := os.Stat(lock.Path()); err == nil {
		locked, err := lock.TryLock()
		if err != nil || !locked {
			return fmt.Errorf("%s is in use by a build; not removed", c.Name)
		}
		defer lock.Close()
	}
	if c.dir == "" {
		return e.Remove(ctx, c.resource)
	}
	// Files of a non-root user's build may be owned by subordinate IDs, which only the
	// sandbox can remove.
	return h.Sandbox(sandbox.Images).Discard(ctx, c.dir)
}
