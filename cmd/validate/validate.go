// Package validate has the commands that check buildspecs without running them: validate,
// schema and the language server. The checks are those of packages buildspec and lint; this
// package chooses the texts to check and shows the results.
package validate

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
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/atomicfile"
	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/source"
)

// Options are the flags of validate: those of run that describe the build, and its own.
type Options struct {
	settings.Flags
	Fix   bool     // change the files
	Diff  bool     // print the changes instead
	Names []string // of buildspecs; none for that of the build, - for standard input

	sourceGiven bool // --source is on the command line
}

// NewCmd returns the command validate.
func NewCmd(a *cli.App, runF cli.RunF[Options]) *cobra.Command {
	o := &Options{}
	c := &cobra.Command{
		Use:   "validate [DIR | FILE...]",
		Short: "Check buildspecs without starting a build",
		Long: "Report constructs that CodeBuild rejects (errors), ignores (warnings), or accepts\n" +
			"although they are probably unintended (lints). The buildspec is checked by itself,\n" +
			"against the project, the image and the source, and its commands are checked too.\n\n" +
			"FILE is a buildspec, or - for standard input (default: the buildspec of run). DIR is the\n" +
			"same as -C DIR.",
		Annotations: help.Notes(
			"Each message ends with the name of its check; docs/checks.md describes them. To",
			"disable a warning or lint, add a comment '# buildlocal:ignore NAME' to the line, or",
			"use --ignore, or ignore: in "+settings.File+".",
			"",
			"Exit codes: 0 no errors, 2 usage error, 3 errors (with --strict: any problem) or",
			"unreadable buildspec, 4 fixes could not be written.",
		),
		Example: "  buildlocal validate\n  buildlocal validate --project project.json --strict\n" +
			"  buildlocal validate --fix ci/*.yml\n  buildlocal validate --format sarif > buildspec.sarif",
	}
	fs := c.Flags()
	fs.SortFlags = false
	o.AddSome(
		c, append(settings.CheckSettings(), "strict", "color")...)
	o.SetFormats(console.ProblemFormats) // Settle checks the value
	fs.BoolVar(&o.Fix, "fix", false, "apply unambiguous fixes to the files")
	fs.BoolVar(&o.Diff, "diff", false, "print unambiguous fixes as a diff without applying them")
	fs.StringVar(&o.Format, "format", "text", "print problems as `FORMAT`: "+strings.Join(console.ProblemFormats, ", "))
	help.SetGroup(fs, help.OutputGroup, "fix", "diff", "format")
	c.RunE = func(c *cobra.Command, args []string) error {
		if cli.IsDirArg(args) {
			if err := cli.SourceArg(c, args); err != nil {
				return err
			}
			args = nil
		}
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		o.Names, o.sourceGiven = args, c.Flags().Changed("source")
		if err := o.check(); err != nil {
			return err
		}
		return runF.Or(a, run)(c.Context(), o)
	}
	return c
}

// check returns an error for contradictory flags and arguments.
func (o *Options) check() error {
	switch {
	case o.Fix && slices.Contains(o.Names, "-"):
		return cli.Usagef("--fix cannot change standard input; use --diff")
	case o.Fix && o.Diff:
		return cli.Usagef("--diff and --fix cannot be combined")
	case o.Diff && o.Format != "text":
		return cli.Usagef("--diff and --format %s cannot be combined", o.Format) // a diff is a format of its own
	}
	return nil
}

// text is a buildspec to check.
type text struct {
	name   string // for messages
	bytes  []byte
	root   string // directory of its source; "" if not known
	onDisk bool   // name is a file that may be fixed
}

// validator checks several buildspecs of one project.
type validator struct {
	*cli.App
	*Options
	project project.Project
	against local.Against
	root    string          // directory of the source
	changes strings.Builder // the diff
}

