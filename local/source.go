package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/overlay"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/source"
)

// openSource opens the primary source. Files that a build leaves in it, and the secrets
// file, are not part of it.
func (in *Inputs) openSource(ctx context.Context) (*source.Source, runner.Source, error) {
	h, r, temp := in.host, in.Request, in.run.Path
	mode, ref, err := source.ParseMode(r.Source.Mode)
	if err != nil {
		return nil, runner.Source{}, invalid("source-mode", "%s", err)
	}
	out := r.OutputDir()
	if _, inside := RelativeTo(out, r.Source.Dir); inside || SameDir(out, r.Source.Dir) {
		return nil, runner.Source{}, Usagef(
			"the output directory %s contains the source; choose a directory beside or below it with --output", out)
	}
	exclude := []string{OutputName}
	for _, name := range append(r.secretPaths(), out, h.Runs().Path) {
		if below, inside := RelativeTo(r.Source.Dir, name); inside {
			exclude = append(exclude, below)
		}
	}
	s, err := source.Open(ctx, source.Options{
		Dir: r.Source.Dir, Mode: mode, Ref: ref, Temp: temp, Exclude: exclude, Output: OutputName,
		Depth: in.Project.Source.GitCloneDepth, Submodules: in.Project.Source.FetchSubmodules,
	})
	if err != nil {
		return nil, runner.Source{}, sourceError(err)
	}
	setting := sourceSetting{in.Project.Source, in.Project.SourceVersion}
	described, err := in.describeSource("", s, ref, setting)
	if text := subdirectoryNote(s, r); text != "" && setting.isRepository() {
		described.Note = strings.TrimPrefix(described.Note+"; "+text, "; ")
	}
	return s, described, err
}

// subdirectoryNote says that the source is a part of a repository, with the command that builds
// all of it as CodeBuild does.
func subdirectoryNote(s *source.Source, r *Request) string {
	if s.Git == nil || s.Git.Top == "" {
		return ""
	}
	below, inside := RelativeTo(s.Git.Top, s.Dir)
	if !inside {
		return ""
	}
	name := path.Join(below, filepath.ToSlash(cmp.Or(r.Source.Buildspec, "buildspec.yml")))
	return fmt.Sprintf("this directory is part of a repository; to build all of it, as CodeBuild does: "+
		"buildlocal run -C %s -b %s", quoteArgument(ShownPath(s.Git.Top)), quoteArgument(name))
}

// quoteArgument quotes an argument for a shell, if it has other than plain characters.
func quoteArgument(text string) string {
	if strings.ContainsAny(text, " \t\n'\"\\$`*?[]{}();&|<>~#!") {
		return shell.Quote(text)
	}
	return text
}

// sourceError turns the error for a source that does not exist into a UsageError.
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

