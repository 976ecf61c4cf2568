package runner

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/runtimes"
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

// explainRuntime adds the position of a runtime that the image does not have.
func (p *Plan) explainRuntime(err error) error {
	var unknown *runtimes.Unknown
	if !errors.As(err, &unknown) {
		return err
	}
	message := unknown.Message
	switch {
	case len(unknown.Known) == 0: // another mistake, such as versions that exclude each other
	case unknown.Version == "":
		message = fmt.Sprintf("the image has no runtime %s; it has %s", unknown.Name, human.Series(unknown.Known))
	default:
		message = fmt.Sprintf("the image has no %s %s; it has %s", unknown.Name, unknown.Version, human.Series(unknown.Known))
	}
	problem := p.spec.ProblemAt("phases.install.runtime-versions."+unknown.Name, unknown.Version == "", message)
	problem.Service = YAMLError + ": " + unknown.Message
	return &placedError{err, problem}
}

// explainMissing adds the position of a selection without files, and the nearest existing
// file or directory. key is the path of the section in the buildspec.
func (c *collector) explainMissing(ctx context.Context, err error, key string, s tree.Selection) error {
	if len(s.Files) == 0 {
		return err
	}
	var problem diag.Problem
	switch {
	case errors.Is(err, tree.ErrNoBase):
		problem = c.plan.spec.ProblemAt(key+".base-directory", false, fmt.Sprintf("base-directory %s does not exist", s.Base))
		problem.Hint = c.nearestDirectory(ctx, s.Base)
	case errors.Is(err, tree.ErrNoMatch):
		message := fmt.Sprintf("no file matches %s", s.Files[0])
		if more := len(s.Files) - 1; more > 0 {
			message += fmt.Sprintf(" or the other %s", human.Count(more, "pattern"))
		}
		problem = c.plan.spec.ProblemAt(key+".files[0]", false, message)
		problem.Hint = c.nearestFile(ctx, s.Base, s.Files[0])
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
)

// nearestDirectory returns a hint about a directory that may have been meant, or "".
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
	return ""
}

// nearestFile returns a hint about a file with the extension of a pattern, or "". base is the
// base directory.
func (c *collector) nearestFile(ctx context.Context, base, pattern string) string {
	name := path.Base(pattern)
	if ext := path.Ext(name); ext != "" && tree.IsLiteral(ext) {
		name = "*" + ext
	} else if !tree.IsLiteral(name) {
		return ""
	}
	dir := path.Join(c.plan.Sources[0].Path, base)
	found := c.search(ctx, dir, "-type f -name "+shell.Quote(name))
	if len(found) == 0 {
		return ""
	}
	if near := diag.Suggest(pattern, found); near != "" {
		return "nearest: " + near
	}
	return "nearest: " + found[0]
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
