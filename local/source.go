package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/overlay"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/source"
)

// openedSource is a source on this host, with the settings of the project for it.
type openedSource struct {
	*source.Source
	id      string // of a secondary source; "" for the primary one
	ref     string // that the user named; may be empty
	setting sourceSetting
}

// openSources opens the sources and the output directory.
func (in *Inputs) openSources(ctx context.Context) error {
	primary, err := in.openSource(ctx)
	if err != nil {
		return err
	}
	in.Source = primary.Source
	if in.Builds, err = OpenBuilds(ctx, in.Request); err != nil {
		return err
	}
	secondary, err := in.openSecondarySources(ctx)
	if err != nil {
		return err
	}
	all := append([]openedSource{primary}, secondary...)
	shared := make([]*source.Source, len(all))
	for i, s := range all {
		shared[i] = s.Source
	}
	source.ShareExtra(shared)
	for _, s := range all {
		described, err := in.describeSource(s)
		if err != nil {
			return err
		}
		in.sources = append(in.sources, described)
	}
	in.sources, in.secondary = placeInputs(in.Project.Source, in.sources), secondary
	return nil
}

// openSource opens the primary source.
func (in *Inputs) openSource(ctx context.Context) (openedSource, error) {
	r := in.Request
	mode, ref, err := source.ParseMode(r.Source.Mode)
	if err != nil {
		return openedSource{}, invalid("source-mode", "%s", err)
	}
	dir, err := r.SourceRoot()
	if err != nil {
		return openedSource{}, err
	}
	out := r.OutputDir()
	if _, inside := RelativeTo(out, dir); inside || SameDir(out, dir) {
		return openedSource{}, Usagef(
			"the output directory %s contains the source; choose a directory beside or below it with --output", out)
	}
	setting := sourceSetting{in.Project.Source, in.Project.SourceVersion}
	s, err := source.Open(ctx, in.sourceOptions(dir, setting, mode, ref))
	return openedSource{s, "", ref, setting}, sourceError(err)
}

// sourceOptions returns the options for a source in a directory. Files that a build leaves there,
// and the secrets file, are not part of any source.
func (in *Inputs) sourceOptions(dir string, setting sourceSetting, mode source.Mode, ref string) source.Options {
	r := in.Request
	exclude := []string{OutputName}
	for _, name := range append(r.secretPaths(), r.OutputDir(), in.host.Runs().Path) {
		if below, inside := r.nameBelow(dir, name); inside {
			exclude = append(exclude, below)
		}
	}
	return source.Options{
		Dir: dir, Mode: mode, Ref: ref, Temp: in.run.Path, Exclude: exclude, Output: OutputName,
		Depth: setting.GitCloneDepth, Submodules: setting.FetchSubmodules,
	}
}

// SourceRoot returns the directory of the primary source: the one that the request names, or the
// part of its repository that is the source of a build in a subdirectory.
func (r *Request) SourceRoot() (string, error) {
	info, err := os.Stat(r.Source.Dir)
	if r.Source.Root == "" || err != nil || !info.IsDir() { // opening the source reports it
		return r.Source.Dir, nil
	}
	root, err := source.Root(r.Source.Dir, r.Source.Root)
	if err != nil {
		return "", invalid("source-root", "%s", err)
	}
	return root, nil
}

// nameBelow is RelativeTo for a name that may be in the directory of the request. That directory
// may be reached through a symbolic link, and dir is the path without links if it is a parent.
func (r *Request) nameBelow(dir, name string) (string, bool) {
	if below, inside := RelativeTo(dir, name); inside {
		return below, true
	}
	below, inside := RelativeTo(r.Source.Dir, name)
	if !inside {
		return "", false
	}
	return RelativeTo(dir, filepath.Join(RealDir(r.Source.Dir), below))
}

// sourceError turns the error for a source that does not exist into a UsageError. It keeps nil.
func sourceError(err error) error {
	var known *source.Error
	if errors.As(err, &known) {
		return UsageError{err}
	}
	return err
}

// maxSourceIdentifier is the length that identifiers of secondary sources have to stay
// below (documented), in characters.
const maxSourceIdentifier = 128

// sourceIdentifier matches identifiers of secondary sources (documented).
var sourceIdentifier = lazyRegexp(`^[A-Za-z0-9_]+$`)

// openSecondarySources opens the other sources, each a directory of the host.
func (in *Inputs) openSecondarySources(ctx context.Context) ([]openedSource, error) {
	var all []openedSource
	seen := map[string]bool{}
	for _, arg := range in.Request.Source.Secondary {
		id, dir, split := strings.Cut(arg, "=")
		switch {
		case !split || dir == "":
			return nil, wrongValue("secondary-source", arg, "use ID=DIR")
		case !sourceIdentifier().MatchString(id) || len(id) >= maxSourceIdentifier:
			return nil, wrongValue("secondary-source", arg, "invalid identifier; use letters, digits and _")
		case seen[id]:
			return nil, wrongValue("secondary-source", arg, "duplicate identifier %s", id)
		}
		seen[id] = true
		setting := sourceSetting{version: in.Project.SecondaryVersions[id]}
		for _, p := range in.Project.Secondary {
			if p.Identifier == id {
				setting.Source = p
			}
		}
		s, err := source.Open(ctx, in.sourceOptions(dir, setting, "", ""))
		if err != nil {
			return nil, sourceError(fmt.Errorf("--secondary-source %s: %w", id, err))
		}
		all = append(all, openedSource{s, id, "", setting})
	}
	return all, nil
}

// sourceSetting is a source of the project, and the version that the project requests.
type sourceSetting struct {
	project.Source
	version string
}

