// Package build has the commands run, plan and debug.
//
// They are a thin layer: settings fills a local.Request from flags, local runs the build, and
// this package chooses how it is shown and which exit code it has.
package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/help"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/cmd/tty"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// Options are the flags of run and plan.
type Options struct {
	settings.Flags

	Hooks Hooks
	stop  func() // stops the build that runs

	// Watched is set by a command that goes on after the build, and offers the next steps itself.
	Watched *Watched
}

// Hooks are functions that a build calls. All of them may be nil.
type Hooks struct {
	Prepared func(*local.Inputs)  // the inputs are read
	Ended    func(*runner.Record) // the build has ended; adds facts to the record
	Finished func(*runner.Record) // the record is masked
}

// Watched connects a build with the command that watches it.
type Watched struct {
	Began func(*local.Session) // the build is prepared, and about to start
	Sink  local.Sink           // shows the build instead of the usual one; nil for that
}

// NewRun returns the command run.
func NewRun(a *cli.App, runF cli.RunF[Options]) *cobra.Command {
	o := &Options{}
	c := &cobra.Command{
		Use:   "run [DIR | FILE]",
		Short: "Run a build",
		Long: "Read buildspec.yml, start a container and run the phases as AWS CodeBuild would.\n" +
			"Artifacts, reports and the log are in .buildlocal/latest. DIR is the same as -C DIR,\n" +
			"and FILE the same as -b FILE.",
		Example: "  buildlocal run -i node:22\n" +
			"  buildlocal run ../service -e STAGE=dev --env-file .env\n" +
			"  buildlocal run -b 'version: 0.2'$'\\n''phases: {build: {commands: [make]}}'",
		Annotations: help.Notes(
			"Flags can also be set with "+settings.VariablePrefix+"<FLAG> environment variables, in "+settings.File,
			"in the source directory, or in ~/.config/buildlocal/config.yml. Run 'buildlocal",
			"config' to see the values. A file in the source can only set flags that affect",
			"the build alone, unless you trust it; see 'buildlocal trust --help'.",
			"",
			"Exit codes: 0 succeeded, 1 build failed, 2 usage error, 3 invalid buildspec,",
			"project file or configuration, 4 engine, image or registry error, 5 timed out,",
			"130 stopped by Ctrl-C, 143 stopped by SIGTERM.",
		),
		Args: cli.SourceArg,
	}
	o.Add(c) // all flags; other commands add some of them
	c.RunE = func(c *cobra.Command, _ []string) error {
		o.CommandLine = cli.CommandLine(c) // before flags get values from other places
		err := o.Settle(c.Context(), a, c)
		a.GuardStderr()
		if err != nil {
			return o.withInputErrors(c.Context(), a, err)
		}
		return runF.Or(a, Run)(c.Context(), o)
	}
	return c
}

// NewPlan returns the command plan, which is run --dry-run: a name of its own, because people
// look for it in the list of commands. It accepts the flags of run, so adding or removing
// one word of a command line shows what it would do.
func NewPlan(a *cli.App, runF cli.RunF[Options]) *cobra.Command {
	c := NewRun(a, func(ctx context.Context, o *Options) error {
		if o.Format == "service" {
			return cli.Usagef("plan: no --format service; use text or json")
		}
		o.DryRun = true
		return runF.Or(a, Run)(ctx, o)
	})
	c.Use, c.Short = "plan [DIR | FILE]", "Print what run would do without starting anything"
	c.Long = "Print the build plan: the engine and the environment, every variable with its origin,\n" +
		"the commands with their lines, artifacts, reports, cache and limits. Same as run\n--dry-run."
	c.Example = "  buildlocal plan\n  buildlocal plan -i node:22 -e STAGE=dev\n" +
		"  buildlocal plan -C ../service --project project.json"
	return c
}

// withInputErrors adds the mistakes in the inputs to those of the settings, so that the user
// gets all of them at once. The standard input is not awaited for a build that cannot start.
func (o *Options) withInputErrors(ctx context.Context, a *cli.App, settings error) error {
	if !o.Readable() || o.ReadsStdin() {
		return settings
	}
	inputs, err := a.LoadWithoutAccount(ctx, &o.Request)
	if inputs != nil {
		if err == nil {
			err = inputs.CheckPlaces()
		}
		inputs.Close()
	}
	err = cli.JoinErrors([]error{settings, o.Explain(err)})
	o.annotate(a, err)
	return err
}

