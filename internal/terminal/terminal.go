// Package terminal finds out the abilities of an output: colors, links, signs and columns. It
// gets the environment from its caller, and asks the system only about streams.
package terminal

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
)

// The values of --color, and those of --ci besides the names of CI systems.
const (
	Auto   = "auto"
	Always = "always"
	Never  = "never"
	Off    = "off"
)

// Settings are the choices of the user. "" is auto.
type Settings struct {
	Env       func(name string) string // value of a variable; "" if it is not set
	ColorMode string
	CIMode    string
}

// Is reports whether a stream is a terminal. The terminals of Cygwin and Git Bash
// on Windows are pipes with a special name.
func Is(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && (isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd()))
}

// Color reports whether the output is colored. The first that is set decides: --color,
// NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, CLICOLOR and TERM, and the kind of the stream
// (no-color.org, force-color.org, bixense.com/clicolors). The log of a CI job is no terminal.
func (s Settings) Color(terminal bool) bool {
	switch {
	case s.ColorMode == Always:
		return true
	case s.ColorMode == Never, s.Env("NO_COLOR") != "":
		return false
	case s.Env("FORCE_COLOR") != "":
		return !slices.Contains([]string{"0", "false"}, s.Env("FORCE_COLOR"))
	case s.Env("CLICOLOR_FORCE") != "" && s.Env("CLICOLOR_FORCE") != "0":
		return true
	case s.Env("CLICOLOR") == "0", s.Dumb():
		return false
	}
	return terminal
}

// Dumb reports whether the terminal shows text only. Consoles of Windows have no TERM.
func (s Settings) Dumb() bool {
	term := s.Env("TERM")
	return term == "dumb" || term == "" && runtime.GOOS != "windows"
}

// Links reports whether the terminal is known to open links (OSC 8). Other terminals mostly
// ignore them, but some print them. No terminal can be asked, so it is recognized by the
// variables that it sets. In tmux these are those of another terminal.
func (s Settings) Links(terminal bool) bool {
	term := s.Env("TERM")
	if !terminal || term == "dumb" || term == "linux" {
		return false
	}
	if s.Env("FORCE_HYPERLINK") != "" || s.Env("TMUX") != "" {
		return !slices.Contains([]string{"", "0", "false"}, s.Env("FORCE_HYPERLINK"))
	}
	for _, name := range []string{"WT_SESSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "DOMTERM"} {
		if s.Env(name) != "" {
			return true
		}
	}
	const firstVTE = 5000 // version 0.50, the first whose links do not crash it
	if version, err := strconv.Atoi(s.Env("VTE_VERSION")); err == nil && version >= firstVTE {
		return true
	}
	programs := []string{"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper"}
	return slices.Contains(programs, s.Env("TERM_PROGRAM")) || strings.HasPrefix(term, "foot") || term == "alacritty"
}

// ASCII reports whether a terminal may not show other characters than those of ASCII. Windows
// has no locale in its environment, and consoles that show them.
func (s Settings) ASCII(terminal bool) bool {
	if !terminal || runtime.GOOS == "windows" {
		return false
	}
	locale := strings.ToLower(cmp.Or(s.Env("LC_ALL"), s.Env("LC_CTYPE"), s.Env("LANG")))
	return !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8") ||
		s.Env("TERM") == "linux" || s.Env("TERM") == "dumb"
}

// Columns returns the width of a terminal: its own, else that of COLUMNS, else 80.
func (s Settings) Columns(w io.Writer) int {
	const usual = 80
	if file, ok := w.(*os.File); ok {
		if size, err := term.GetWinsize(file.Fd()); err == nil && size.Width > 0 {
			return int(size.Width)
		}
	}
	if n, err := strconv.Atoi(s.Env("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return usual
}

// InCI reports whether this is a job of a CI system. Most systems set CI; those that are named
// set a variable of their own, too.
func (s Settings) InCI() bool {
	if s.CIMode == Off {
		return false
	}
	own := []string{"GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "TF_BUILD"}
	return s.Env("CI") != "" && s.Env("CI") != "false" || s.CIMode != "" && s.CIMode != Auto ||
		slices.ContainsFunc(own, func(name string) bool { return s.Env(name) != "" })
}
