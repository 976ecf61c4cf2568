// Package debug has the commands that work in a build that runs: attach, shell, exec, forward and
// resume.
package debug

import (
	"context"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/tty"
	"github.com/buildlocal/buildlocal/control"
)

// Exit codes of exec, which are those of docker exec and of shells.
const (
	exitNotStarted = 125
	exitBuildEnded = 137 // 128 plus SIGKILL, which ended the command
)

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
