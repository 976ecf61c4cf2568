package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/source"
)

// validateFlags are the flags of validate: those of run that say what the build
// would be, and its own.
type validateFlags struct {
	runFlags
	fix, diff   bool
	sourceGiven bool
}

func newValidate(a *App) *cobra.Command {
	f := &validateFlags{}
	c := &cobra.Command{
		Use:   "validate [FILE...]",
		Short: "Check buildspecs without starting a build",
		Long: "Report constructs that CodeBuild rejects (errors), ignores (warnings), or accepts\n" +
			"although they are probably unintended (lints). The buildspec is checked by itself,\n" +
			"against the project, the image and the source, and its commands are checked too.\n\n" +
			"FILE is a buildspec, or - for standard input (default: the buildspec of run).",
		Annotations: notes(
			"Each message ends with the name of its check; docs/checks.md describes them. To",
			"disable a warning or lint, add a comment '# buildlocal:ignore NAME' to the line, or",
			"use --ignore, or ignore: in "+configFile+".",
			"",
			"Exit codes: 0 no errors, 2 usage error, 3 errors (with --strict: any problem) or",
			"unreadable buildspec, 4 fixes could not be written.",
		),
		Example: "  buildlocal validate\n  buildlocal validate --project project.json --strict\n  buildlocal validate --fix ci/*.yml\n  buildlocal validate --format sarif > buildspec.sarif",
	}
	fs := c.Flags()
	fs.SortFlags = false
	addSomeRunFlags(c, &f.runFlags, "source", "buildspec", "image", "project", "project-name", "privileged", "ignore", "strict")
	f.formats = console.ProblemFormats
	fs.BoolVar(&f.fix, "fix", false, "apply unambiguous fixes to the files")
	fs.BoolVar(&f.diff, "diff", false, "print unambiguous fixes as a diff without applying them")
	fs.StringVar(&f.format, "format", "text", "print problems as `FORMAT`: "+strings.Join(console.ProblemFormats, ", "))
	setGroup(fs, outputGroup, "fix", "diff", "format")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.settle(a, c); err != nil {
			return err
		}
		if f.fix && slices.Contains(args, "-") {
			return usagef("--fix cannot change standard input; use --diff")
		}
		if f.fix && f.diff || f.diff && f.format != "text" {
			return usagef("--diff cannot be combined with --fix or --format")
		}
		f.sourceGiven = c.Flags().Changed("source")
		return a.validate(c.Context(), f, args)
	}
	return c
}

// text is a buildspec that is to be checked.
type text struct {
	name   string
	bytes  []byte
	root   string // of its source; empty where that is not known
	onDisk bool   // name is a file that may be fixed
}

func (a *App) validate(ctx context.Context, f *validateFlags, names []string) error {
	found := &found{source: &source.Source{Dir: f.source}}
	if err := found.readProject(ctx, a, &f.runFlags); err != nil {
		return err
	}
	texts, unread := a.texts(ctx, f, found, names)
	if len(texts) == 0 && unread != nil && f.format == "text" || ctx.Err() != nil {
		return errors.Join(unread, context.Cause(ctx))
	}
	report := console.Report{Checks: lint.All(), Strict: f.strict, Color: f.format == "text" && a.color(a.isTerminal()), Tool: a.Version}
	if len(found.problems) > 0 {
		report.Files = append(report.Files, console.Checked{File: f.project, Problems: found.problems})
	}
	var changes strings.Builder
	for _, t := range texts {
		spec, problems := a.examine(ctx, f, found, t)
		if f.fix || f.diff {
			var err error
			t, err = a.mend(ctx, f, t, &changes)
			unread = errors.Join(unread, err)
			if f.fix {
				spec, problems = a.examine(ctx, f, found, t)
			}
		}
		report.Files = append(report.Files, console.Checked{File: t.name, Problems: problems, Warning: spec.Warning()})
	}
	if unread != nil {
		a.tell(unread)
	}
	err := errors.Join(a.print(f, report, changes.String()), f.judge(report))
	if err == nil && unread != nil {
		return errFailed{exitCode(unread)}
	}
	return err
}

// print writes the report, or the changes that --diff asks for and how much they
// leave.
func (a *App) print(f *validateFlags, report console.Report, changes string) error {
	if !f.diff {
		return console.WriteProblems(a.raw.out, f.format, report)
	}
	if _, err := fmt.Fprint(a.Stdout, changes); err != nil {
		return err
	}
	left := 0
	for _, file := range report.Files {
		left += len(file.Problems) - fixable(file.Problems)
	}
	if left > 0 {
		fmt.Fprintf(a.Stderr, "%d more to fix by hand; run buildlocal validate\n", left)
	}
	return nil
}

// judge is the exit code for a report.
func (f *runFlags) judge(r console.Report) error {
	for _, file := range r.Files {
		if file.Problems.Failed() || f.strict && len(file.Problems) > 0 {
			return errFailed{exitText}
		}
	}
	return nil
}

