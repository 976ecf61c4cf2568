package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"github.com/buildlocal/buildlocal/aws"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/secrets"
	"github.com/buildlocal/buildlocal/source"
)

// found is all that was read from the host for one build.
type found struct {
	source       *source.Source
	sources      []runner.Source
	spec         *buildspec.Buildspec
	location     string // below the source; empty when the text is inline
	inline       string
	project      project.Project
	overrides    []runner.Override
	problems     diag.List // warnings
	store        *builds.Store
	temp         *temp
	destinations []destination // of artifacts
	secrets      *secrets.File
	account      *aws.Account   // nil where nothing of it is used
	bucket       *aws.Account   // that has the cache
	without      bool           // a cache: another build has it
	locks        []*flock.Flock // of what a LOCAL cache keeps
	looksUp      bool           // values may be looked up there
	apart        bool           // the build is in a network of its own
	early        *environment   // the engine, where it was started before all this was read

	certificates []byte // PEM
	credentialID string // part of the path of the build's credentials

	atBuildspec bool // all else was read: what is wrong now is the buildspec
}

func (f *found) remove() {
	for _, lock := range f.locks {
		_ = lock.Close()
	}
	if f.temp != nil {
		f.temp.remove()
	}
}

// gather reads what a build is made of. With an error it returns what it has
// so far, to be removed.
func (a *App) gather(ctx context.Context, f *runFlags) (*found, error) {
	return a.read(ctx, f, func(g *found) []reader {
		return []reader{g.readSource, g.readSecondary, g.readProject, g.readEnv, g.readCertificates, g.readSecrets, g.readAccount, g.readBuildspec}
	})
}

// reader reads one part of a build.
type reader func(context.Context, *App, *runFlags) error

// read reads parts of a build, in their order.
func (a *App) read(ctx context.Context, f *runFlags, parts func(*found) []reader) (*found, error) {
	g := &found{credentialID: newUUID()}
	var err error
	if g.temp, err = a.newTemp(); err != nil {
		return nil, err
	}
	for _, read := range parts(g) {
		if err := read(ctx, a, f); err != nil {
			return g, err
		}
	}
	return g, nil
}

func (g *found) readSource(ctx context.Context, a *App, f *runFlags) error {
	mode, ref, err := source.ParseMode(f.sourceMode)
	if err != nil {
		return usagef("--source-mode: %w", err)
	}
	out := f.outputDir()
	if _, inside := relativeTo(out, f.source); inside || sameDir(out, f.source) {
		return usagef("the output directory %s contains the source; choose a directory beside or below it with --output", out)
	}
	exclude := []string{outputName}
	for _, ours := range append(f.secretPaths(), out, a.tempRoot()) {
		if below, inside := relativeTo(f.source, ours); inside {
			exclude = append(exclude, below)
		}
	}
	g.source, err = source.Open(ctx, source.Options{Dir: f.source, Mode: mode, Ref: ref, Temp: g.temp.path, Exclude: exclude})
	if err != nil {
		return sourceError(err)
	}
	g.store, err = openStore(ctx, f)
	if err != nil {
		return err
	}
	g.sources = append(g.sources, describe("", g.source, ref))
	return nil
}

// sourceError: a source that cannot be had is a mistake of the command line.
func sourceError(err error) error {
	var known *source.Error
	if errors.As(err, &known) {
		return usageError{err}
	}
	return err
}

