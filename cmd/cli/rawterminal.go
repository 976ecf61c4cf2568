package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/mattn/go-isatty"
	"github.com/moby/term"

	"github.com/buildlocal/buildlocal/control"
)

// rawState remembers how the terminals of the process were before they became raw.
type rawState struct {
	mu     sync.Mutex
	states map[uintptr]*term.State
}

// TerminalEnv are the variables about the user's terminal that programs in a build get.
var TerminalEnv = []string{"TERM", "NO_COLOR", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE"}

// Terminal returns the user's terminal for a program in a build, if standard input and output
// are one. The size is followed until ctx ends.
func (a *App) Terminal(ctx context.Context) (*control.Terminal, bool) {
	in, isTerminal := a.StdinTerminal()
	out, isFile := a.Raw.Out.(*os.File)
	if !isTerminal || !isFile || !isatty.IsTerminal(out.Fd()) {
		return nil, false
	}
	size := func() (uint16, uint16) {
		const columns, rows = 80, 24
		if size, err := term.GetWinsize(out.Fd()); err == nil && size.Width > 0 {
			return size.Width, size.Height
		}
		return columns, rows
	}
	return &control.Terminal{
		In: in, Out: out, Size: size, Resized: resizes(ctx, size), Env: a.terminalEnv(), Name: a.terminalName(),
	}, true
}

// terminalEnv returns the variables of TerminalEnv that are set.
func (a *App) terminalEnv() []string {
	var all []string
	for _, name := range TerminalEnv {
		if value, set := a.LookupEnv(name); set {
			all = append(all, name+"="+value)
		}
	}
	return all
}

// terminalName names the user and the terminal for others, such as ann@pts/3.
func (a *App) terminalName() string {
	const names = "/proc/self/fd/0" // on Linux
	tty, err := os.Readlink(names)
	if err != nil {
		return a.User
	}
	return a.User + "@" + strings.TrimPrefix(filepath.ToSlash(tty), "/dev/")
}

// MakeRaw makes the user's terminal pass each key to a program in a build, until
// RestoreTerminal is called.
func (a *App) MakeRaw() error {
	in, isTerminal := a.StdinTerminal()
	if !isTerminal {
		return nil
	}
	a.raw.mu.Lock()
	defer a.raw.mu.Unlock()
	state, err := term.SetRawTerminal(in.Fd())
	if err != nil {
		return err
	}
	a.raw.states = map[uintptr]*term.State{in.Fd(): state}
	// On Windows the output has a mode too; elsewhere this does nothing.
	if out, isFile := a.Raw.Out.(*os.File); isFile {
		if state, err := term.SetRawTerminalOutput(out.Fd()); err == nil && state != nil {
			a.raw.states[out.Fd()] = state
		}
	}
	return nil
}

// RestoreTerminal undoes MakeRaw. It may be called at any time, and more than once.
func (a *App) RestoreTerminal() {
	a.raw.mu.Lock()
	defer a.raw.mu.Unlock()
	for fd, state := range a.raw.states {
		_ = term.RestoreTerminal(fd, state)
	}
	a.raw.states = nil
}

// notice sends on a channel with room for one, unless the last notice was not read yet.
func notice(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}