// isRepository reports whether CodeBuild clones the source.
func (s sourceSetting) isRepository() bool {
	return s.Type != noSource && s.Type != s3Source && s.Type != pipelineSource
}

// Types of sources that are not git repositories (documented).
const (
	noSource       = "NO_SOURCE"
	s3Source       = "S3"
	pipelineSource = "CODEPIPELINE"
)

// describeSource returns a source as the plan needs it: the files are those on the host, and
// the project's setting decides what else the build sees. CodeBuild takes the version from
// the request, which here is the user's ref, the branch or the commit.
func (in *Inputs) describeSource(o openedSource) (runner.Source, error) {
	s, setting := o.Source, o.setting
	r := runner.Source{
		ID: o.id, Digits: newSourceDigits(), Note: in.sourceNote(o), Version: setting.version,
		Tree: engine.Tree{Host: s.Dir, Hide: s.Hide}, Stream: s.Tar,
	}
	switch setting.Type {
	case noSource:
		empty, err := in.emptyDir()
		if err != nil {
			return r, err
		}
		r.Tree, r.Stream = engine.Tree{Host: empty}, (&source.Source{Dir: empty}).Tar
		return r, nil
	case s3Source, pipelineSource:
		bundle := s.WithoutRepository()
		r.Tree.Hide, r.Stream = bundle.Hide, bundle.Tar
		var err error
		if r.Tree.Overlays, err = in.layer(s.Dir, bundle.Replace); err != nil {
			return r, err
		}
		if setting.Type == s3Source {
			r.URL = "s3://" + setting.Location
			return r, nil
		}
		r.Version = cmp.Or(r.Version, in.pipelineVersion(o.id))
		return r, nil
	}
	var err error
	if r.Tree.Overlays, err = in.layer(s.Dir, s.Replace); err != nil {
		return r, err
	}
	for _, extra := range s.Extra {
		whole := &source.Source{Dir: extra.Host, Mode: source.All, Replace: extra.Replace}
		tree := engine.Tree{Host: extra.Host, Path: extra.Path}
		if tree.Overlays, err = in.layer(extra.Host, extra.Replace); err != nil {
			return r, err
		}
		r.Extra = append(r.Extra, runner.Extra{Tree: tree, Stream: whole.Tar})
	}
	remote := setting.Location
	if s.Git != nil {
		remote = cmp.Or(remote, s.Git.Remote)
		if in.Request.Repeats != nil { // which has the version that was requested
			o.ref = cmp.Or(r.Version, o.ref)
		}
		r.Resolved, r.Version = s.Git.Commit, cmp.Or(o.ref, r.Version, s.Git.Branch, s.Git.Commit)
	}
	r.Repo, r.URL = source.RepoPath(remote), source.HTTPS(remote)
	return r, nil
}

// layer returns a layer to be mounted over a directory, with files that replace others there. It
// returns nil without any, and where layers are not supported: then the source is copied.
func (in *Inputs) layer(dir string, replace []source.Replacement) ([]string, error) {
	if len(replace) == 0 {
		return nil, nil
	}
	layer, err := os.MkdirTemp(in.run.Path, "layer-")
	if err != nil {
		return nil, err
	}
	for _, f := range replace {
		err := overlay.Put(layer, dir, overlay.File(f), true)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil, nil
		}
		if err != nil {
			return nil, layerError(err, layer, replace)
		}
	}
	return []string{layer}, nil
}

// layerError returns the error for a layer that cannot be written, and removes it. Files that are
// kept on disk need no space there.
func layerError(err error, layer string, replace []source.Replacement) error {
	err = fmt.Errorf("replace files of the source: %w", errors.Join(err, os.RemoveAll(layer)))
	var need int64
	for _, r := range replace {
		need += int64(len(r.Text))
	}
	return tree.IfFull(err, tree.NoSpaceError{
		Dir: filepath.Dir(layer), What: "files of the source", Need: need,
		Hint: "Free space there, or set TMPDIR to another directory",
	})
}

// emptyDir returns an empty directory.
func (in *Inputs) emptyDir() (string, error) {
	dir := filepath.Join(in.run.Path, "no-source")
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, nil
}

// pipelineVersion returns the version of an input artifact of CodePipeline, which is an object
// in its bucket. The name of the object is made up in the form that was observed.
func (in *Inputs) pipelineVersion(id string) string {
	return fmt.Sprintf("arn:aws:s3:::codepipeline-%s/%s/%s.zip", in.projectName(),
		cmp.Or(id, "SourceArti"), newSourceDigits()[:7])
}

// placeInputs places the sources of a project in a pipeline: one has the usual directory, and
// several share one, as src/s3/00, src/s3/01 and so on (observed).
func placeInputs(primary project.Source, all []runner.Source) []runner.Source {
	if primary.Type == pipelineSource && len(all) > 1 {
		for i := range all {
			all[i].Digits, all[i].Repo = all[0].Digits, fmt.Sprintf("s3/%02d", i)
		}
	}
	return all
}

// initiator returns who started the build: a pipeline if the project is part of one.
func initiator(primary project.Source, projectName, user string) string {
	if primary.Type == pipelineSource {
		return "codepipeline/" + projectName
	}
	return user
}

// RelativeTo returns name relative to dir, with slashes, if it is below dir.
func RelativeTo(dir, name string) (string, bool) {
	absDir, err1 := filepath.Abs(dir)
	absName, err2 := filepath.Abs(name)
	if err1 != nil || err2 != nil {
		return "", false
	}
	rel, err := filepath.Rel(absDir, absName)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// SameDir reports whether two names are the same path.
func SameDir(a, b string) bool {
	absA, err1 := filepath.Abs(a)
	absB, err2 := filepath.Abs(b)
	return err1 == nil && err2 == nil && absA == absB
}