// relativeTo returns name as seen from dir when it stands below it.
func relativeTo(dir, name string) (string, bool) {
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

func sameDir(a, b string) bool {
	absA, err1 := filepath.Abs(a)
	absB, err2 := filepath.Abs(b)
	return err1 == nil && err2 == nil && absA == absB
}

// describe returns a source as the plan wants it.
func describe(id string, s *source.Source, ref string) runner.Source {
	r := runner.Source{
		ID: id, Digits: newDigits(), Note: note(id, s),
		Tree: engine.Tree{Host: s.Dir, Hide: s.Hide}, Stream: s.Tar,
	}
	for _, extra := range s.Extra {
		whole := &source.Source{Dir: extra.Host, Mode: source.All}
		r.Extra = append(r.Extra, runner.Extra{Tree: engine.Tree{Host: extra.Host, Path: extra.Path}, Stream: whole.Tar})
	}
	if s.Git == nil {
		return r
	}
	r.Repo, r.URL, r.Resolved = source.RepoPath(s.Git.Remote), s.Git.Remote, s.Git.Commit
	r.Version = ref
	if r.Version == "" {
		r.Version = s.Git.Branch
	}
	if r.Version == "" {
		r.Version = s.Git.Commit
	}
	return r
}

// note says what the user should know about a source, in one line.
func note(id string, s *source.Source) string {
	var notes []string
	if text := ignoredNote(s); text != "" {
		notes = append(notes, text)
	}
	if text, err := regular.Read(filepath.Join(s.Dir, ".git"), maxDocument); err == nil && !filepath.IsAbs(strings.TrimSpace(strings.TrimPrefix(string(text), "gitdir:"))) {
		notes = append(notes, "git does not work in this build, because .git points outside of the source; --source-mode commit uses a clone")
	}
	if id != "" && len(notes) > 0 {
		return "source " + id + ": " + strings.Join(notes, "; ")
	}
	return strings.Join(notes, "; ")
}

// ignoredNote says what a build does not see: that something works only because
// ignored files lie around is the commonest false green of local builds.
func ignoredNote(s *source.Source) string {
	n := s.Ignored
	if n.Files == 0 {
		return ""
	}
	more, noun := "", "files"
	if n.More {
		more = "more than "
	}
	if n.Files == 1 {
		noun = "file"
	}
	top := strings.Join(n.Top, ", ")
	return fmt.Sprintf("%s%d %s that git ignores left out (%s); --source-mode all takes everything", more, n.Files, noun, top)
}

// identifierForm is documented for the identifiers of secondary sources, which
// have fewer than identifierLimit characters.
const identifierLimit = 128

var identifierForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_]+$`)
})

func (g *found) readSecondary(ctx context.Context, _ *App, f *runFlags) error {
	seen := map[string]bool{}
	for _, arg := range f.secondary {
		id, dir, split := strings.Cut(arg, "=")
		switch {
		case !split || dir == "":
			return usagef("--secondary-source: invalid value %q; expected ID=DIR", arg)
		case !identifierForm().MatchString(id) || len(id) >= identifierLimit:
			return usagef("--secondary-source: invalid identifier %q: use letters, digits and _", id)
		case seen[id]:
			return usagef("--secondary-source: duplicate identifier %s", id)
		}
		seen[id] = true
		exclude := []string{outputName}
		for _, ours := range f.secretPaths() {
			if below, inside := relativeTo(dir, ours); inside {
				exclude = append(exclude, below)
			}
		}
		s, err := source.Open(ctx, source.Options{Dir: dir, Temp: g.temp.path, Exclude: exclude})
		if err != nil {
			return sourceError(fmt.Errorf("--secondary-source %s: %w", id, err))
		}
		g.sources = append(g.sources, describe(id, s, ""))
	}
	return nil
}

func (g *found) readProject(ctx context.Context, _ *App, f *runFlags) error {
	if f.project == "" {
		return nil
	}
	text, err := f.readNamed(ctx, "project", f.project)
	if err != nil {
		return usagef("read the project document: %w", err)
	}
	p, problems := project.Parse(f.project, text, f.projectName)
	g.project = p
	g.problems = append(g.problems, problems...)
	return problems.Err()
}

// readBuildspec finds the buildspec: what was asked for, else what the project
// says, else buildspec.yml of the source.
func (g *found) readBuildspec(ctx context.Context, a *App, f *runFlags) error {
	g.atBuildspec = true
	name, text, err := g.buildspecText(ctx, a, f)
	if err != nil {
		return err
	}
	spec, problems := buildspec.Parse(name, text)
	g.spec = spec
	if g.location == "" {
		g.inline = string(text)
	}
	problems = a.check(ctx, spec, problems, g.against(f))
	g.problems = append(g.problems, problems...)
	if problems.Failed() || f.strict && len(problems) > 0 {
		return g.problems
	}
	return nil
}

// against is what the buildspec of a build is checked against. The build itself
// looks into its image.
func (g *found) against(f *runFlags) against {
	in := against{
		image: firstText(f.image, g.project.Environment.Image, project.DefaultImage(runtime.GOARCH)), privileged: f.privileged || f.docker == "socket",
		run: true, root: g.source.Dir, ignore: f.ignore,
	}
	if f.project != "" {
		in.project, in.projectFile = &g.project, f.project
	}
	return in
}

func (g *found) buildspecText(ctx context.Context, a *App, f *runFlags) (string, []byte, error) {
	asked, origin, named := f.buildspec, "--buildspec", f.origins["buildspec"].kind >= fromVariable
	if asked == "" {
		asked, origin, named = g.project.Source.Buildspec, f.project, false
	}
	switch {
	case asked == "-":
		text, err := readAll(ctx, a.Stdin)
		if err != nil {
			return "", nil, fmt.Errorf("read the buildspec from standard input: %w", err)
		}
		return "standard input", text, nil
	case config.IsInline(asked):
		return origin, []byte(asked), nil
	case strings.HasPrefix(asked, "arn:"):
		return "", nil, usagef("buildspec %s is in S3, which is not supported; download it and pass the file with --buildspec", asked)
	case asked == "":
		return g.readFile(ctx, f, []string{filepath.Join(f.source, "buildspec.yml")}, named)
	case filepath.IsAbs(asked):
		return g.readFile(ctx, f, []string{asked}, named)
	case f.fromSource("buildspec") || f.buildspec == "" && f.fromSource("project"):
		return g.readFile(ctx, f, []string{filepath.Join(f.source, asked)}, named)
	}
	names := []string{filepath.Clean(asked), filepath.Join(f.source, asked)}
	return g.readFile(ctx, f, slices.Compact(names), named)
}

// outside names a buildspec that a link of the source has elsewhere.
func outside(name string, err error) error {
	if leadsOut(err) {
		return fmt.Errorf("%s is a symbolic link that leads out of the source", name)
	}
	return err
}

// readAll reads r to its end, or until ctx ends; more than a buildspec may have
// is not read.
func readAll(ctx context.Context, r io.Reader) ([]byte, error) {
	return regular.WithContext(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(r, buildspec.MaxSize+1)) })
}

// readFile reads a buildspec that the user names.
func readFile(ctx context.Context, name string) ([]byte, error) {
	return regular.ReadNamed(ctx, name, maxDocument)
}

// readBelow reads a buildspec of the source. A link that leads out of the source is
// an error, unless the user named the file: an error in it would show a line of a
// file that the source cannot have.
func readBelow(ctx context.Context, dir, below string, named bool) ([]byte, error) {
	name := filepath.Join(dir, filepath.FromSlash(below))
	if named {
		return readFile(ctx, name)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return regular.ReadIn(root, filepath.FromSlash(below), maxDocument)
}

// readFile reads the first of names that exists. A file of the source is read
// where the build sees it: in a clean checkout, if there is one.
func (g *found) readFile(ctx context.Context, f *runFlags, names []string, named bool) (string, []byte, error) {
	for _, name := range names {
		below, inside := relativeTo(f.source, name)
		var text []byte
		var err error
		if inside {
			text, err = readBelow(ctx, g.source.Dir, below, named)
		} else {
			text, err = readFile(ctx, name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if ctx.Err() != nil {
			return "", nil, context.Cause(ctx)
		}
		var kind *regular.Error
		if errors.As(err, &kind) && kind.Mode.IsDir() {
			return "", nil, textError{fmt.Errorf("%s is a directory, not a buildspec\nSet the path of the file with --buildspec", name)}
		}
		if err != nil {
			return "", nil, textError{fmt.Errorf("read the buildspec: %w\nMake it readable, or set another path with --buildspec", outside(name, err))}
		}
		if inside {
			g.location = below
			g.warnHidden(name, below)
		}
		return name, text, nil
	}
	return "", nil, textError{fmt.Errorf("no buildspec found at %s: %w\nCreate one, or set its path with --buildspec", strings.Join(names, " and "), fs.ErrNotExist)}
}

// warnHidden warns of a buildspec that the build itself does not see: the
// service would not find it.
func (g *found) warnHidden(name, below string) {
	for _, hidden := range g.source.Hide {
		if below == hidden || strings.HasPrefix(below, hidden+"/") {
			g.problems = append(g.problems, diag.Problem{Severity: diag.Warning, File: name, Message: "git ignores this buildspec, so CodeBuild would not find it"})
		}
	}
}

// plan settles what the build will do.
func (g *found) plan(a *App, f *runFlags, id runner.Identity) (*runner.Plan, error) {
	id.Project, id.Start, id.Account = g.projectName(f), a.Now(), "000000000000"
	id.Region = firstText(f.region, a.env("AWS_REGION"), a.env("AWS_DEFAULT_REGION"))
	if id.Region == "" && g.account != nil {
		id.Region = g.account.Region()
	}
	id.Region = firstText(id.Region, "us-east-1")
	id.Initiator = a.User
	id.ProjectUUID = uuid.NewSHA1(uuid.NameSpaceURL, []byte("buildlocal:"+id.Project)).String()
	if id.UUID == "" {
		id.UUID = "00000000-0000-0000-0000-000000000000"
	}
	credentialID := ""
	if f.grants() {
		credentialID = g.credentialID
		if f.dryRun {
			credentialID = id.UUID
		}
	}
	return runner.NewPlan(runner.Inputs{
		Host: g.proxies(a), Certificates: g.certificates, CABundle: f.caBundle, CredentialID: credentialID, Grant: f.grant(),
		Zip: f.zip, CachePlace: a.cachePlace(f), GitCredentials: f.gitCredentials, MaskEncoded: f.maskEncoded, Metadata: f.metadata,
		Spec: g.spec, Location: g.shownLocation(), Inline: g.inline, Project: g.project, ProjectFile: f.project,
		Overrides: g.overrides, Image: f.image, ComputeType: f.computeType, Socket: f.docker == "socket", StandIns: f.standIns(), Digest: f.imageDigest, Default: project.DefaultImage(runtime.GOARCH), Privileged: f.privileged, Unprivileged: !f.privileged && f.origins["privileged"].kind == fromFlag,
		Platform: f.platform, Native: f.native, Pull: engine.Pull(f.pull), Timeout: time.Duration(f.timeout), Identity: id, Sources: g.sources,
	})
}

// shownLocation is where the build sees its buildspec.
func (g *found) shownLocation() string {
	if g.location == "" {
		return "/codebuild/readonly/buildspec.yml"
	}
	return g.location
}

// nameForm is what a project's name may not hold (documented).
var nameForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[^A-Za-z0-9_-]+`)
})

// projectName: without a document the source's directory names the project.
func (g *found) projectName(f *runFlags) string {
	name := firstText(f.projectName, g.project.Name)
	if name == "" {
		abs, err := filepath.Abs(f.source)
		if err == nil {
			name = filepath.Base(abs)
		}
	}
	name = strings.Trim(nameForm().ReplaceAllString(name, "-"), "-")
	return firstText(name, "project")
}

func firstText(all ...string) string {
	for _, text := range all {
		if text != "" {
			return text
		}
	}
	return ""
}
