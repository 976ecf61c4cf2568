package local

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/rundir"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/source"
)

// OpenBuilds opens the output directory of a request.
func OpenBuilds(ctx context.Context, r *Request) (*builds.Store, error) {
	s, err := builds.Open(builds.Options{
		Dir: r.OutputDir(), Named: r.Output.Dir != "" && !r.comesWithSource("output"),
		Alive: func(run string) bool {
			_, alive := rundir.Alive(run)
			return alive
		},
		// A file that git tracks came with the source, and so is not a build of this user.
		Vouch: func(name string) bool {
			state, err := source.StateOf(ctx, name)
			return err == nil && (state == source.IgnoredFile || state == source.Untracked)
		},
	})
	if errors.Is(err, builds.ErrNotOurs) {
		return nil, Usagef("the output directory %w\nMove it, or choose another directory with --output.", err)
	}
	if err != nil {
		return nil, outputError(r.OutputDir(), err)
	}
	return s, nil
}

func outputError(dir string, err error) error {
	// Files in the directory are opened below it, by relative names.
	if path := (*fs.PathError)(nil); errors.As(err, &path) && !filepath.IsAbs(path.Path) {
		err = &fs.PathError{Op: path.Op, Path: filepath.Join(dir, path.Path), Err: path.Err}
	}
	return Usagef("write to the output directory: %w\nChoose another directory with --output", err)
}

// finish writes the record of a build that has ended.
func finish(d *builds.Dir, record *runner.Record) error {
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	return d.Finish(append(text, '\n'))
}

// ShownPath returns a path relative to the current directory, if that is shorter.
func ShownPath(path string) string {
	here, err := filepath.Abs(".")
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// OpenBuild opens the output directory of a request, and returns a build in it, see FindBuild.
func OpenBuild(ctx context.Context, r *Request, name string) (*builds.Store, builds.Build, error) {
	s, err := OpenBuilds(ctx, r)
	if err != nil {
		return nil, builds.Build{}, err
	}
	b, err := FindBuild(s, name)
	return s, b, err
}

// FindBuild returns a build by its number, by its name, or for "latest" the last one that
// has ended.
func FindBuild(s *builds.Store, name string) (builds.Build, error) {
	if latest, found := s.Latest(); found && name == "latest" {
		return latest, nil
	}
	var numbers []int
	for _, b := range s.All() {
		if b.Name == name || strconv.Itoa(b.Number) == strings.TrimPrefix(name, "#") {
			return b, nil
		}
		numbers = append(numbers, b.Number)
	}
	if len(numbers) == 0 || name == "latest" {
		return builds.Build{}, Usagef("no builds in %s", ShownPath(s.Dir()))
	}
	slices.Sort(numbers)
	return builds.Build{}, Usagef("there is no build %s in %s; there are: %s, and latest",
		name, ShownPath(s.Dir()), strings.Trim(fmt.Sprint(numbers), "[]"))
}

// destination is a directory to which artifacts are copied.
type destination struct{ identifier, dir string }

// destinations parses the artifacts setting and checks it against the plan.
func (r *Request) destinations(plan *runner.Plan) ([]destination, error) {
	var all []destination
	var errs []error
	var known []string
	for identifier := range plan.Packages {
		if identifier != "" {
			known = append(known, identifier)
		}
	}
	slices.Sort(known)
	// All mistakes are reported at once, so an invalid destination is added too.
	for _, text := range r.Output.Artifacts {
		var d destination
		d.identifier, d.dir = config.CutID(text)
		_, found := plan.Packages[d.identifier]
		same := func(o destination) bool { return o.identifier == d.identifier }
		switch {
		case slices.ContainsFunc(all, same):
			errs = append(errs, invalid("artifacts", "%q is a second directory for the same artifacts", text))
		case r.isInOutput(d.dir):
			errs = append(errs, invalid("artifacts", "%q is the output directory or below it; choose another one", text))
		case plan.Artifacts == nil:
			errs = append(errs, invalid("artifacts", "%q: the buildspec has no artifacts", text))
		case !found:
			errs = append(errs, invalid("artifacts",
				"%q: the buildspec has no secondary artifacts %s%s (expected DIR, or ID=DIR with one of: %s)",
				text, d.identifier, diag.DidYouMean(d.identifier, known), strings.Join(known, ", ")))
		}
		all = append(all, d)
	}
	return all, joinErrors(errs)
}

// isInOutput reports whether a directory is in the output directory, whose contents are
// removed with old builds.
func (r *Request) isInOutput(dir string) bool {
	target, out := RealDir(dir), RealDir(r.OutputDir())
	_, inside := RelativeTo(out, target)
	return inside || SameDir(out, target)
}

// copyArtifacts copies the artifacts of a build to their destinations. Files of an
// earlier copy are replaced. They are listed in the user's state directory: a list in the
// output directory could have come with the source, and would name files to remove.
func (h *Host) copyArtifacts(d *builds.Dir, all []destination) error {
	m, err := artifacts.Read(d.Path)
	if err != nil || len(all) == 0 {
		return err
	}
	var errs []error
	for _, to := range all {
		at := slices.IndexFunc(m.Artifacts, func(s artifacts.Set) bool { return s.Identifier == to.identifier })
		if at < 0 {
			continue // the build ended before it, with a message
		}
		from := m.Artifacts[at].Zip
		if from == "" {
			from = m.Artifacts[at].Dir
		}
		// The list belongs to the directory itself, whatever link leads to it.
		full := RealDir(to.dir)
		list, err := h.StateFile("placed", fmt.Sprintf("%x.json", sha256.Sum256([]byte(full))))
		if err == nil {
			err = h.copyLocked(filepath.Join(d.Path, filepath.FromSlash(from)), full, list)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("put artifacts into %s: %w", to.dir, err))
		}
	}
	return errors.Join(errs...)
}

// copyLocked copies artifacts into a directory while no other build does. It reports the
// progress of a long copy.
func (h *Host) copyLocked(from, dest, list string) error {
	if err := os.MkdirAll(filepath.Dir(list), 0o700); err != nil {
		return err
	}
	lock, err := rundir.Lock(list+".lock", os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	if err := lock.Lock(); err != nil {
		return err
	}
	const reportInterval = 10 * time.Second
	reported := h.Now()
	return errors.Join(artifacts.Put(from, dest, list, func(files int, bytes int64) {
		if now := h.Now(); now.Sub(reported) >= reportInterval {
			reported = now
			h.Warnf("copying artifacts to %s: %s, %d files", ShownPath(dest), human.Bytes(bytes), files)
		}
	}), lock.Unlock())
}
