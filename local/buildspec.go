package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/source"
)

// maxDocument is the largest file named by the user that is read, in bytes. Each format
// has a lower limit of its own with a better message.
const maxDocument = 4 << 20

// readSetting reads a file that a setting names. A file named by the source's own
// configuration is not read a second time: it could have been replaced since the user's
// trust in it was checked.
func (r *Request) readSetting(ctx context.Context, setting, name string) ([]byte, error) {
	if text, read := r.Texts[name]; read && r.comesWithSource(setting) {
		return text, nil
	}
	return regular.ReadNamed(ctx, name, maxDocument)
}

// ReadProject reads the project file, if the request names one.
func (r *Request) ReadProject(ctx context.Context) (project.Project, diag.List, error) {
	if r.Repeats != nil {
		return r.Repeats.Project, nil, nil
	}
	if r.Source.Project == "" {
		return project.Project{}, nil, nil
	}
	text, err := r.readSetting(ctx, "project", r.Source.Project)
	if err != nil {
		return project.Project{}, nil, Usagef("read the project document: %w", err)
	}
	p, problems := project.Parse(r.Source.Project, text, r.Source.ProjectName)
	return p, problems, problems.Err()
}

// BuildspecText is the text of a buildspec, before it is parsed.
type BuildspecText struct {
	Name     string // as the user would type it, or a description of where the text is from
	Location string // path below the source; "" if it is not in the source
	Text     []byte
	Problems diag.List // warnings about the file
}

// ReadBuildspec finds and reads the buildspec: the one of the request, else the one of
// the project, else buildspec.yml of the source. Files of the source are read from the
// opened source s, which may be a clean checkout.
func (h *Host) ReadBuildspec(
	ctx context.Context,
	r *Request,
	p project.Project,
	s *source.Source,
) (BuildspecText, error) {
	wanted, from, named := r.Source.Buildspec, "--buildspec", r.origin("buildspec") >= FromVariable
	if wanted == "" {
		wanted, from, named = p.Source.Buildspec, r.Source.Project, false
	}
	// The forms of a buildspec in CodeBuild are a path, YAML and the ARN of an object in S3.
	var names []string
	switch {
	case wanted == "-":
		text, err := h.readStdin(ctx)
		if err != nil {
			return BuildspecText{}, fmt.Errorf("read the buildspec from standard input: %w", err)
		}
		return BuildspecText{Name: "standard input", Text: text}, nil
	case config.IsInline(wanted):
		return BuildspecText{Name: from, Text: []byte(wanted)}, nil
	case strings.HasPrefix(wanted, "arn:"):
		return BuildspecText{}, Usagef(
			"buildspec %s is in S3, which is not supported; download it and pass the file with --buildspec", wanted)
	case wanted == "":
		names = []string{filepath.Join(r.Source.Dir, "buildspec.yml")}
	case filepath.IsAbs(wanted):
		names = []string{wanted}
	case r.comesWithSource("buildspec") || r.Source.Buildspec == "" && r.comesWithSource("project"):
		names = r.inSource(s, wanted)
	default:
		// A name typed by the user is relative to the current directory, as everywhere
		// on the command line, or to the source, as in CodeBuild.
		names = slices.Compact(append([]string{filepath.Clean(wanted)}, r.inSource(s, wanted)...))
	}
	found, err := r.readFirst(ctx, s, names, named)
	if none := (*NoBuildspecError)(nil); errors.As(err, &none) {
		h.explainMissing(none, r, wanted == "")
	}
	return found, err
}

// explainMissing adds the places at which a buildspec was found instead to the error for a
// missing one.
func (h *Host) explainMissing(none *NoBuildspecError, r *Request, usual bool) {
	none.Dir, none.Near = h.Tilde(absolute(r.Source.Dir)), FindBuildspecs(r.Source.Dir)
	if broken := (*regular.BrokenLinkError)(nil); errors.As(none.Err, &broken) {
		none.Names[len(none.Names)-1] += " (" + broken.Error() + ")"
	} else if usual {
		none.Names = nil
	}
}

// inSource returns the paths that a relative name of a buildspec may have. In a subdirectory of
// the source, the name of a project document is relative to the source, as in CodeBuild, and other
// names are relative to the subdirectory.
func (r *Request) inSource(s *source.Source, name string) []string {
	below, from := filepath.Join(r.Source.Dir, name), filepath.Join(s.From, name)
	switch {
	case r.Source.Root == "":
		return []string{below}
	case r.Source.Buildspec == "":
		return []string{from, below}
	}
	return []string{below, from}
}

// readStdin reads the standard input until it ends, ctx is done or the limit of a
// buildspec is exceeded.
func (h *Host) readStdin(ctx context.Context) ([]byte, error) {
	return regular.WithContext(ctx, func() ([]byte, error) {
		return io.ReadAll(io.LimitReader(h.Stdin, buildspec.MaxSize+1))
	})
}

