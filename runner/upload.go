package runner

import (
	"context"
	"errors"
	"strings"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// Directories below the output directory of a build.
const (
	artifactsDir = "artifacts"
	secondaryDir = "secondary-artifacts"
	reportsDir   = "reports"
)

// upload collects artifacts, then reports, and saves the cache. If one artifact or report
// group fails, the others are still collected.
func (b *build) upload(ctx context.Context) result {
	b.pause(ctx, Stop{Reason: BeforeUpload, At: PlaceUpload})
	errs := b.artifacts.collect(ctx, b.container)
	errs = append(errs, b.reports.collect(ctx, b.container)...)
	res := b.uploadResult(ctx, errs)
	switch {
	case res.status != "":
	case b.rec.changedByHand():
		b.cache.leave("the build was changed by hand")
	case b.plan.Partial != nil:
		b.cache.leave("parts of the build were left out")
	default:
		b.cache.save(ctx, b.container)
		if stopped, done := ended(ctx); done {
			return stopped
		}
	}
	return res
}

// uploadResult returns FAILED for errors that the author of the buildspec can fix, such as
// patterns without a match or reports that the service refuses. Any other error is a fault, which takes precedence.
func (b *build) uploadResult(ctx context.Context, errs []error) result {
	res := result{}
	for _, err := range errs {
		var refused refusedReports
		switch {
		case err == nil:
		case errors.Is(err, tree.ErrNoMatch), errors.Is(err, tree.ErrNoBase), errors.Is(err, errExpand),
			errors.As(err, &refused):
			if res.status == "" {
				res = result{status: Failed, context: Context{ClientError, err.Error()}, problem: problemOf(err)}
			}
		default:
			return b.fault(ctx, ClientError, err)
		}
	}
	return res
}

// artifactStep collects the artifacts of a build and owns their manifest.
type artifactStep struct {
	plan     *Plan
	rec      *recorder
	shells   *shellState
	files    *collector
	manifest artifacts.Manifest
}

// collect collects all artifacts and writes the manifest.
func (s *artifactStep) collect(ctx context.Context, src tree.Source) []error {
	a := s.plan.Artifacts
	if a == nil {
		return nil
	}
	var errs []error
	if len(a.Files) > 0 {
		errs = append(errs, s.one(ctx, src, *a, artifactsDir))
	}
	for _, secondary := range a.Secondary {
		s.rec.say("Preparing to copy secondary artifacts %s", secondary.Identifier)
		errs = append(errs, s.one(ctx, src, secondary, secondaryDir+"/"+secondary.Identifier))
	}
	if len(s.manifest.Artifacts) > 0 {
		manifest := masked(s.manifest, s.rec.maskText)
		errs = append(errs, manifest.Write(s.files.Out))
	}
	return errs
}

// one collects one artifact into a directory below the output directory, packs it if the
// project requires that, and adds it to the record and the manifest.
func (s *artifactStep) one(ctx context.Context, src tree.Source, a buildspec.Artifacts, dir string) error {
	selection := tree.Selection{
		Base: a.BaseDirectory, Files: a.Files, Exclude: a.ExcludePaths, Discard: a.DiscardPaths, Symlinks: a.Symlinks,
	}
	key := "artifacts"
	if a.Identifier != "" {
		key += ".secondary-artifacts." + a.Identifier
	}
	out, files, err := s.files.collect(ctx, src, Output{Name: a.Identifier, Dir: dir}, selection)
	if err != nil {
		return s.files.explainMissing(ctx, err, key, selection)
	}
	// A name that cannot be expanded, or an archive that cannot be written, does not
	// remove the directory from the record.
	defer func() { s.rec.update(func(r *Record) { r.Artifacts = append(r.Artifacts, out) }) }()
	set := artifacts.Set{Identifier: a.Identifier, Dir: dir, Entries: artifacts.Entries(files, s.rec.maskText)}
	p := s.plan.Packages[a.Identifier]
	name, err := s.name(ctx, a, p)
	if err != nil {
		return s.plan.explainExpand(err, key+".name", false)
	}
	if p.Own && a.Name != "" {
		s.rec.say("Updating artifact name as  %s", name)
	}
	if p.Bucket {
		place := artifacts.Place{Path: p.Path, Prefix: a.S3Prefix, Name: name, Zip: p.Zip}
		if p.ByID {
			place.BuildID = s.plan.Identity.UUID
		}
		set.Key = place.Key()
	}
	if p.Zip {
		zip := s.rec.maskText(zipName(a.Identifier, name, dir)) // the name of a file on the host
		if err := s.files.zip(ctx, zip, dir, files); err != nil {
			return err
		}
		set.Zip, out.Zip = zip, zip
	}
	s.manifest.Artifacts = append(s.manifest.Artifacts, set)
	return nil
}

// name returns the name of an artifact: the project's, unless the project has none or
// lets the buildspec override it. The build's shell expands the buildspec's name.
func (s *artifactStep) name(ctx context.Context, a buildspec.Artifacts, p Package) (string, error) {
	if !p.Own || a.Name == "" {
		return p.Name, nil
	}
	return s.shells.expand(ctx, a.Name)
}

// zipName returns the name of an archive below the output directory. It is next to the
// directory of its files and has the artifact's name, or that of the directory.
func zipName(identifier, name, dir string) string {
	name = strings.TrimSuffix(strings.Trim(name, "/"), ".zip")
	if identifier != "" || name == "" {
		return dir + ".zip"
	}
	return dirName(name) + ".zip"
}