// texts reads the buildspecs that are asked for.
func (a *App) texts(ctx context.Context, f *validateFlags, g *found, names []string) ([]text, error) {
	if len(names) == 0 {
		name, bytes, err := g.buildspecText(ctx, a, &f.runFlags)
		if err != nil {
			return nil, err
		}
		return []text{{name: name, bytes: bytes, root: f.source, onDisk: g.location != "" || f.buildspec != "" && f.buildspec != "-" && !config.IsInline(f.buildspec)}}, nil
	}
	var all []text
	var errs []error
	for _, name := range names {
		t := text{name: name, onDisk: name != "-"}
		var err error
		if name == "-" {
			t.name = "standard input"
			t.bytes, err = readAll(ctx, a.Stdin)
		} else {
			t.bytes, err = readFile(ctx, name)
		}
		if err != nil {
			errs = append(errs, textError{fmt.Errorf("read the buildspec: %w", err)})
			continue
		}
		t.root = f.rootOf(name)
		all = append(all, t)
	}
	return all, errors.Join(errs...)
}

// rootOf returns the source a named file belongs to: what --source says, else
// the repository it stands in. It is not known for others.
func (f *validateFlags) rootOf(name string) string {
	if f.sourceGiven || name == "-" {
		return f.source
	}
	return repositoryOf(name)
}

// repositoryOf returns the top of the git repository a file stands in, or "".
func repositoryOf(file string) string {
	abs, err := filepath.Abs(file)
	if err != nil {
		return ""
	}
	for dir := filepath.Dir(abs); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func (a *App) examine(ctx context.Context, f *validateFlags, g *found, t text) (*buildspec.Buildspec, diag.List) {
	spec, problems := buildspec.Parse(t.name, t.bytes)
	in := against{image: f.image, privileged: f.privileged, root: t.root, ignore: f.ignore, peek: true}
	if f.project != "" {
		in.project, in.projectFile = &g.project, f.project
	}
	return spec, a.check(ctx, spec, problems, in)
}

// mend makes the fixes that are safe: in the file, or as a diff.
func (a *App) mend(ctx context.Context, f *validateFlags, t text, changes *strings.Builder) (text, error) {
	before := string(t.bytes)
	after := mended(ctx, t.name, before, f.ignore)
	if ctx.Err() != nil {
		return t, context.Cause(ctx)
	}
	switch {
	case after == before:
		return t, nil
	case f.diff:
		changes.WriteString(udiff.Unified(t.name, t.name, before, after))
		return t, nil
	case !t.onDisk:
		return t, usagef("--fix cannot change %s; use --diff", t.name)
	}
	if err := replaceFile(t.name, []byte(after)); err != nil {
		return t, fmt.Errorf("write the fixes: %w", err)
	}
	t.bytes = []byte(after)
	return t, nil
}

// mark begins a file in UTF-8 that some editors write.
const mark = "\xef\xbb\xbf"

// mended returns a text with the fixes made that are safe and take a problem
// away: all of them at once, or where they do not go together one by one.
func mended(ctx context.Context, name, before string, ignore []string) string {
	bom := ""
	if strings.HasPrefix(before, mark) {
		bom = mark
	}
	text := strings.TrimPrefix(before, mark)
	problems := kept(name, text, ignore)
	for ctx.Err() == nil {
		next, left, ok := step(name, text, problems, ignore)
		if !ok {
			break
		}
		text, problems = next, left
	}
	return bom + text
}

// kept returns what is wrong with a text, as far as its author wants to be told.
func kept(name, text string, ignore []string) diag.List {
	spec, problems := buildspec.Parse(name, []byte(text))
	return lint.Kept(spec, problems, ignore)
}

// mostSteps is how many fixes are tried one by one.
const mostSteps = 50

// step makes some of the fixes; ok is false when there are none to make.
func step(name, text string, problems diag.List, ignore []string) (next string, left diag.List, ok bool) {
	var safe diag.List
	for _, p := range problems {
		if p.Fix != nil && p.Fix.Safe {
			safe = append(safe, p)
		}
	}
	tries := []diag.List{safe}
	for i := range min(len(safe), mostSteps) {
		tries = append(tries, safe[i:i+1])
	}
	for _, try := range tries {
		next, done := diag.Apply(text, try)
		if len(done) == 0 {
			continue
		}
		if left := kept(name, next, ignore); better(problems, left) {
			return next, left, true
		}
	}
	return text, problems, false
}

// better: what hides behind a fault of the syntax comes to light when that is
// mended, perhaps the next one.
func better(before, after diag.List) bool {
	was, is := fault(before), fault(after)
	switch {
	case was > 0 && is > 0:
		return is > was
	case was > 0 || is > 0:
		return was > 0
	}
	if e := after.Count(diag.Error); e != before.Count(diag.Error) {
		return e < before.Count(diag.Error)
	}
	return fixable(after) < fixable(before)
}

func fixable(l diag.List) int {
	n := 0
	for _, p := range l {
		if p.Fix != nil && p.Fix.Safe {
			n++
		}
	}
	return n
}

// fault is the line of a fault of the syntax, 0 for none.
func fault(l diag.List) int {
	for _, p := range l {
		if p.Name == buildspec.YAMLSyntax {
			return max(1, p.Line)
		}
	}
	return 0
}

// replaceFile writes a file whole or not at all, with the mode and
// the owner it has.
func replaceFile(name string, text []byte) error {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(target), ".buildlocal-*")
	if err != nil {
		return err
	}
	_, err = next.Write(text)
	err = errors.Join(err, next.Chmod(info.Mode().Perm()), keepOwner(next, info), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}
