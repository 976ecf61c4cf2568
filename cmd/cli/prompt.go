package cli

import (
	"context"
	"os"
	"os/exec"
	"slices"

	"github.com/moby/term"

	"github.com/buildlocal/buildlocal/debugger"
)

// Prompt returns the terminal of this process for a prompt. It is nil if the standard input or the
// standard output is not one.
func (a *App) Prompt() *debugger.Terminal {
	in, isTerminal := a.StdinTerminal()
	if !isTerminal || !a.IsTerminal() {
		return nil
	}
	columns, rows := a.size()
	if columns == 0 || rows == 0 {
		return nil
	}
	return &debugger.Terminal{
		In: in, Out: a.Raw.Out, Size: a.size, Resized: windowChanges(a.size), Look: a.ConsoleOptions(),
		Env: a.terminalEnv(), Name: a.terminalName(), Local: true,
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
func (a *App) size() (columns, rows int) {
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

// terminalEnv returns the variables by which programs know the terminal.
func (a *App) terminalEnv() []string {
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
func (a *App) EditFile(ctx context.Context, file string) error {
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