// run checks all buildspecs, and prints one report. A file that cannot be read does not keep
// the others from being checked, except in a text report without any of them.
func run(ctx context.Context, a *cli.App, o *Options) error {
	p, problems, err := o.ReadProject(ctx)
	if err != nil {
		return err
	}
	root, err := o.SourceRoot()
	if err != nil {
		return o.Explain(err)
	}
	against, wrong, err := a.Against(ctx, &o.Request, &p)
	if err != nil {
		return o.Explain(err)
	}
	against.Inspect = true
	problems = append(problems, wrong...)
	v := &validator{App: a, Options: o, project: p, against: against, root: root}
	texts, unread := v.texts(ctx, o.Names)
	// A program that reads a report gets one in any case, and an error beside it; as JSON the error
	// is an object of its own.
	alone := o.Format == "text" || o.Format == cli.FormatJSON
	if len(texts) == 0 && unread != nil && alone || ctx.Err() != nil {
		return errors.Join(unread, context.Cause(ctx))
	}
	// Other formats are read by programs, even on a terminal.
	options := a.ConsoleOptions()
	report := console.Report{Checks: lint.All(), Strict: o.Checks.Strict, Tool: a.Version, ASCII: options.ASCII,
		Color: o.Format == "text" && options.Color}
	if options.Width != nil {
		report.Width = options.Width()
	}
	// The project document is checked once, not for each buildspec.
	if len(problems) > 0 {
		report.Files = append(report.Files, console.Checked{File: o.Source.Project, Problems: problems})
	}
	for _, t := range texts {
		checked, err := v.check(ctx, t)
		unread = errors.Join(unread, err)
		report.Files = append(report.Files, checked)
	}
	if unread != nil {
		a.PrintError(unread) // on stderr, so that reports for tools stay valid
	}
	// The report counts more than files that could not be read: 3 before 4.
	err = errors.Join(v.print(report), v.writeUnread(unread), v.verdict(report))
	if err == nil && unread != nil {
		return cli.ExitError{Code: cli.ExitCode(unread)}
	}
	return err
}

// writeUnread prints the files that could not be read after a report as JSON.
func (v *validator) writeUnread(err error) error {
	if err == nil || v.Format != cli.FormatJSON {
		return nil
	}
	return v.WriteErrorJSON(err, false)
}

// check returns the problems of a buildspec, after fixing it if that is asked for. With
// --diff they are those before the fixes, because the file is unchanged.
func (v *validator) check(ctx context.Context, t text) (console.Checked, error) {
	spec, problems := v.problems(ctx, t)
	checked := console.Checked{File: t.name}
	var err error
	if v.Fix || v.Diff || countFixable(problems) > 0 && t.onDisk {
		var fixed []console.Fixed
		if t, fixed, err = v.fix(ctx, t); v.Fix {
			checked.Fixed = fixed
		} else if !v.Diff {
			checked.Fixable = len(fixed)
		}
	}
	if v.Fix { // the report is about the file as it is now
		spec, problems = v.problems(ctx, t)
	}
	checked.Problems, checked.Warning = problems, spec.Warning()
	return checked, err
}

// print prints the report, or with --diff the changes and how many problems they leave.
func (v *validator) print(report console.Report) error {
	if !v.Diff {
		return console.WriteProblems(v.Raw.Out, v.Format, report)
	}
	if _, err := fmt.Fprint(v.Stdout, v.changes.String()); err != nil {
		return err
	}
	// Problems without a safe fix are not in the diff. On stderr, so that the diff can be piped
	// into patch.
	left := 0
	for _, file := range report.Files {
		left += len(file.Problems) - countFixable(file.Problems)
	}
	if left > 0 {
		fmt.Fprintf(v.Stderr, "%d more to fix by hand; run buildlocal validate\n", left)
	}
	return nil
}

// verdict returns the error for a report: it failed if a file has errors, or with --strict
// any problem.
func (v *validator) verdict(r console.Report) error {
	for _, file := range r.Files {
		if file.Problems.Failed() || v.Checks.Strict && len(file.Problems) > 0 {
			return cli.ExitError{Code: cli.ExitInput}
		}
	}
	return nil
}

