package debugger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/runner"
)

// jump goes to another command.
func (f *front) jump(_ context.Context, args string) (bool, error) { return f.jumpWith(args, nil) }

// jumpWith is jump with a change of the state of the debugger, for a command that is ahead.
func (f *front) jumpWith(args string, change func()) (bool, error) {
	args, here := strings.CutSuffix(args, " --here")
	at, err := f.resolve(strings.TrimSpace(args))
	f.mu.Lock()
	places := f.plan.Places()
	f.mu.Unlock()
	index := func(at string) int { return slices.IndexFunc(places, func(p runner.Place) bool { return p.At == at }) }
	switch {
	case err != nil:
	case len(at) != 1 || index(at[0]) < 0:
		err = fmt.Errorf("expected one command, such as goto build:2")
	case index(at[0]) <= max(index(f.stop.At), lastIn(places, f.stop)) && !here:
		var back rewinding
		if back, err = f.goBack(places, places[index(at[0])].Phase); err == nil {
			return f.rewind(back, func() { f.until = map[string]bool{at[0]: true} })
		}
		err = fmt.Errorf("%s is behind: %w\ngoto %s --here goes back, and leaves the files as they are", at[0], err, at[0])
	}
	if err != nil {
		f.fail(err)
		return false, nil
	}
	return f.answerWith(runner.Answer{Action: runner.ActionGoto, To: at[0]}, change)
}

// rewinding is the answer that goes back to a snapshot.
type rewinding struct {
	runner.Answer
	over []runner.PhaseType // in the snapshot
}

// goBack returns the answer that restores the latest snapshot before a phase and runs the build from there.
func (f *front) goBack(places []runner.Place, before runner.PhaseType) (rewinding, error) {
	if f.Rewind == nil {
		return rewinding{}, errors.New("the build has no snapshots")
	}
	if err := fits(f.stop.Stop, runner.ActionGoto); err != nil {
		return rewinding{}, err
	}
	from, over, err := f.Rewind(before)
	if err != nil {
		return rewinding{}, err
	}
	first := slices.IndexFunc(places, func(p runner.Place) bool { return !slices.Contains(over, p.Phase) })
	if first < 0 {
		return rewinding{}, errors.New("no command is left after the snapshot")
	}
	return rewinding{runner.Answer{Action: runner.ActionGoto, To: places[first].At, Restore: from}, over}, nil
}

// rewind goes back to a snapshot, in which later commands have not run. change says where the build stops.
func (f *front) rewind(back rewinding, change func()) (bool, error) {
	f.printf("restoring the end of %s", back.over[len(back.over)-1])
	return f.answerWith(back.Answer, func() {
		f.done = slices.DeleteFunc(f.done, func(s step) bool {
			return !slices.ContainsFunc(back.over, func(t runner.PhaseType) bool { return isOf(s.at, t) })
		})
		change()
	})
}

// isOf reports whether a place is in a phase.
func isOf(at string, phase runner.PhaseType) bool {
	return strings.HasPrefix(at, strings.ToLower(string(phase))+":")
}

// stepBack restores the snapshot at the previous boundary of phases, and stops before the first command
// that runs after it. Before the first command of a phase the boundary is the beginning of the phase before
// it, because the build is at the end of that one already.
func (f *front) stepBack() (bool, error) {
	places := f.Plan().Places()
	before := f.stop.Phase
	f.mu.Lock()
	earlier := f.done[:max(0, len(f.done)-1)] // without the command of the stop
	begun := slices.ContainsFunc(earlier, func(s step) bool { return isOf(s.at, before) })
	f.mu.Unlock()
	if f.stop.Reason == runner.BeforeCommand && !begun {
		first := slices.IndexFunc(places, func(p runner.Place) bool { return p.Phase == before })
		if first <= 0 {
			f.fail(fmt.Errorf("%s is the first command: nothing has run that could be undone", f.stop.At))
			return false, nil
		}
		before = places[first-1].Phase
	}
	back, err := f.goBack(places, before)
	if err != nil {
		f.fail(fmt.Errorf("the build cannot go back: %w", err))
		return false, nil
	}
	return f.rewind(back, func() { f.step, f.until = true, map[string]bool{} })
}

// lastIn returns the index of the last command of the phase whose end the build is at; -1 for a
// stop at a command.
func lastIn(places []runner.Place, w *stopped) int {
	last := -1
	for i, p := range places {
		if w.Reason == runner.AfterPhase && p.Phase == w.Phase {
			last = i
		}
	}
	return last
}
