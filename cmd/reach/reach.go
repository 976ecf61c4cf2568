// Package reach connects commands with a build that runs, or with a container that was kept.
//
// It talks to the process of the build through the socket of its run (package control). BUILD is the
// name, the number or the container of a build, or latest.
package reach

import (
	"context"
	"errors"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/treecopy"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// Help explains the argument BUILD.
const Help = "BUILD is the name or number of a build that ps lists, its container, or latest. If it is\n" +
	"omitted, it is the only running build of this source, else of this user."

// Name returns the only argument of a command, the name of a build, or "".
func Name(command string, args []string) (string, error) {
	switch len(args) {
	case 0:
		return "", nil
	case 1:
		return args[0], nil
	}
	return "", cli.Usagef("%s takes one build, got %s", command, human.Series(args))
}

// With connects to a build, and calls do with it.
func With(ctx context.Context, a *cli.App, name string, do func(*local.Reached) error) error {
	build, err := Build(ctx, a, name)
	if err != nil {
		return err
	}
	return errors.Join(Refusal(do(build)), build.Close())
}

// Build connects to a build. A container whose build has ended gets a debugger for its shells.
func Build(ctx context.Context, a *cli.App, name string) (*local.Reached, error) {
	return a.Reach(ctx, name, func(r local.Resource, live *runner.Live, calls control.Services) control.Services {
		d, _ := debugger.New(&runner.Plan{Shell: "sh"}, debugger.Options{
			Now: a.Now, Build: r.Labels[local.LabelBuild], Project: r.Project(), TempDir: a.TempDir,
		})
		return d.Serve(live, false, calls)
	})
}

// Refusal returns a mistake of the user that the build has found, or that a destination shows, as
// a mistake on the command line.
func Refusal(err error) error {
	var refused control.Refusal
	var target treecopy.TargetError
	if errors.As(err, &target) {
		return cli.Usagef("%w", err)
	}
	if errors.As(err, &refused) {
		return cli.Usagef("%s", refused.Message)
	}
	return err
}

// Interrupted returns the result of a command that was interrupted here: only the exit code, because
// the interruption needs no message.
func Interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return cli.ExitError{Code: cli.ExitCode(context.Cause(ctx))}
	}
	return err
}