// texts reads the named buildspecs, or that of the build if there are no names. It also
// returns those that can be read if there is an error.
func (v *validator) texts(ctx context.Context, names []string) ([]text, error) {
	if len(names) == 0 {
		// An inline buildspec and one of the project document have no file to fix.
		found, err := v.ReadBuildspec(ctx, &v.Request, v.project, &source.Source{Dir: v.root, From: v.root})
		if err != nil {
			return nil, err
		}
		given := v.Source.Buildspec
		onDisk := found.Location != "" || given != "" && given != "-" && !config.IsInline(given)
		return []text{{name: found.Name, bytes: found.Text, root: v.root, onDisk: onDisk}}, nil
	}
	var all []text
	var errs []error
	for _, name := range names {
		t := text{name: name, onDisk: name != "-"}
		if name == "-" {
			t.name = "standard input" // there is no better name for messages
		}
		var err error
		if t.bytes, err = v.ReadFile(ctx, name); err != nil {
			errs = append(errs, local.NewInputError(err))
			continue
		}
		t.root = v.rootOf(name) // "" skips the checks that need the source
		all = append(all, t)
	}
	return all, errors.Join(errs...)
}

// rootOf returns the directory of the source that a named file belongs to: that of the build if
// the file is in it, or if the user chose it, else the repository that contains the file, else "".
// Editors and pre-commit hooks name files from other directories, and paths in a buildspec are
// relative to its source.
func (v *validator) rootOf(name string) string {
	if v.sourceGiven || name == "-" {
		return v.root
	}
	return sourceOf(v.root, name)
}

// sourceOf returns the source of a file: root if the file is below it, and not in a repository of its
// own there; else the repository of the file, or "".
func sourceOf(root, file string) string {
	real := filepath.Join(local.RealDir(filepath.Dir(file)), filepath.Base(file))
	repository := repositoryOf(real)
	if _, nested := local.RelativeTo(local.RealDir(root), repository); nested && repository != "" {
		return repository
	}
	if _, inside := local.RelativeTo(local.RealDir(root), real); inside {
		return root
	}
	return repository
}

// repositoryOf returns the top directory of the git repository that contains a file, or "".
// In worktrees and submodules .git is a file, so any kind of entry counts. git itself may
// not be installed.
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

// problems parses a buildspec, and checks it against the project, the image and the source.
func (v *validator) problems(ctx context.Context, t text) (*buildspec.Buildspec, diag.List) {
	spec, problems := buildspec.Parse(t.name, t.bytes)
	against := v.against
	against.Root = t.root
	all := v.Check(ctx, spec, problems, against)
	if t.onDisk && repositoryOf(t.name) != "" {
		all = append(local.WarnIgnored(ctx, t.name), all...)
	}
	return spec, all
}

// fix applies safe fixes to the file, or adds them to the diff, or without --fix and --diff only
// finds them. It returns the text as it is now, and the fixes. An interrupted fix leaves the file
// unchanged.
func (v *validator) fix(ctx context.Context, t text) (text, []console.Fixed, error) {
	// Only the problems of the text itself are fixed; see problemsOf.
	before := string(t.bytes)
	after, fixed := applyFixes(ctx, t.name, before, v.Checks.Ignore)
	if ctx.Err() != nil {
		return t, nil, context.Cause(ctx)
	}
	switch {
	case after == before:
		return t, nil, nil
	case v.Diff:
		v.changes.WriteString(udiff.Unified(t.name, t.name, before, after))
		return t, fixed, nil
	case !v.Fix:
		return t, fixed, nil
	case !t.onDisk:
		return t, nil, cli.Usagef("--fix cannot change %s; use --diff", t.name)
	}
	// Replaced by a rename, with the mode of the old file: an editor never sees a part of it.
	if err := atomicfile.Replace(t.name, []byte(after)); err != nil {
		return t, nil, fmt.Errorf("write the fixes: %w", err)
	}
	t.bytes = []byte(after)
	return t, fixed, nil
}
