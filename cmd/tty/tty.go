// Package tty connects prompts, shells and editors with the terminal of this process.
package tty

import (
	"context"
	"os"
	"os/exec"
	"slices"

	"github.com/moby/term"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/debugger"
)

// Prompt returns the terminal of this process for a prompt. It is nil if the standard input or the
// standard output is not one.
func Prompt(a *cli.App) *debugger.Terminal {
	in, isTerminal := a.StdinTerminal()
	if !isTerminal || !a.IsTerminal() {
		return nil
	}
	columns, rows := size(a)
	if columns == 0 || rows == 0 {
		return nil
	}
	name, _ := os.Readlink("/proc/self/fd/0")
	return &debugger.Terminal{
		In: in, Out: a.Raw.Out, Size: func() (int, int) { return size(a) }, Resized: windowChanges(),
		Look: a.ConsoleOptions(),
		Env:  environment(a), Name: a.User + " on " + name, Local: true,
		Raw: func() (func(), error) {
			before, err := term.MakeRaw(in.Fd())
			if err != nil {
				return nil, err
			}
			return func() { _ = term.RestoreTerminal(in.Fd(), before) }, nil
		},
	}
}

// size returns the size of the terminal of the standard output, or zeros.
func size(a *cli.App) (columns, rows int) {
	file, isFile := a.Raw.Out.(*os.File)
	if !isFile {
		return 0, 0
	}
	size, err := term.GetWinsize(file.Fd())
	if err != nil {
		return 0, 0
	}
	return int(size.Width), int(size.Height)
}

// environment returns the variables by which programs know the terminal.
func environment(a *cli.App) []string {
	var all []string
	for _, name := range []string{"TERM", "COLORTERM", "NO_COLOR"} {
		if value, set := a.LookupEnv(name); set {
			all = append(all, name+"="+value)
		}
	}
	if !slices.ContainsFunc(all, func(v string) bool { return v[:min(len(v), 5)] == "TERM=" }) {
		all = append(all, "TERM=dumb")
	}
	return all
}

// EditFile lets the user edit a file with $VISUAL or $EDITOR on the terminal of this process.
func EditFile(ctx context.Context, a *cli.App, file string) error {
	editor := "vi"
	for _, name := range []string{"EDITOR", "VISUAL"} {
		if value := a.Env(name); value != "" {
			editor = value
		}
	}
	c := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", file) // the variable may have options
	in, _ := a.StdinTerminal()
	c.Stdin, c.Stdout, c.Stderr = in, a.Raw.Out, a.Raw.Err
	return c.Run()
}