// ReadFile reads a buildspec that the user names, or the standard input for "-".
func (h *Host) ReadFile(ctx context.Context, name string) ([]byte, error) {
	if name == "-" {
		return h.readStdin(ctx)
	}
	return regular.ReadNamed(ctx, name, maxDocument)
}

// readFirst reads the first buildspec that exists.
func (r *Request) readFirst(ctx context.Context, s *source.Source, names []string, named bool) (BuildspecText, error) {
	var missing error = fs.ErrNotExist
	for _, name := range names {
		below, inside := r.nameBelow(s.From, name)
		text, err := readBuildspecFile(ctx, s, name, below, named)
		if errors.Is(err, fs.ErrNotExist) {
			if broken := (*regular.BrokenLinkError)(nil); errors.As(err, &broken) {
				missing = broken
			}
			continue
		}
		if ctx.Err() != nil {
			return BuildspecText{}, context.Cause(ctx)
		}
		var kind *regular.Error
		switch {
		case errors.As(err, &kind) && kind.Mode.IsDir():
			return BuildspecText{}, InputError{fmt.Errorf(
				"%s is a directory, not a buildspec\nSet the path of the file with --buildspec", name)}
		case regular.LeadsOut(err):
			err = fmt.Errorf("%s is a symbolic link that leads out of the source", name)
			fallthrough
		case err != nil:
			return BuildspecText{}, InputError{fmt.Errorf(
				"read the buildspec: %w\nMake it readable, or set another path with --buildspec", err)}
		}
		found := BuildspecText{Name: name, Text: text}
		if inside {
			found.Location, found.Problems = below, warnIgnored(s, name, below)
		}
		return found, nil
	}
	return BuildspecText{}, InputError{&NoBuildspecError{Names: names, Err: missing}}
}

// readBuildspecFile reads a buildspec at name, which is at below in the source if below
// is not empty. A link in the source that leads out of it is an error, unless the user
// named the file: messages would quote a line of a file that the source cannot contain.
func readBuildspecFile(ctx context.Context, s *source.Source, name, below string, named bool) ([]byte, error) {
	if below == "" {
		return regular.ReadNamed(ctx, name, maxDocument)
	}
	if named {
		return regular.ReadNamed(ctx, filepath.Join(s.Dir, filepath.FromSlash(below)), maxDocument)
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return regular.ReadIn(root, filepath.FromSlash(below), maxDocument)
}

// warnIgnored warns of a buildspec that is not part of the source, so that CodeBuild
// would not find it.
func warnIgnored(s *source.Source, name, below string) diag.List {
	for _, hidden := range s.Hide {
		if below == hidden || strings.HasPrefix(below, hidden+"/") {
			return ignoredByGit(name)
		}
	}
	return nil
}

// ignoredByGit returns the warning about a buildspec that git ignores.
func ignoredByGit(name string) diag.List {
	return diag.List{
		{Severity: diag.Warning, File: name, Message: "git ignores this buildspec, so CodeBuild would not find it"},
	}
}

// WarnIgnored warns of a buildspec that git ignores, for commands that do not list the files of the
// source as a build does. It asks git once.
func WarnIgnored(ctx context.Context, file string) diag.List {
	if !source.IsIgnored(ctx, file) {
		return nil
	}
	return ignoredByGit(file)
}

// readBuildspec reads, parses and checks the buildspec of a build.
func (h *Host) readBuildspec(ctx context.Context, r *Request, in *Inputs) error {
	text, err := in.oldText, error(nil)
	if in.oldText = nil; text == nil {
		text = &BuildspecText{}
		*text, err = h.ReadBuildspec(ctx, r, in.Project, in.Source)
	}
	if err != nil {
		return err
	}
	in.text = *text
	spec, problems := buildspec.Parse(text.Name, text.Text)
	in.Spec, in.location = spec, text.Location
	if in.Project.Source.Type == noSource {
		in.location = "" // the file is not in the build
	}
	if in.location == "" {
		in.inline = string(text.Text)
	}
	// The build itself looks into its image for the runtimes, so that does not happen here: it would
	// take time before every build. So Known and Inspect are not set.
	against := r.against(&in.Project, in.overrides)
	against.Root = in.Source.Dir
	facts := h.lintInput(ctx, spec, against)
	problems = lint.Check(facts, problems, against.Ignore)
	in.unset = func() map[int][]string { return lint.Unset(facts) }
	in.hidden = func() map[int]map[string]string { return lint.HiddenValues(facts) }
	in.Problems = append(append(in.Problems, text.Problems...), problems...)
	if problems.Failed() || r.Checks.Strict && len(problems) > 0 {
		return in.Problems
	}
	return nil
}

// NamesImage reports whether the request or the project names an image.
func (in *Inputs) NamesImage() bool { return in.configuredImage() != "" }

// configuredImage returns the image of the request or of the project, or "".
func (in *Inputs) configuredImage() string {
	if in.Request.Image.Name != "" {
		return in.Request.Image.Name
	}
	return in.Project.Environment.Image
}