// openSecondarySources opens the other sources, each a directory of the host. As in the
// primary source, the secrets file and the output of builds are left out.
func (in *Inputs) openSecondarySources(ctx context.Context) ([]runner.Source, error) {
	r, temp := in.Request, in.run.Path
	var all []runner.Source
	seen := map[string]bool{}
	for _, arg := range r.Source.Secondary {
		id, dir, split := strings.Cut(arg, "=")
		switch {
		case !split || dir == "":
			return nil, invalid("secondary-source", "invalid value %q; expected ID=DIR", arg)
		case !sourceIdentifier().MatchString(id) || len(id) >= maxSourceIdentifier:
			return nil, invalid("secondary-source", "invalid identifier %q: use letters, digits and _", id)
		case seen[id]:
			return nil, invalid("secondary-source", "duplicate identifier %s", id)
		}
		seen[id] = true
		exclude := []string{OutputName}
		for _, name := range r.secretPaths() {
			if below, inside := RelativeTo(dir, name); inside {
				exclude = append(exclude, below)
			}
		}
		setting := sourceSetting{version: in.Project.SecondaryVersions[id]}
		for _, p := range in.Project.Secondary {
			if p.Identifier == id {
				setting.Source = p
			}
		}
		s, err := source.Open(ctx, source.Options{
			Dir: dir, Temp: temp, Exclude: exclude, Output: OutputName,
			Depth: setting.GitCloneDepth, Submodules: setting.FetchSubmodules,
		})
		if err != nil {
			return nil, sourceError(fmt.Errorf("--secondary-source %s: %w", id, err))
		}
		described, err := in.describeSource(id, s, "", setting)
		if err != nil {
			return nil, err
		}
		all = append(all, described)
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
// the request, which here is ref, the branch or the commit.
func (in *Inputs) describeSource(
	id string, s *source.Source, ref string, setting sourceSetting,
) (runner.Source, error) {
	r := runner.Source{
		ID: id, Digits: newSourceDigits(), Note: sourceNote(id, s, setting), Version: setting.version,
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
		r.Version = cmp.Or(r.Version, in.pipelineVersion(id))
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
		r.Resolved, r.Version = s.Git.Commit, cmp.Or(ref, r.Version, s.Git.Branch, s.Git.Commit)
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
			return nil, fmt.Errorf("replace files of the source: %w", err)
		}
	}
	return []string{layer}, nil
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
	return fmt.Sprintf("arn:aws:s3:::codepipeline-%s/%s/%s.zip", projectName(in.Request, in.Project),
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

// sourceNote returns differences between the source and the one that CodeBuild would
// get, in one line.
func sourceNote(id string, s *source.Source, setting sourceSetting) string {
	var notes []string
	if setting.Type == noSource {
		return ""
	}
	if text := versionNote(s, setting); text != "" {
		notes = append(notes, text)
	}
	if s.Mode == source.All && s.Git != nil {
		notes = append(notes, "the build sees all files of the directory; CodeBuild sees only committed files")
	}
	if text := ignoredNote(s); text != "" {
		notes = append(notes, text)
	}
	if s.Untracked > 0 {
		notes = append(notes, fmt.Sprintf("%s included; CodeBuild sees only committed files",
			human.Count(s.Untracked, "untracked file")))
	}
	// In a worktree or a submodule .git is a file with the path of the repository. An
	// absolute path is mounted into the build, a relative one leads to nothing there.
	text, err := regular.Read(filepath.Join(s.Dir, ".git"), maxDocument)
	place := strings.TrimSpace(strings.TrimPrefix(string(text), "gitdir:"))
	if setting.isRepository() && err == nil && !filepath.IsAbs(place) {
		notes = append(
			notes,
			"git does not work in this build, because .git points outside of the source; --source-mode commit uses a clone",
		)
	}
	if id != "" && len(notes) > 0 {
		return "source " + id + ": " + strings.Join(notes, "; ")
	}
	return strings.Join(notes, "; ")
}

// versionNote says that the checkout is not the version that the project requests.
func versionNote(s *source.Source, setting sourceSetting) string {
	want := setting.version
	if want == "" || s.Git == nil || !setting.isRepository() ||
		want == s.Git.Branch || want == s.Git.Commit || want == "refs/heads/"+s.Git.Branch {
		return ""
	}
	have := s.Git.Branch
	if have == "" {
		have = s.Git.Commit[:min(len(s.Git.Commit), 8)]
	}
	return fmt.Sprintf("the project builds %s, but this build uses the files of %s; "+
		"--source-mode commit=%s builds that version", want, have, want)
}

// ignoredNote says which files the build does not get. A local build that succeeds only
// because of ignored files in the directory is the most common false success.
func ignoredNote(s *source.Source) string {
	n := s.Ignored
	if n.Files == 0 {
		return ""
	}
	more := ""
	if n.More {
		more = "more than "
	}
	return fmt.Sprintf("%s%s that git ignores left out (%s); --source-mode all takes everything",
		more, human.Count(n.Files, "file"), strings.Join(n.Top, ", "))
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
