// Package tty connects prompts, shells and editors with the terminal of this process.
package tty

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/term"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/debugger"
)

// Prompt returns the terminal of this process for a prompt. It is nil if the standard input or the
// standard output is not one.
func Prompt(a *cli.App) *debugger.Terminal {
	in, is := files(a)
	if !is {
		return nil
	}
	return &debugger.Terminal{
		In: in, Out: a.Raw.Out, Size: func() (int, int) { return size(a) }, Resized: changes(a),
		Look: a.ConsoleOptions(), Env: environment(a), Name: name(a), Local: true,
		Raw: func() (func(), error) { return a.RestoreTerminal, a.MakeRaw() },
	}
}

// Remote returns the terminal of this process for a program in a build of another process, if the
// standard input and the standard output are one.
func Remote(a *cli.App) (*control.Terminal, bool) {
	in, is := files(a)
	if !is {
		return nil, false
	}
	env := environment(a)
	for _, name := range []string{"LANG", "LC_ALL", "LC_CTYPE"} { // which signs the terminal shows
		if value := a.Env(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return &control.Terminal{
		In: in, Out: a.Raw.Out, Resized: changes(a), Env: env, Name: name(a),
		Size: func() (uint16, uint16) {
			columns, rows := size(a)
			return uint16(columns), uint16(rows)
		},
	}, true
}

// files returns the standard input if it and the standard output are a terminal with a size.
func files(a *cli.App) (*os.File, bool) {
	in, isTerminal := a.StdinTerminal()
	columns, rows := size(a)
	return in, isTerminal && a.IsTerminal() && columns > 0 && rows > 0
}

// name names the user and the terminal for others, such as ann@pts/3.
func name(a *cli.App) string {
	tty, err := os.Readlink("/proc/self/fd/0") // on Linux
	if err != nil {
		return a.User
	}
	return a.User + "@" + strings.TrimPrefix(filepath.ToSlash(tty), "/dev/")
}

// changes returns a channel that receives after the size of the terminal has changed.
func changes(a *cli.App) <-chan struct{} {
	return windowChanges(func() (int, int) { return size(a) })
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
