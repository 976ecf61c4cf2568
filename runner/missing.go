package runner

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/runtimes"
	"github.com/buildlocal/buildlocal/secrets"
)

// placedError is an error with the position in the buildspec that it is about.
type placedError struct {
	error
	problem diag.Problem
}

// Unwrap returns the error without its position.
func (e *placedError) Unwrap() error { return e.error }

// problemOf returns the position of an error, or nil if it has none.
func problemOf(err error) *diag.Problem {
	var placed *placedError
	if !errors.As(err, &placed) {
		return nil
	}
	return &placed.problem
}

// missingValues returns the result of a build without values for some variables. Its position
// is that of the first of them in the buildspec; those of a project have none.
func (p *Plan) missingValues(missing *secrets.Failure) result {
	at := diag.Problem{Message: missing.Reason}
	for _, v := range p.Variables {
		if v.Stored == nil || !slices.Contains(missing.Names, v.Name) {
			continue
		}
		section := "env.parameter-store."
		if v.Stored.Kind == secrets.SecretsManager {
			section = "env.secrets-manager."
		}
		found := p.spec.ProblemAt(section+v.Name, true, missing.Reason)
		if v.Origin == buildspecOrigin(found.File, found.Line) {
			at = found
			break
		}
	}
	at.Service = missing.StatusCode + ": " + missing.Message
	return result{
		status: Failed, context: Context{missing.StatusCode, missing.Message}, problem: &at,
		hints: []string{"hint: " + missing.Hint},
	}
}

// runtimePath is the beginning of the key path of a runtime.
const runtimePath = "phases.install.runtime-versions."

// explainRuntime returns the position of a runtime that the image does not have, and hints. The
// runtime or version that was probably meant, if there is one, is at the position.
func (p *Plan) explainRuntime(err error) (*diag.Problem, []string) {
	var unknown *runtimes.Unknown
	if !errors.As(err, &unknown) {
		return nil, nil
	}
	message, near := unknown.Message, ""
	hints := []string{"hint: use -i IMAGE with " + strings.TrimSpace(unknown.Name+" "+unknown.Version) +
		"; buildlocal image ls lists images"}
	switch {
	case len(unknown.Known) == 0: // another mistake, such as versions that exclude each other
		hints = nil
	case unknown.Version == "":
		message = fmt.Sprintf("the image has no runtime %s; it has %s", unknown.Name, human.Series(unknown.Known))
		if near = diag.Question(unknown.Name, unknown.Known); near != "" {
			hints = nil // no image has it
		}
	default:
		message = fmt.Sprintf("the image has no %s %s; it has %s", unknown.Name, unknown.Version, human.Series(unknown.Known))
		if version := unknown.Nearest(); version != "" {
			near = "nearest: " + version
		}
	}
	problem := p.spec.ProblemAt(runtimePath+unknown.Name, unknown.Version == "", message)
	problem.Service, problem.Hint = YAMLError+": "+unknown.Message, near
	return &problem, hints
}

// explainExpand adds the position of a text that the shell cannot expand: that of
// the key or of the value at a path.
func (p *Plan) explainExpand(err error, path string, key bool) error {
	var failed *expandError
	if !errors.As(err, &failed) {
		return err
	}
	problem := p.spec.ProblemAt(path, key, fmt.Sprintf("%v: %s", errExpand, failed.text))
	problem.Hint = failed.printed
	return &placedError{err, problem}
}

// pathOf returns the key path of a text in a selection. key is that of the section.
func pathOf(text, key string, s tree.Selection) string {
	if i := slices.Index(s.Files, text); i >= 0 {
		return fmt.Sprintf("%s.files[%d]", key, i)
	}
	if i := slices.Index(s.Exclude, text); i >= 0 {
		return fmt.Sprintf("%s.exclude-paths[%d]", key, i)
	}
	return key + ".base-directory"
}

