package cli

import (
	"os"
	"sync"

	"github.com/moby/term"
)

// rawState remembers how the terminals of the process were before they became raw.
type rawState struct {
	mu     sync.Mutex
	states map[uintptr]*term.State
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
