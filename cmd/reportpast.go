package cmd

import (
	"context"
	"iter"
	"sync"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// earlier has the reports of a project's builds before one of a number, the newest first.
func earlier(s *builds.Store, project string, number int) iter.Seq[*reports.Set] {
	return func(yield func(*reports.Set) bool) {
		for _, b := range s.All() {
			if b.Number >= number {
				continue
			}
			set, err := reports.ReadSet(b.Path)
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
	look := sync.OnceValues(func() ([]string, string) { return g.source.Fingerprint(ctx) })
	if sure {
		go look()
	}
	return look
}

// lastImage returns what the newest build before one of a number had of an image.
func lastImage(s *builds.Store, number int) func(image string) (runner.Environment, string) {
	return func(image string) (runner.Environment, string) {
		for _, b := range s.All() {
			var r runner.Record
			if b.Number >= number || b.ReadRecord(&r) != nil {
				continue
			}
			if r.Environment.Image == image && r.Environment.ImageID != "" {
				return r.Environment, b.Name
			}
		}
		return runner.Environment{}, ""
	}
}
