package local

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// CacheEntry describes the cache that a build would restore: "80 files, 12MB, saved 20 min ago by
// #11". It is "" without a cache, and if that cannot be known before the build: buckets are not
// asked, and keys with commands or variables need the build's shell.
func (in *Inputs) CacheEntry(p *runner.Plan) string {
	c := p.Cache
	if c == nil || p.CachePlace == "" || IsS3(p.CachePlace) || slices.Contains(p.CacheModes, runner.CustomCache) ||
		c.Action == runner.CacheSave || strings.ContainsAny(c.Key+strings.Join(c.FallbackKeys, ""), "$`") {
		return ""
	}
	_, arch, _ := strings.Cut(cmp.Or(p.Platform, "linux/"+runtime.GOARCH), "/")
	name := cache.Name{Scope: in.cacheScope(), Paths: c.Paths, Arch: arch,
		Key: strings.TrimSpace(c.Key), Fallbacks: c.FallbackKeys}
	store := cache.NewLocal(cache.Options{Dir: p.CachePlace, Now: in.host.Now})
	all := slices.DeleteFunc(store.List(), func(e *cache.Entry) bool {
		return e.Broken != "" || e.Scope != name.Scope || e.Version != name.Version() || e.Arch != arch
	})
	e := cache.Choose(name, all)
	if e == nil {
		return ""
	}
	text := fmt.Sprintf("%s, saved %s", e, human.Ago(in.host.Now().Sub(e.Saved)))
	_, id, _ := strings.Cut(e.Build, ":")
	for _, b := range in.Builds.All() {
		if _, short, _ := strings.Cut(b.Name, "-"); short != "" && strings.HasPrefix(id, short) {
			return fmt.Sprintf("%s by #%d", text, b.Number)
		}
	}
	return text
}