// explainMissing adds the position of a selection without files, and the nearest existing
// file or directory. key is the path of the section in the buildspec.
func (c *collector) explainMissing(ctx context.Context, err error, key string, s tree.Selection) error {
	var failed *expandError
	if errors.As(err, &failed) {
		return c.plan.explainExpand(err, pathOf(failed.text, key, s), false)
	}
	if len(s.Files) == 0 {
		return err
	}
	meant := s // without variables
	if expanded, err := c.expand(ctx, s); err == nil {
		meant = expanded
	}
	var problem diag.Problem
	switch {
	case errors.Is(err, tree.ErrNoBase):
		problem = c.plan.spec.ProblemAt(key+".base-directory", false, fmt.Sprintf("base-directory %s does not exist", s.Base))
		problem.Hint = c.nearestDirectory(ctx, meant.Base)
	case errors.Is(err, tree.ErrNoMatch):
		message := fmt.Sprintf("no file matches %s", s.Files[0])
		if more := len(s.Files) - 1; more > 0 {
			message += fmt.Sprintf(" or the other %s", human.Count(more, "pattern"))
		}
		problem = c.plan.spec.ProblemAt(key+".files[0]", false, message)
		problem.Hint = c.nearestFile(ctx, meant.Base, meant.Files[0])
	default:
		return err
	}
	problem.Service = ClientError + ": " + err.Error()
	return &placedError{err, problem}
}

// Limits of the search for a name that was meant. The hint is not worth more.
const (
	maxSearchTime = 2 * time.Second
	maxCandidates = 1000
	maxNamed      = 4 // names of a directory that are listed if none of them is similar
)

// nearestDirectory returns a hint about a directory that may have been meant, else about the
// directories of the source.
func (c *collector) nearestDirectory(ctx context.Context, written string) string {
	found := c.search(ctx, c.plan.Sources[0].Path, "-maxdepth 3 -type d")
	if name := diag.Suggest(strings.TrimSuffix(written, "/"), found); name != "" {
		return "nearest: " + name
	}
	for _, name := range found { // a directory of the same name elsewhere
		if path.Base(name) == path.Base(written) {
			return "nearest: " + name
		}
	}
	top := slices.DeleteFunc(found, func(name string) bool { return strings.Contains(name, "/") || name[0] == '.' })
	if len(top) == 0 {
		return "the source has no directories"
	}
	return "there are: " + listed(top)
}

// listed joins names in alphabetical order. Many are cut.
func listed(names []string) string {
	slices.Sort(names)
	if more := len(names) - maxNamed; more > 1 {
		return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return human.Series(names)
}

// nearestFile returns a hint about a file with the extension of a pattern, else about the
// directory in which the pattern begins. base is the base directory.
func (c *collector) nearestFile(ctx context.Context, base, pattern string) string {
	name := path.Base(pattern)
	if ext := path.Ext(name); ext != "" && tree.IsLiteral(ext) {
		name = "*" + ext
	} else if !tree.IsLiteral(name) {
		return c.contents(ctx, base, pattern)
	}
	dir := path.Join(c.plan.Sources[0].Path, base)
	found := c.search(ctx, dir, "-type f -name "+shell.Quote(name))
	if len(found) == 0 {
		return c.contents(ctx, base, pattern)
	}
	if near := diag.Suggest(pattern, found); near != "" {
		return "nearest: " + near
	}
	return "nearest: " + found[0]
}

// contents returns a hint about the directory in which a pattern begins: that it does not exist,
// or its names.
func (c *collector) contents(ctx context.Context, base, pattern string) string {
	stem := tree.LiteralPrefix(pattern)
	if tree.IsLiteral(pattern) {
		stem = path.Dir(stem)
	}
	shown := path.Join(base, stem)
	if path.IsAbs(stem) {
		shown = stem
	}
	dir := shown
	if !path.IsAbs(dir) {
		dir = path.Join(c.plan.Sources[0].Path, dir)
	}
	if shown == "." {
		shown = "the source"
	}
	if _, exit, err := c.shells.capture(ctx, "test -d "+shell.Quote(dir)); err != nil || exit != 0 {
		return shown + " does not exist"
	}
	found := c.search(ctx, dir, "-maxdepth 1")
	if len(found) == 0 {
		return shown + " is empty"
	}
	return shown + " has " + listed(found)
}

// search returns the paths below a directory of the build that find(1) selects, without
// version control and dependencies.
func (c *collector) search(ctx context.Context, dir, expression string) []string {
	ctx, cancel := context.WithTimeout(ctx, maxSearchTime)
	defer cancel()
	command := fmt.Sprintf("cd %s && find . \\( -name .git -o -name node_modules \\) -prune -o %s -print | head -n %d",
		shell.Quote(dir), expression, maxCandidates)
	output, exit, err := c.shells.capture(ctx, command)
	if err != nil || exit != 0 {
		return nil
	}
	var found []string
	for line := range strings.Lines(output) {
		if name := strings.TrimPrefix(strings.TrimRight(line, "\n"), "./"); name != "." {
			found = append(found, name)
		}
	}
	return found
}
