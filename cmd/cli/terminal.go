package cli

import (
	"cmp"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/moby/term"

	"github.com/buildlocal/buildlocal/console"
)

// The values of --color.
const (
	ColorAuto   = "auto"
	ColorAlways = "always"
	ColorNever  = "never"
)

// IsTerminal reports whether the standard output is a terminal.
func (a *App) IsTerminal() bool { return isTerminal(a.Raw.Out) }

// StderrIsTerminal reports whether the standard error is a terminal. It decides about
// progress of commands whose standard output is data.
func (a *App) StderrIsTerminal() bool { return isTerminal(a.Raw.Err) }

// isTerminal reports whether a stream is a terminal. The terminals of Cygwin and Git Bash
// on Windows are pipes with a special name.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && (isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd()))
}

// Color reports whether the output is colored. The first that is set decides: --color,
// NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, CLICOLOR and TERM, the CI systems whose logs show
// colors, and the kind of the stream (no-color.org, force-color.org, bixense.com/clicolors).
func (a *App) Color(terminal bool) bool {
	switch {
	case a.ColorMode == ColorAlways:
		return true
	case a.ColorMode == ColorNever, a.Env("NO_COLOR") != "":
		return false
	case a.Env("FORCE_COLOR") != "":
		return !slices.Contains([]string{"0", "false"}, a.Env("FORCE_COLOR"))
	case a.Env("CLICOLOR_FORCE") != "" && a.Env("CLICOLOR_FORCE") != "0":
		return true
	case a.Env("CLICOLOR") == "0", a.dumb():
		return false
	}
	return terminal || a.colorfulCI()
}

// dumb reports whether the terminal shows text only. Consoles of Windows have no TERM.
func (a *App) dumb() bool {
	term := a.Env("TERM")
	return term == "dumb" || term == "" && runtime.GOOS != "windows" && !a.colorfulCI()
}

// colorfulCI reports whether this is a CI system whose logs show colors.
func (a *App) colorfulCI() bool {
	return slices.ContainsFunc([]string{"GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "TF_BUILD"},
		func(name string) bool { return a.Env(name) != "" })
}

// InCI reports whether this is a CI system.
func (a *App) InCI() bool { return a.Env("CI") != "" && a.Env("CI") != "false" || a.colorfulCI() }

// Links reports whether the terminal is known to open links (OSC 8). Other terminals mostly
// ignore them, but some print them. No terminal can be asked, so it is recognized by the
// variables that it sets. In tmux these are those of another terminal.
func (a *App) Links(terminal bool) bool {
	term := a.Env("TERM")
	if !terminal || term == "dumb" || term == "linux" {
		return false
	}
	if a.Env("FORCE_HYPERLINK") != "" || a.Env("TMUX") != "" {
		return !slices.Contains([]string{"", "0", "false"}, a.Env("FORCE_HYPERLINK"))
	}
	for _, name := range []string{"WT_SESSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "DOMTERM"} {
		if a.Env(name) != "" {
			return true
		}
	}
	const firstVTE = 5000 // version 0.50, the first whose links do not crash it
	if version, err := strconv.Atoi(a.Env("VTE_VERSION")); err == nil && version >= firstVTE {
		return true
	}
	programs := []string{"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper"}
	return slices.Contains(programs, a.Env("TERM_PROGRAM")) || strings.HasPrefix(term, "foot") || term == "alacritty"
}

// ascii reports whether a terminal may not show other characters than those of ASCII. Windows
// has no locale in its environment, and consoles that show them.
func (a *App) ascii(terminal bool) bool {
	if !terminal || runtime.GOOS == "windows" {
		return false
	}
	locale := strings.ToLower(cmp.Or(a.Env("LC_ALL"), a.Env("LC_CTYPE"), a.Env("LANG")))
	return !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8") ||
		a.Env("TERM") == "linux" || a.Env("TERM") == "dumb"
}

// columns returns the width of a terminal: its own, else that of COLUMNS, else 80.
func (a *App) columns(w io.Writer) int {
	const usual = 80
	if file, ok := w.(*os.File); ok {
		if size, err := term.GetWinsize(file.Fd()); err == nil && size.Width > 0 {
			return int(size.Width)
		}
	}
	if n, err := strconv.Atoi(a.Env("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return usual
}

// ConsoleOptions returns the options of a build's output that depend on the terminal.
func (a *App) ConsoleOptions() console.Options {
	terminal := a.IsTerminal()
	o := console.Options{
		Color: a.Color(terminal), ASCII: a.ascii(terminal), Links: a.Links(terminal),
		Status: a.Raw.Err, Progress: a.progress(),
	}
	if terminal {
		o.Width = func() int { return a.columns(a.Raw.Out) }
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
	terminal := a.StderrIsTerminal()
	o := console.Options{Color: a.Color(terminal), ASCII: a.ascii(terminal), Progress: console.ProgressOff}
	if terminal {
		o.Width = func() int { return a.columns(a.Raw.Err) }
	}
	return console.NewScreen(a.Raw.Err, o)
}

// StatusOptions returns the options of a status line alone, on the standard error.
func (a *App) StatusOptions() console.Options {
	o := console.Options{Progress: a.progress()}
	if a.StderrIsTerminal() {
		o.Width = func() int { return a.columns(a.Raw.Err) }
	}
	return o
}

// progress returns how progress is shown: as a status line if the standard error is a terminal
// that can erase it, and not in CI, whose log keeps every state of it.
func (a *App) progress() console.Progress {
	if a.Progress != "" && a.Progress != console.ProgressAuto {
		return a.Progress
	}
	if a.StderrIsTerminal() && !a.dumb() && !a.InCI() {
		return console.ProgressLine
	}
	return console.ProgressOff
}