// annotate reports the first problem of a file in a job of GitHub, beside the line that has it.
func (o *Options) annotate(a *cli.App, err error) {
	ci := a.CI()
	if ci.Kind != console.CIGitHub || o.Format != "text" || o.DryRun {
		return
	}
	for _, err := range append(cli.Parts(err), err) {
		var list diag.List
		if !errors.As(err, &list) {
			continue
		}
		at := max(0, slices.IndexFunc(list, func(p diag.Problem) bool { return p.Severity == diag.Error }))
		fmt.Fprint(a.Raw.Out, ci.Annotation(&list[at], cmp.Or(list[at].Name, "buildlocal"), list[at].Text()))
		return
	}
}

// Run runs or plans a build. Everything that can be wrong is reported before something is
// started, and before the build takes a number.
func Run(ctx context.Context, a *cli.App, o *Options) error {
	if err := o.checkDebug(a); err != nil {
		return err
	}
	o.chooseKeepFailed(a)
	o.chooseSnapshots(a)
	// The engine starts while the inputs are read: both take tens of milliseconds.
	warmed := a.Warm(&o.Request)
	defer func() { _ = warmed.Close() }()
	inputs, err := a.Load(ctx, &o.Request)
	if inputs != nil { // also with an error, which may be in the last of several files
		defer inputs.Close()
	}
	if err != nil {
		return o.refuse(a, err)
	}
	if o.Hooks.Prepared != nil {
		o.Hooks.Prepared(inputs)
	}
	// Problems are printed before the build, whose output would scroll them away.
	warn(a, o, inputs)
	session, err := a.Prepare(ctx, inputs, warmed)
	if err != nil {
		return o.refuse(a, err)
	}
	defer func() { _ = session.Close() }()
	if o.DryRun {
		return printPlan(a, o, inputs, session.Plan)
	}
	session.Conclude = o.Hooks.Ended
	return conduct(ctx, a, o, session)
}

