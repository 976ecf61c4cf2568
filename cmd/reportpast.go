package cmd

import (
	"context"
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// earlier has the reports of a project's builds before one of a number, the newest first.
func (s *store) earlier(project string, number int) iter.Seq[*reports.Set] {
	return func(yield func(*reports.Set) bool) {
		entries, _ := os.ReadDir(filepath.Join(s.dir, "builds"))
		slices.SortFunc(entries, func(a, b os.DirEntry) int { return buildNumber(b.Name()) - buildNumber(a.Name()) })
		for _, e := range entries {
			if n := buildNumber(e.Name()); n <= 0 || n >= number {
				continue
			}
			set, err := reports.ReadSet(filepath.Join(s.dir, "builds", e.Name()))
			if err == nil && set.Project == project && len(set.Reports) > 0 && !yield(set) {
				return
			}
		}
	}
}

// files returns what looks at the source's files. For a build that has reports for sure
// that is done beside it, before its first command: who edits a file meanwhile has changed
// the next build's source, not this one's. Else it waits until somebody asks.
func (g *found) files(ctx context.Context, sure bool) func() ([]string, string) {
	look := sync.OnceValues(func() ([]string, string) { return g.source.Print(ctx) })
	if sure {
		go look()
	}
	return look
}

// lastImage returns what the newest build before one of a number had of an image.
func (s *store) lastImage(number int) func(image string) (runner.Environment, string) {
	return func(image string) (runner.Environment, string) {
		entries, _ := os.ReadDir(filepath.Join(s.dir, "builds"))
		slices.SortFunc(entries, func(a, b os.DirEntry) int { return buildNumber(b.Name()) - buildNumber(a.Name()) })
		for _, e := range entries {
			var r runner.Record
			text, err := os.ReadFile(filepath.Join(s.dir, "builds", e.Name(), "build.json"))
			if err != nil || buildNumber(e.Name()) >= number || json.Unmarshal(text, &r) != nil {
				continue
			}
			if r.Environment.Image == image && r.Environment.ImageID != "" {
				return r.Environment, e.Name()
			}
		}
		return runner.Environment{}, ""
	}
}
