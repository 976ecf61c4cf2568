// Package debug has the commands that look into a build: attach, shell, exec, cp, forward, resume
// and sync.
//
// They talk to the process of the build through the socket of its run (package control), or to a
// container that was kept. BUILD is the name, the number or the container of a build, or latest.
package debug

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/tty"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/debugger"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/treecopy"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// buildHelp explains the argument BUILD.
const buildHelp = "BUILD is the name or number of a build that ps lists, its container, or latest. If it is\n" +
	"omitted, it is the only running build of this source, else of this user."

// Exit codes of exec, which are those of docker exec and of shells.
const (
	exitNotStarted = 125
	exitBuildEnded = 137 // 128 plus SIGKILL, which ended the command
)

// oneBuild returns the only argument of a command, the name of a build, or "".
func oneBuild(command string, args []string) (string, error) {
	switch len(args) {
	case 0:
		return "", nil
	case 1:
		return args[0], nil
	}
	return "", cli.Usagef("%s takes one build, got %s", command, human.Series(args))
}

// withBuild connects to a build, and calls do with it.
func withBuild(ctx context.Context, a *cli.App, name string, do func(*local.Reached) error) error {
	build, err := reach(ctx, a, name)
	if err != nil {
		return err
	}
	return errors.Join(refusal(do(build)), build.Close())
}

// reach connects to a build. A container whose build has ended gets a debugger for its shells.
func reach(ctx context.Context, a *cli.App, name string) (*local.Reached, error) {
	return a.Reach(ctx, name, func(r local.Resource, live *runner.Live, calls control.Services) control.Services {
		d, _ := debugger.New(&runner.Plan{Shell: "sh"}, debugger.Options{
			Now: a.Now, Build: r.Labels[local.LabelBuild], Project: r.Project(), TempDir: a.TempDir,
		})
		return d.Serve(live, false, calls)
	})
}

// refusal returns a mistake of the user that the build has found, or that a destination shows, as
// a mistake on the command line.
func refusal(err error) error {
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

// onTerminal calls run with the user's terminal, which passes each key until run returns.
func onTerminal(ctx context.Context, a *cli.App, run func(context.Context, control.Terminal) error) error {
	t, is := tty.Remote(a)
	if !is {
		return cli.Usagef("the standard input and output are not a terminal")
	}
	if err := a.MakeRaw(); err != nil {
		return err
	}
	defer a.RestoreTerminal()
	return run(ctx, *t)
}

// relayed returns the result of a command that was interrupted here: only the exit code, because
// the interruption needs no message.
func relayed(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return cli.ExitError{Code: cli.ExitCode(context.Cause(ctx))}
	}
	return err
}

// confirm asks on the terminal whether files may be overwritten, after a statement about them.
// Without a terminal it refuses.
func confirm(ctx context.Context, a *cli.App, statement string) (bool, error) {
	in, is := a.StdinTerminal()
	if !is {
		return false, cli.Usagef("%s\nuse --yes to overwrite without a question", statement)
	}
	return ask(ctx, a, in, statement+"; overwrite? [y/N] ")
}

// ask prints a question and reads the answer.
func ask(ctx context.Context, a *cli.App, in *os.File, question string) (bool, error) {
	line, err := readLine(ctx, a, in, question)
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", err
}
