package caches

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
)

// shownCache is a cache as it is listed, in text and in JSON. Fields that its kind does not have
// are left out, and those that are not known are null.
type shownCache struct {
	Name  string     `json:"name"`
	Type  string     `json:"type"` // entry or local
	Key   string     `json:"key,omitempty"`
	Files *int       `json:"files"`
	Size  *int64     `json:"sizeInBytes"`
	Hits  *int       `json:"hits,omitempty"`
	Used  *time.Time `json:"used,omitempty"`
	Place string     `json:"place"`            // directory or Docker volume
	Why   string     `json:"reason,omitempty"` // why an entry is incomplete

	Paths        []string   `json:"paths,omitempty"` // from here on only with info
	Saved        *time.Time `json:"saved,omitempty"`
	Build        string     `json:"build,omitempty"` // that saved it
	Image        string     `json:"image,omitempty"` // of that build; others may restore it
	Architecture string     `json:"architecture,omitempty"`
}

func entryOf(e *cache.Entry) shownCache {
	return shownCache{Name: e.ID, Type: "entry", Key: e.Key, Files: &e.Files, Size: &e.Size, Hits: &e.Hits, Used: &e.Used,
		Place: e.Dir(), Why: e.Broken}
}

func localOf(l local.LocalCache) shownCache {
	s := shownCache{Name: l.Name, Type: "local", Place: l.Place()}
	if bytes, files := l.Size(); bytes >= 0 { // else a volume, which only the daemon could measure, and slowly
		s.Size, s.Files = &bytes, &files
	}
	return s
}

// list prints both kinds of caches as one table, and their total size.
func list(ctx context.Context, a *cli.App, o *Options) error {
	store, dir, err := open(a, o)
	if err != nil {
		return err
	}
	all := []shownCache{}
	entries := store.List() // most recently used first, which is the reverse order of eviction
	for _, e := range entries {
		all = append(all, entryOf(e))
	}
	sum := cache.Sum(entries)
	// Docker's volumes are an addition: without a daemon the list is complete without them.
	locals, e := a.ListLocalCaches(ctx, dir)
	if e != nil {
		defer e.Close()
	}
	for _, l := range locals {
		s := localOf(l)
		if all = append(all, s); s.Size != nil {
			sum += *s.Size // the limit of run --cache-size does not apply to these
		}
	}
	if o.Format == cli.FormatJSON {
		return a.WriteJSON(map[string]any{"version": 1, "caches": all, "directory": dir, "sizeInBytes": sum})
	}
	screen := a.Screen()
	if len(all) == 0 { // the directory answers why
		screen.Printf("no caches in %s", a.Tilde(dir))
		return screen.Err()
	}
	screen.Table(cacheTable(all, a.Now()))
	if err := screen.Err(); err != nil {
		return err
	}
	footer := a.Footer()
	footer.Printf("%s, %s of %s in %s",
		human.Count(len(all), "cache"), human.Bytes(sum), local.DefaultCacheSize, a.Tilde(dir))
	return footer.Err()
}

// cacheTable returns the table of caches. On a narrow terminal it loses KEY, then HITS.
func cacheTable(all []shownCache, now time.Time) console.Table {
	t := console.Table{Columns: []console.Column{
		{Title: "CACHE"}, {Title: "KEY", Drop: 1}, {Title: "FILES"}, {Title: "SIZE"}, {Title: "HITS", Drop: 2},
		{Title: "USED"},
	}}
	for _, c := range all {
		key, files, size, hits, used := shortKey(c.Key), "", "", "", ""
		if c.Files != nil {
			files, size = human.Number(*c.Files), human.Bytes(*c.Size)
		}
		if c.Hits != nil {
			hits, used = human.Number(*c.Hits), human.When(*c.Used, now)
		}
		switch {
		case c.Why != "":
			key = "incomplete" // an interrupted save; it is listed, because it takes space
		case c.Type == "local":
			key, used = "local", c.Place
		}
		t.Add(console.Strong(c.Name), console.Weak(key), console.Plain(files), console.Plain(size), console.Plain(hits),
			console.Plain(used))
	}
	return t
}

// shortKey shortens a key to the width of its column. Keys often end with a hash, so the
// beginning distinguishes them for people; info prints the whole key.
func shortKey(key string) string {
	const maxKey = 32 // characters
	if runes := []rune(key); len(runes) > maxKey {
		return string(runes[:maxKey-1]) + "…"
	}
	return key
}

// info prints one cache of the store. LOCAL caches have nothing more to show than list
// prints already.
func info(_ context.Context, a *cli.App, o *Options) error {
	store, _, err := open(a, o)
	if err != nil {
		return err
	}
	e, err := findCache(store, o.Names[0])
	if err != nil {
		return err
	}
	if e.Broken != "" { // its properties may be missing or wrong
		return fmt.Errorf("the cache cannot be read: %s\nbuildlocal cache rm %s removes it", e.Broken, e.ID)
	}
	if o.Format == cli.FormatJSON {
		s := entryOf(e)
		s.Paths, s.Saved, s.Build, s.Image, s.Architecture = e.Paths, &e.Saved, e.Build, e.Image, e.Arch
		return a.WriteJSON(struct {
			Version int `json:"version"`
			shownCache
		}{1, s})
	}
	t := console.Table{Columns: make([]console.Column, 2), NoHead: true}
	row := func(title, text string) { t.Add(console.Weak(title), console.Plain(text)) }
	row("cache", e.ID)
	row("key", cmp.Or(e.Key, "not set: each build replaces it"))
	row("paths", strings.Join(e.Paths, ", "))
	row("files", fmt.Sprintf("%s, %s", human.Number(e.Files), human.Bytes(e.Size)))
	row("saved", fmt.Sprintf("%s by %s", e.Saved.Local().Format(time.DateTime), e.Build))
	row("used", fmt.Sprintf("%s, last %s", human.Count(e.Hits, "time"), human.When(e.Used, a.Now())))
	row("image", e.Image)
	row("architecture", e.Arch)
	row("directory", e.Dir()) // its files can be looked at, but an entry must not be changed
	screen := a.Screen()
	screen.Table(t)
	return screen.Err()
}