// conduct runs a build that is prepared, and shows it.
func conduct(ctx context.Context, a *cli.App, o *Options, session *local.Session) error {
	sink := view(a, o, session)
	if w := o.Watched; w != nil {
		w.Began(session)
		if w.Sink != nil {
			sink = w.Sink
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	o.stop = func() { cancel(runner.ErrStopped) }
	g := debug(ctx, a, o, session, sink)
	if text, is := sink.(*console.Text); is {
		defer text.Close() // also after a panic: the rest of a CI job is no output of this build
		defer context.AfterFunc(ctx, func() {
			if errors.Is(context.Cause(ctx), runner.ErrStopped) {
				text.Stopping(session.Plan.Identity.Number)
			}
		})()
	}
	a.Started = true
	if g != nil {
		sink = g.sink
		defer g.end(a)
	}
	result := session.Run(ctx, sink)
	if o.Hooks.Finished != nil {
		o.Hooks.Finished(result.Record)
	}
	defer o.offerDebug(a, result.Record)
	if result.Fault != nil && o.Format == "text" { // which was printed above the verdict
		return cli.ExitError{Code: cli.ExitCode(result.Fault)}
	}
	return verdict(result)
}

// printPlan prints what a build would do.
func printPlan(a *cli.App, o *Options, in *local.Inputs, p *runner.Plan) error {
	if o.Format == cli.FormatJSON {
		return a.WriteJSON(planJSON(p))
	}
	screen := a.Screen()
	shown := func(name string) string {
		if local.IsS3(name) {
			return name
		}
		return a.Tilde(name)
	}
	screen.Plan(console.PlanView{Plan: p, Whole: o.Verbose, SecretOrigin: in.SecretOrigin,
		CacheEntry: in.CacheEntry(p), Path: shown})
	return screen.Err()
}

// refuse returns the error of a build that was not started. If the log of the service was
// asked for, a buildspec error is also printed to it as CodeBuild does: there a build with
// such a buildspec runs up to DOWNLOAD_SOURCE and fails, and scripts that compare logs find
// the same lines.
func (o *Options) refuse(a *cli.App, err error) error {
	err = o.Explain(err)
	o.annotate(a, err)
	var buildspec local.BuildspecError
	if o.Format != "service" || o.DryRun || !errors.As(err, &buildspec) {
		return err
	}
	message, dir := "", ""
	var list diag.List
	switch {
	case errors.As(err, &list):
		// CodeBuild stops at the first error; the list has all of them, in file order.
		at := slices.IndexFunc(list, func(p diag.Problem) bool { return p.Severity == diag.Error })
		if at >= 0 {
			if message = list[at].Service; message == "" {
				message = list[at].Text()
			}
		}
	case errors.Is(err, fs.ErrNotExist):
		message = "YAML file does not exist"
		if buildspec.Name != "" { // CodeBuild has another message for it (observed)
			message = "stat " + path.Join(buildspec.SourceDir, buildspec.Name) + ": no such file or directory"
			dir = buildspec.SourceDir
		}
	}
	if message != "" {
		console.NewService(a.Raw.Out).Refuse(a.Now(), dir, message)
	}
	return err
}

// verdict turns the end of a build into an error with its exit code. Results that could
// not be written count only if nothing worse happened: a failed build keeps its exit code
// even if its page is missing. The order of the cases is that of their weight.
func verdict(r local.Result) error {
	var lost local.LostError
	status := r.Record.Status
	switch {
	case r.Fault != nil:
		return r.Fault
	// The build was stopped because the reader of its output has gone, as in run | head. The
	// user has not asked for a stop, so it is not reported as one.
	case status == runner.Stopped && errors.As(r.Cause, &lost):
		return fmt.Errorf("build stopped, because its output could not be written: %w", lost.Unwrap())
	case status == runner.Stopped && errors.Is(r.Cause, runner.ErrTerminated):
		return cli.ExitError{Code: cli.ExitTerminated}
	case status == runner.Stopped:
		return cli.ExitError{Code: cli.ExitStopped}
	case status == runner.TimedOut:
		return cli.ExitError{Code: cli.ExitTimedOut}
	case status != runner.Succeeded:
		return cli.ExitError{Code: cli.ExitFailed}
	case errors.As(r.Cause, &lost):
		return fmt.Errorf("build succeeded, but its output could not be written: %w", lost.Unwrap())
	}
	return r.Output
}

// view returns the sink that shows the build in the chosen format. Each writes to the raw
// stream: the output of commands keeps its colors, and the sinks escape other texts.
func view(a *cli.App, o *Options, s *local.Session) local.Sink {
	options := a.ConsoleOptions()
	switch o.Format {
	case "json":
		return console.NewJSON(a.Raw.Out)
	case "service":
		options.Quiet = o.Quiet
		return console.NewRemarked(a.Raw.Out, a.Raw.Err, options)
	}
	if options.CI = a.CI(); options.CI.Verdict == nil && !a.IsTerminal() && a.StderrIsTerminal() {
		options.VerdictCopy = a.Raw.Err
	}
	options = o.textOptions(a, s, options)
	options.PrintFault = a.PrintError
	if prompt := tty.Prompt(a); o.Debug.Stops() && prompt != nil {
		options.Prompt = prompt.Name
	}
	if options.Progress != console.ProgressOff {
		options.Usual = s.UsualDurations()
	}
	return console.NewText(a.Raw.Out, options)
}

// textOptions adds the options of a build's text that do not depend on where it is shown.
func (o *Options) textOptions(a *cli.App, s *local.Session, options console.Options) console.Options {
	options.Quiet, options.Verbose, options.Dir = o.Quiet, o.Verbose, local.ShownPath(s.Dir.Path)
	options.DirPath = filepath.ToSlash(local.RealDir(s.Dir.Path))
	options.Source, options.SourceDir = o.ShownSource(), filepath.ToSlash(o.SourceDir())
	options.Logs = cli.LogsCommand(&o.Request)
	return options
}
