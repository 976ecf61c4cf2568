package runner

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
)

// ErrOver is returned by methods of a Live whose build has ended.
var ErrOver = errors.New("the build has ended")

// kept is a Live of a build that has ended, in its container.
type kept struct{ engine.Container }

// NewKept returns the environment of a build that has ended, in a container that was kept. The
// secrets of the build are not known any more, so output is not masked.
func NewKept(c engine.Container) Live { return kept{c} }

// Exec implements Live.
func (k kept) Exec(ctx context.Context, p LiveProcess) (int, error) {
	process := p.Process
	if !p.NoEnv {
		process.Args, process.Dir, process.Env = keptArgs(p), "", nil
	}
	return k.Container.Exec(ctx, process)
}

// keptArgs returns the command line that runs a process in the last state of the build.
func keptArgs(p LiveProcess) []string {
	return enterArgs(StateDir+"/env.sh", StateDir+"/dir.txt", "/codebuild", p)
}

// Run implements Live.
func (kept) Run(context.Context, string, io.Writer) (int, error) { return 0, ErrOver }

// State implements Live.
func (k kept) State(ctx context.Context, _ *Breakpoint) (State, error) {
	var out strings.Builder
	p := LiveProcess{Process: engine.Process{Args: []string{"sh", "-c", PrintState}, Stdout: &out}}
	if _, err := k.Exec(ctx, p); err != nil {
		return State{}, err
	}
	return ParseState(out.String()), nil
}

// Change implements Live.
func (kept) Change(context.Context, string, ...string) error { return ErrOver }

// ByHand implements Live. Nothing is recorded, because the record is complete.
func (kept) ByHand(HandKind, string) {}

// Notify implements Live. No sink is left.
func (kept) Notify(Event) {}

// Interrupt implements Live.
func (kept) Interrupt(context.Context) bool { return false }

// Output implements Live.
func (kept) Output() string { return "" }

// Mask implements Live.
func (kept) Mask(text string) string { return text }
