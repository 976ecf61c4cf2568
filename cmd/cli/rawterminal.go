package cli

import (
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/term"

	"github.com/buildlocal/buildlocal/control"
)

// rawState remembers how the terminals of the process were before they became raw.
type rawState struct {
	mu     sync.Mutex
	states map[uintptr]*term.State
}

// Terminal returns the user's terminal for a program in a build, if standard input and output
// are one.
func (a *App) Terminal() (*control.Terminal, bool) {
	in, isTerminal := a.StdinTerminal()
	if !isTerminal || !a.IsTerminal() {
		return nil, false
	}
	size := func() (uint16, uint16) {
		columns, rows := a.size()
		return uint16(columns), uint16(rows)
	}
	env := a.terminalEnv()
	for _, name := range []string{"LANG", "LC_ALL", "LC_CTYPE"} { // which signs the terminal shows
		if value := a.Env(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return &control.Terminal{
		In: in, Out: a.Raw.Out, Size: size, Resized: windowChanges(a.size), Env: env, Name: a.terminalName(),
	}, true
}

// terminalName names the user and the terminal for others, such as ann@pts/3.
func (a *App) terminalName() string {
	tty, err := os.Readlink("/proc/self/fd/0") // on Linux
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
