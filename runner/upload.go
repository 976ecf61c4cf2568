package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/runner/shell"
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
	for _, group := range b.plan.Reports {
		errs = append(errs, b.reports(ctx, group))
	}
	if ctx.Err() == nil {
		errs = append(errs, b.discover(ctx))
	}
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
	files, err := b.collect(ctx, Output{Name: a.Identifier, Dir: dir}, &b.record.Artifacts, tree.Selection{
		Base: a.BaseDirectory, Files: a.Files, Exclude: a.ExcludePaths, Discard: a.DiscardPaths, Symlinks: a.Symlinks,
	})
	if err != nil {
		return err
	}
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
		if err := artifacts.Zip(filepath.Join(b.Out, filepath.FromSlash(set.Zip)), filepath.Join(b.Out, filepath.FromSlash(dir)), files); err != nil {
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

func (b *build) reports(ctx context.Context, group buildspec.ReportGroup) error {
	name, err := b.expand(ctx, group.Name)
	if err != nil {
		return err
	}
	_, err = b.collect(ctx, Output{Name: name, Dir: b.reportDir(name)}, &b.record.Reports, tree.Selection{
		Base: group.BaseDirectory, Files: group.Files, Discard: group.DiscardPaths,
	})
	if errors.Is(err, tree.ErrNoMatch) {
		return fmt.Errorf("%w of report group %s", err, name)
	}
	return err
}

// reportDir returns a directory that no group has yet: the names of two may end
// alike.
func (b *build) reportDir(group string) string {
	dir := reportsDir + "/" + dirName(group)
	taken := func(dir string) bool {
		_, err := os.Lstat(filepath.Join(b.Out, filepath.FromSlash(dir)))
		return err == nil
	}
	unique := dir
	for n := 2; taken(unique); n++ {
		unique = fmt.Sprintf("%s-%d", dir, n)
	}
	return unique
}

// dirName makes a directory's name of a report group's, which may be an ARN.
func dirName(group string) string {
	name := group[strings.LastIndexAny(group, "/:")+1:]
	if name == "" || strings.Trim(name, ".") == "" {
		return "reports"
	}
	return name
}

// collect writes selected files below the build's directory. Nothing half done
// is left: they are written beside it and then moved.
func (b *build) collect(ctx context.Context, o Output, into *[]Output, s tree.Selection) ([]tree.File, error) {
	var err error
	if s, err = b.expandSelection(ctx, s); err != nil {
		return nil, err
	}
	s.Root = b.plan.Sources[0].Path
	staging, err := os.MkdirTemp(b.Out, ".collecting-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(staging)
	files, err := tree.Collect(ctx, b.container, s, staging, b.say)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		o.Files = append(o.Files, File{b.mask.Text(f.Path), f.Size})
	}
	dest := filepath.Join(b.Out, filepath.FromSlash(o.Dir))
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chmod(staging, 0o755), os.Rename(staging, dest)); err != nil {
		return nil, err
	}
	o.Name, o.Dir = b.mask.Text(o.Name), b.mask.Text(o.Dir)
	*into = append(*into, o)
	return files, nil
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

// discoverTime is how long the service looks for reports (documented).
const discoverTime = 5 * time.Second

// discoverScript prints the pattern, and then reports by what they begin with.
// Which files the service takes is not documented; these are the roots of the
// formats it reads.
const discoverScript = `
[ "$CODEBUILD_CONFIG_AUTO_DISCOVER" = false ] && exit 3
echo "${CODEBUILD_CONFIG_AUTO_DISCOVER_DIR:-**/*}"
cd %s && command -v find >/dev/null && command -v grep >/dev/null || exit 0
find . -name node_modules -prune -o -name .git -prune -o -type f \( -name '*.xml' -o -name '*.trx' \) \
  -exec grep -lE '<(testsuites?|test-results|test-run|testng-results|TestRun|coverage|report)[ >]' {} + 2>/dev/null
exit 0`

// discover counts reports that no group names, as the service does.
func (b *build) discover(ctx context.Context) error {
	began := b.Now()
	limited, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	printed, exit, err := b.sessions[""].Capture(limited, fmt.Sprintf(discoverScript, shell.Quote(b.plan.Sources[0].Path)))
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return nil // its time is up, and the build's commands are done
	}
	if err != nil || exit == 3 {
		return err
	}
	pattern, names, _ := strings.Cut(printed, "\n")
	b.say("Set report auto-discover timeout to %d seconds", int(discoverTime.Seconds()))
	for _, line := range []string{
		"Expanding base directory path:  .", "Assembling file list", "Expanding .",
		"Expanding file paths for base directory .", "Assembling file list", "Expanding " + pattern,
	} {
		b.say("%s", line)
	}
	if n := countReports(pattern, names); n > 0 {
		b.say("Found %d file(s)", n)
	} else {
		b.say("No matching auto-discover report paths found")
	}
	b.say("Report auto-discover file discovery took %f seconds", b.Now().Sub(began).Seconds())
	return nil
}

// countReports counts the names, one a line, that match the pattern.
func countReports(pattern, names string) int {
	n := 0
	for _, name := range strings.Split(names, "\n") {
		if below, found := strings.CutPrefix(name, "./"); found && tree.Match(pattern, below) {
			n++
		}
	}
	return n
}
