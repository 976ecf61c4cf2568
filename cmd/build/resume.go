package build

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/tty"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// chooseKeepFailed replaces auto: the state of a failed build is kept for a user who can type
// buildlocal debug next.
func (o *Options) chooseKeepFailed(a *cli.App) {
	if o.Engine.KeepFailed != local.KeepFailedAuto {
		return
	}
	o.Engine.KeepFailed = local.KeepFailedNever
	if tty.Prompt(a) != nil && o.Format == "text" && !a.InCI() && !o.Engine.Keep {
		o.Engine.KeepFailed = local.KeepFailedAlways
	}
}

// chooseSnapshots replaces auto if the user has not written it: snapshots are taken for a user who can
// begin the next build with one.
func (o *Options) chooseSnapshots(a *cli.App) {
	written := o.Origins["snapshots"] != local.FromDefault
	if o.Debug.Snapshots != local.SnapshotsAuto || written || o.Debug.Stops() || o.Debug.From != "" || o.Watched != nil {
		return
	}
	if tty.Prompt(a) == nil || o.Format != "text" || a.InCI() {
		o.Debug.Snapshots = local.SnapshotsNever
	}
}

// offerDebug prints the command that leads to the failed command of a build, for a user at a
// terminal.
func (o *Options) offerDebug(a *cli.App, r *runner.Record) {
	failed := r.Status == runner.Failed && len(r.Failures) > 0
	if o.Watched != nil || !failed || o.Format != "text" || a.InCI() || !a.IsTerminal() {
		return
	}
	switch {
	case r.StateKept:
		fmt.Fprintln(a.Stdout, "Run `buildlocal debug` to continue at the failed command.")
	case !o.Debug.Stops():
		fmt.Fprintf(a.Stdout, "Run `%s --debug` to stop at the failed command.\n", o.again(r))
	}
	for _, step := range r.Next {
		if strings.Contains(step.Command, local.FromFlag) {
			fmt.Fprintf(a.Stdout, "Run `%s` to begin there again.\n", step.Command)
		}
	}
}

// again returns the command line of a build, to run it once more with its image and its engine, or
// a shorter one if it has a secret.
func (o *Options) again(r *runner.Record) string {
	same := func(s runner.NextStep) bool { return s.Command == o.CommandLine } // the record is masked
	if slices.ContainsFunc(r.Next, same) {
		return o.CommandLine
	}
	return "buildlocal run"
}

// stopFlags are the flags of debug that a build which goes on has as well.
var stopFlags = []string{
	"break", "ci", "color", "debug", "format", "keep-failed", "pause-for", "progress", "quiet", "source",
	"step", "verbose",
}

// failed returns the failed build with which debug goes on; nil without one, or if the user wants
// another build. given are the flags on the command line.
func (o *Options) failed(a *cli.App, given []string) *local.FailedBuild {
	if o.Engine.KeepFailed == local.KeepFailedNever || o.DryRun {
		return nil
	}
	f, reason := a.FailedHere(&o.Request)
	if f == nil {
		if reason != "" {
			a.Warnf("running a build: %s", reason)
		}
		return nil
	}
	other := func(name string) bool { return !slices.Contains(stopFlags, name) }
	if slices.ContainsFunc(given, other) && !f.IsRequest(&o.Request) {
		a.Warnf("running a build: the options differ from those of build %s, whose state was kept", f.Build)
		return nil
	}
	return f
}

// resume continues a failed build at its failed command.
func resume(ctx context.Context, a *cli.App, o *Options, f *local.FailedBuild) error {
	if err := o.checkDebug(a); err != nil {
		return err
	}
	o.chooseKeepFailed(a)
	a.Warnf("continuing build %s, which failed at %s %s", f.Build, f.At(), human.When(f.Ended, a.Now()))
	stops, keep := o.Debug, o.Engine.KeepFailed
	only, skip, until := f.Request.Debug.Only, f.Request.Debug.Skip, f.Request.Debug.Until
	f.Request.Debug, f.Request.Engine.KeepFailed = stops, keep
	f.Request.Debug.Only, f.Request.Debug.Skip, f.Request.Debug.Until = only, skip, until
	inputs, err := a.LoadFailed(ctx, f)
	if inputs != nil {
		defer inputs.Close()
	}
	if err != nil {
		return o.refuse(a, err)
	}
	o.Request = *inputs.Request
	session, err := a.Resume(ctx, inputs)
	if err != nil {
		return o.refuse(a, err)
	}
	defer func() { _ = session.Close() }()
	return conduct(ctx, a, o, session)
}
