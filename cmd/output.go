package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/source"
)

// outputName is the output directory in the source.
const outputName = ".buildlocal"

// openStore opens the output directory.
func openStore(ctx context.Context, f *runFlags) (*builds.Store, error) {
	s, err := builds.Open(builds.Options{
		Dir: f.outputDir(), Named: f.output != "" && !f.fromSource("output"),
		Alive: func(run string) bool {
			_, yes := alive(run)
			return yes
		},
		Vouch: func(name string) bool {
			state, err := source.StateOf(ctx, name)
			return err == nil && (state == source.IgnoredFile || state == source.Untracked)
		},
	})
	if errors.Is(err, builds.ErrNotOurs) {
		return nil, usagef("the output directory %w\nMove it, or choose another directory with --output.", err)
	}
	if err != nil {
		return nil, usagef("write to the output directory: %w\nChoose another directory with --output.", err)
	}
	return s, nil
}

// createBuild makes the directory of a new build.
func (g *found) createBuild() (*builds.Dir, error) {
	d, err := g.store.Create(newUUID(), g.temp.path)
	if err != nil {
		return nil, usagef("write to the output directory: %w\nChoose another directory with --output.", err)
	}
	return d, nil
}

// finish writes the record of a build that has ended.
func finish(d *builds.Dir, record *runner.Record) error {
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	return d.Finish(append(text, '\n'))
}

// shownPath is path relative to the working directory, where that is shorter.
func shownPath(path string) string {
	here, err := filepath.Abs(".")
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// findBuild returns a build by its number, by its name, or latest.
func findBuild(s *builds.Store, name string) (builds.Build, error) {
	all := s.All()
	if latest, found := s.Latest(); found && name == "latest" {
		return latest, nil
	}
	var numbers []int
	for _, b := range all {
		if b.Name == name || strconv.Itoa(b.Number) == strings.TrimPrefix(name, "#") {
			return b, nil
		}
		numbers = append(numbers, b.Number)
	}
	if len(numbers) == 0 || name == "latest" {
		return builds.Build{}, usagef("no builds in %s", shownPath(s.Dir()))
	}
	slices.Sort(numbers)
	return builds.Build{}, usagef("there is no build %s in %s; there are: %s, and latest", name, shownPath(s.Dir()), strings.Trim(fmt.Sprint(numbers), "[]"))
}
