package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// Names below a build's directory.
const (
	artifactsDir = "artifacts"
	secondaryDir = "secondary-artifacts"
	reportsDir   = "reports"
)

// upload collects what the build leaves: artifacts, then reports. A failure of
// the first does not keep the others from being collected.
func (b *build) upload(ctx context.Context) result {
	var errs []error
	if a := b.plan.Artifacts; a != nil {
		if len(a.Files) > 0 {
			errs = append(errs, b.artifacts(ctx, *a, artifactsDir))
		}
		for _, s := range a.Secondary {
			b.say("Preparing to copy secondary artifacts %s", s.Identifier)
			errs = append(errs, b.artifacts(ctx, s, secondaryDir+"/"+s.Identifier))
		}
	}
	if len(b.manifest.Artifacts) > 0 {
		errs = append(errs, b.manifest.Write(b.Out))
	}
	errs = append(errs, b.allReports(ctx)...)
	res := b.uploaded(ctx, errs)
	if res.status == "" {
		b.saveCache(ctx)
	}
	return res
}

// uploaded tells what the author can mend from what we could not do, which
// counts for more.
func (b *build) uploaded(ctx context.Context, errs []error) result {
	res := result{}
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, tree.ErrNoMatch), errors.Is(err, tree.ErrNoBase), errors.Is(err, errExpand):
			if res.status == "" {
				res = result{status: Failed, context: Context{ClientError, err.Error()}}
			}
		default:
			return b.fault(ctx, ClientError, err)
		}
	}
	return res
}

// artifacts collects one artifact, packs it where that is asked for, and notes it for
// the manifest.
func (b *build) artifacts(ctx context.Context, a buildspec.Artifacts, dir string) error {
	out, files, err := b.collect(ctx, Output{Name: a.Identifier, Dir: dir}, tree.Selection{
		Base: a.BaseDirectory, Files: a.Files, Exclude: a.ExcludePaths, Discard: a.DiscardPaths, Symlinks: a.Symlinks,
	})
	if err != nil {
		return err
	}
	out.Name, out.Dir = b.mask.Text(out.Name), b.mask.Text(out.Dir)
	b.record.Artifacts = append(b.record.Artifacts, out)
	set := artifacts.Set{Identifier: a.Identifier, Dir: b.mask.Text(dir), Entries: artifacts.Entries(files, b.mask.Text)}
	p := b.plan.Packages[a.Identifier]
	name, err := b.artifactName(ctx, a, p)
	if err != nil {
		return err
	}
	if p.Bucket {
		place := artifacts.Place{Path: p.Path, Prefix: a.S3Prefix, Name: name, Zip: p.Zip}
		if p.ByID {
			place.BuildID = b.plan.Identity.UUID
		}
		set.Key = b.mask.Text(place.Key())
	}
	if p.Zip {
		set.Zip = b.mask.Text(zipName(a.Identifier, name, dir))
		if err := b.zip(ctx, set.Zip, dir, files); err != nil {
			return err
		}
		b.record.Artifacts[len(b.record.Artifacts)-1].Zip = set.Zip
	}
	b.manifest.Artifacts = append(b.manifest.Artifacts, set)
	return nil
}

// artifactName is the project's, or where that lets the buildspec say it, or there is
// none, the buildspec's, in which the build's shell expands variables and commands.
func (b *build) artifactName(ctx context.Context, a buildspec.Artifacts, p Package) (string, error) {
	if !p.Own || a.Name == "" {
		return p.Name, nil
	}
	return b.expand(ctx, a.Name)
}

// zipName is an archive's file below the build's directory: beside the directory of
// what is in it, called as the artifact, or as that directory.
func zipName(identifier, name, dir string) string {
	name = strings.TrimSuffix(strings.Trim(name, "/"), ".zip")
	if identifier != "" || name == "" {
		return dir + ".zip"
	}
	return dirName(name) + ".zip"
}

// collect writes selected files below the build's directory. Nothing half done
// is left: they are written beside it and then moved.
func (b *build) collect(ctx context.Context, o Output, s tree.Selection) (Output, []tree.File, error) {
	var err error
	if s, err = b.expandSelection(ctx, s); err != nil {
		return o, nil, err
	}
	return b.takeFrom(ctx, b.container, o, s, b.say)
}

// takeFrom is collect with patterns that are expanded. What it returns has the names as
// they are.
func (b *build) takeFrom(ctx context.Context, src tree.Source, o Output, s tree.Selection, say func(string, ...any)) (Output, []tree.File, error) {
	s.Root = b.plan.Sources[0].Path
	staging, err := os.MkdirTemp(b.Out, ".collecting-")
	if err != nil {
		return o, nil, err
	}
	defer os.RemoveAll(staging)
	what := copied(o.Dir)
	files, err := tree.Collect(ctx, src, s, staging, tree.Observer{Say: say, Copied: b.watchCopy(Copy{Doing: "copying", What: what})})
	if err != nil {
		return o, nil, b.placed(err, what)
	}
	for _, f := range files {
		o.Files = append(o.Files, File{b.mask.Text(f.Path), f.Size})
	}
	dest := filepath.Join(b.Out, filepath.FromSlash(o.Dir))
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return o, nil, err
	}
	if err := errors.Join(os.Chmod(staging, 0o755), os.Rename(staging, dest)); err != nil {
		return o, nil, err
	}
	return o, files, nil
}

func (b *build) expandSelection(ctx context.Context, s tree.Selection) (tree.Selection, error) {
	var err error
	if s.Base, err = b.expand(ctx, s.Base); err != nil {
		return s, err
	}
	if s.Files, err = b.expandAll(ctx, s.Files); err != nil {
		return s, err
	}
	s.Exclude, err = b.expandAll(ctx, s.Exclude)
	return s, err
}
