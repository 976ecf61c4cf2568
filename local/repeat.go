package local

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/secrets"
	"github.com/buildlocal/buildlocal/source"
)

// Repeated is a build of CodeBuild that a request repeats. Its settings are used instead of those of
// a project document.
type Repeated struct {
	project.Build
	Here         bool // build the files of the source as they are, and not the commit of the build
	Cache        bool // use the local cache
	SameIdentity bool // the build gets the number and the IDs of the repeated one

	dir string // of the output and the secrets file: the source that the user named
}

// home returns the directory that has the output and the secrets file of the user.
func (r *Request) home() string {
	if r.Repeats != nil && r.Repeats.dir != "" {
		return r.Repeats.dir
	}
	return r.Source.Dir
}

// Repeat makes a request repeat a build. The commit is taken from the repository around the source,
// else it is fetched into a repository in the user's cache directory. It returns a description of the
// source if that is not the commit of the build.
func (h *Host) Repeat(ctx context.Context, r *Request, b *Repeated) (tree string, err error) {
	b.dir = r.Source.Dir
	r.Repeats = b
	r.Cache.Off = r.Cache.Off || !b.Cache
	p := &b.Project
	if r.Source.ProjectName == "" {
		r.Source.ProjectName = p.Name
	}
	switch kind := p.Source.Type; {
	case kind == noSource:
		return "", nil
	case b.Here:
		return "the directory as it is now", nil
	case kind == s3Source || kind == pipelineSource:
		if r.origin("source") >= FromVariable {
			return "the directory " + ShownPath(absolute(r.Source.Dir)), nil
		}
		return "", InputError{fmt.Errorf("the source of the build is an object in S3 (%s)\n"+
			"unpack it and name the directory with --source DIR, or build the files here with --here", kind)}
	}
	return "", h.openCommit(ctx, r, b)
}

// openCommit makes a request build the commit of a build.
func (h *Host) openCommit(ctx context.Context, r *Request, b *Repeated) error {
	commit, url := b.Resolved, b.Project.Source.Location
	if commit == "" && commitForm().MatchString(b.Project.SourceVersion) {
		commit = b.Project.SourceVersion
	}
	if !commitForm().MatchString(commit) {
		return InputError{fmt.Errorf("the record names no commit: the build ended before its source was known\n" +
			"build the files here with --here, or a commit with --here --source-mode commit=REF")}
	}
	r.Source.Mode, r.Source.Root = string(source.Commit)+"="+commit, ""
	top, found, err := source.FindCommit(ctx, r.Source.Dir, commit)
	if err == nil && found {
		r.Source.Dir = top
		return nil
	}
	remote := url
	if name := source.RemoteFor(ctx, r.Source.Dir, url); name != "" {
		remote = name
	}
	const idLength = 16 // characters of the hash in the name of a directory
	dir := h.CacheFile("repro", hash([]byte(source.RepoPath(url)))[:idLength])
	if dir == "" {
		return InputError{fmt.Errorf("commit %s is not in this repository, and there is no cache directory for it\n"+
			"set XDG_CACHE_HOME, or git fetch %s %s", human.ShortCommit(commit), human.ShellWord(remote), commit)}
	}
	if err := source.Fetch(ctx, dir, source.HTTPS(url), commit); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return InputError{fmt.Errorf("commit %s is not in this repository, and cannot be fetched: %w\n"+
			"git fetch %s %s gets it; --here builds the files of this directory instead",
			human.ShortCommit(commit), err, human.ShellWord(remote), commit)}
	}
	r.Source.Dir = dir
	return nil
}

// commitForm matches the full ID of a commit.
var commitForm = lazyRegexp(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// identify gives the plan the webhook trigger of the repeated build, and if the user wants it the
// identity, for variables that commands may use.
func (b *Repeated) identify(p *runner.Plan) {
	if b == nil {
		return
	}
	if version := b.Project.SourceVersion; strings.HasPrefix(version, "pr/") {
		p.Variables = append(p.Variables, runner.Variable{
			Name: "CODEBUILD_WEBHOOK_TRIGGER", Value: secrets.NewValue(version), Origin: runner.ServiceOrigin,
		})
	}
	if !b.SameIdentity {
		return
	}
	values := map[string]string{
		"CODEBUILD_BUILD_ARN": b.ARN, "CODEBUILD_BUILD_ID": b.ID, "CODEBUILD_INITIATOR": b.Initiator,
		"CODEBUILD_BUILD_NUMBER": strconv.Itoa(b.Number),
		"CODEBUILD_START_TIME":   strconv.FormatInt(b.Start.UnixMilli(), 10),
	}
	for i := range p.Variables {
		if value := values[p.Variables[i].Name]; value != "" {
			p.Variables[i].Value = secrets.NewValue(value)
		}
	}
}

// CommandPlace returns the place of the first command of a phase with a text, see runner.Event.At;
// "" without one.
func (in *Inputs) CommandPlace(phase, text string) string {
	p, err := in.Plan()
	if err != nil {
		return ""
	}
	for _, place := range p.Places() {
		if string(place.Phase) == phase && strings.TrimSpace(place.Text) == strings.TrimSpace(text) {
			return place.At
		}
	}
	return ""
}
