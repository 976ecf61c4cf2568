package cli

import (
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/terminal"
)

// IsTerminal reports whether the standard output is a terminal.
func (a *App) IsTerminal() bool { return terminal.Is(a.Raw.Out) }

// StderrIsTerminal reports whether the standard error is a terminal. It decides about
// progress of commands whose standard output is data.
func (a *App) StderrIsTerminal() bool { return terminal.Is(a.Raw.Err) }

// terminal returns the settings that decide how the streams are used.
func (a *App) terminal() terminal.Settings {
	return terminal.Settings{Env: a.Env, ColorMode: a.ColorMode, CIMode: a.CIMode}
}

// ConsoleOptions returns the options of a build's output that depend on the terminal.
func (a *App) ConsoleOptions() console.Options {
	isTerminal := a.IsTerminal()
	o := console.Options{
		Color: a.terminal().Color(isTerminal), ASCII: a.terminal().ASCII(isTerminal), Links: a.terminal().Links(isTerminal),
		Status: a.Raw.Err, Progress: a.progress(),
	}
	if isTerminal {
		o.Width = func() int { return a.terminal().Columns(a.Raw.Out) }
	}
	return o
}

// Screen returns the standard output for lines and tables in the program's colors and signs.
func (a *App) Screen() *console.Screen { return console.NewScreen(a.Raw.Out, a.ConsoleOptions()) }

// Footer returns where a command prints remarks about its data: below it on a terminal, else on
// the standard error, so that other programs read rows only.
func (a *App) Footer() *console.Screen {
	if a.IsTerminal() {
		return a.Screen()
	}
	return a.Messages()
}

// Messages returns the standard error for errors, warnings and notes.
func (a *App) Messages() *console.Screen { return console.NewScreen(a.Raw.Err, a.messageOptions()) }

func (a *App) messageOptions() console.Options {
	isTerminal := a.StderrIsTerminal()
	o := console.Options{Color: a.terminal().Color(isTerminal), ASCII: a.terminal().ASCII(isTerminal),
		Progress: console.ProgressOff}
	if isTerminal {
		o.Width = func() int { return a.terminal().Columns(a.Raw.Err) }
	}
	return o
}

// StatusOptions returns the options of a status line alone, on the standard error.
func (a *App) StatusOptions() console.Options {
	o := console.Options{Progress: a.progress()}
	if a.StderrIsTerminal() {
		o.Width = func() int { return a.terminal().Columns(a.Raw.Err) }
	}
	return o
}

// progress returns how progress is shown: as a status line if the standard error is a terminal
// that can erase it, and not in CI, whose log keeps every state of it.
func (a *App) progress() console.Progress {
	if a.Progress != "" && a.Progress != console.ProgressAuto {
		return a.Progress
	}
	if a.StderrIsTerminal() && !a.terminal().Dumb() && !a.terminal().InCI() {
		return console.ProgressLine
	}
	return console.ProgressOff
}
