package runner

import (
	"context"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner/shell"
)

// choice is the next step after a command, as the debugger has answered.
type choice struct {
	again bool   // run the command (again)
	text  string // with this text; "" for its own
	skip  bool   // go on with the next command
	to    string // go on at another place
	into  bool   // stop before its statements
}

// decide turns an answer into the user's choice, and records the user's changes.
func (b *build) decide(s Stop, answer Answer) choice {
	if answer.Plan != nil {
		b.script = answer.Plan
	}
	switch answer.Action {
	case ActionRetry:
		switch {
		case s.Reason != BeforeCommand && answer.Text == "":
			b.byHand(HandRetry, s.At, "")
		case answer.Text != "":
			b.byHand(HandEdit, s.At, answer.Text)
		}
		return choice{again: true, text: answer.Text, to: answer.To}
	case ActionSkip, ActionIgnore:
		kind := HandSkip
		if s.Reason == AfterFailure || s.Reason == Interrupted {
			kind = HandIgnore
		}
		b.byHand(kind, s.At, s.Text)
		return choice{skip: true}
	case ActionGoto:
		b.byHand(HandGoto, s.At, answer.To)
		return choice{to: answer.To}
	}
	if answer.Into {
		b.byHand(HandStep, s.At, "")
	}
	return choice{into: answer.Into}
}

// phaseOf returns a phase with the commands that run: those of the plan, or of the buildspec as
// it was when the user retried a command.
func (b *build) phaseOf(t PhaseType) Phase { return b.script.phase(t) }

// list runs commands of a phase from an index (from 0), until one fails. common has the fields
// that all of them share. The debugger may repeat and skip commands, and go to another place,
// which can be in another phase.
func (b *build) list(ctx context.Context, phase PhaseType, common call, from int) result {
	for i := from; ; i++ {
		commands := b.phaseOf(phase).list(common.finally)
		if i >= len(commands) {
			return result{}
		}
		c := b.callOf(phase, common, i)
		if b.plan.LeavesOut(c.at) {
			continue
		}
		res, next := b.debugged(ctx, c)
		switch {
		case next.to != "":
			switch to := b.jump(next.to); {
			case to.Phase == phase && to.Finally == common.finally:
				i = b.takeTarget(phase, common.finally) - 1
			case to.Phase == phase && to.Finally:
				return result{} // finally begins there
			default:
				return result{next: to.Phase}
			}
		case next.skip:
		case res.status != "":
			return res
		}
	}
}

// list returns the commands of the phase or those of its finally block.
func (ph Phase) list(finally bool) []buildspec.Command {
	if finally {
		return ph.Finally
	}
	return ph.Commands
}

// callOf returns the call of a command, by its index from 0.
func (b *build) callOf(phase PhaseType, common call, i int) call {
	ph := b.phaseOf(phase)
	command := ph.list(common.finally)[i]
	plan := b.script
	c := common
	c.at, c.index, c.user = CommandPlace(phase, i+1, common.finally), i+1, ph.user()
	c.session, c.text, c.line, c.style = b.shells.of(ph.user()), command.Text, command.Line, command.Style
	c.problem = func(output string) *diag.Problem { return plan.failed(command, output, b.rec.maskText) }
	return c
}

// debugged runs one command, with stops before it and after a failure.
func (b *build) debugged(ctx context.Context, c call) (result, choice) {
	b.live.user.Store(&c.user)
	if b.Pause == nil {
		return b.command(ctx, c), choice{}
	}
	var next choice
	res, known := b.failedBefore(&c)
	if !known {
		before := stopAt(BeforeCommand, c)
		next = b.decide(before, b.pause(ctx, before))
		if next.skip || next.to != "" && !next.again {
			return result{}, b.skipped(c, next)
		}
	}
	for ; ; known = false {
		if !known {
			c = b.renew(c, next)
			if err := c.session.Save(); err != nil {
				return b.shellLost(ctx, err), choice{}
			}
			res = b.command(ctx, c)
		}
		if res.status != Failed {
			return res, choice{}
		}
		after := b.stopAfter(c, res)
		next = b.decide(after, b.pause(ctx, after))
		if done, is := ended(ctx); is {
			return done, choice{}
		}
		if !next.again {
			return res, b.skipped(c, next)
		}
		if err := c.session.Restore(); err != nil {
			return b.shellLost(ctx, err), choice{}
		}
		if next.to != "" {
			return res, next
		}
		c.attempt, c.byHand, c.earlier = c.attempt+1, true, false
	}
}

// renew returns the call for another run: with the text that the user wrote, or that of the
// buildspec as it is now.
func (b *build) renew(c call, next choice) call {
	phase := b.rec.currentPhase()
	if c.index <= len(b.phaseOf(phase).list(c.finally)) { // the buildspec may have become shorter
		c = b.callOf(phase, c, c.index-1)
	}
	if next.text != "" {
		c.text, c.byHand = next.text, true
	}
	c.into = next.into
	return c
}

// stopAfter returns the stop after a failed command.
func (b *build) stopAfter(c call, res result) Stop {
	s := stopAt(AfterFailure, c)
	if b.interrupted.Swap(false) {
		s.Reason = Interrupted
	}
	s.Exit, s.Problem, s.Hints = b.failed.Exit, b.failed.Problem, b.failed.Hints
	if phase := b.phaseOf(b.rec.currentPhase()); !c.finally && again(phase.OnFailure, res, c.round) {
		s.Retries = phase.OnFailure.Retries - c.round + 1
	}
	return s
}

// skipped makes the next command see a success, after a command that the user skipped.
func (b *build) skipped(c call, next choice) choice {
	if next.skip || next.to != "" {
		_ = c.session.Set(shell.Export("CODEBUILD_LAST_EXIT", "0")) // the next command reports a lost shell
	}
	return next
}

// jump makes a command the first one that runs in its phase, and returns it.
func (b *build) jump(to string) *Place {
	for _, place := range b.script.Places() {
		if place.At == to {
			b.target = &place
		}
	}
	return b.target
}

// takeTarget returns the index (from 0) of the command with which a list begins: 0, unless the
// user has gone to one of its commands. Lists before that one are left out: their index is that
// of their end.
func (b *build) takeTarget(phase PhaseType, finally bool) int {
	switch {
	case b.target == nil || b.target.Phase != phase:
		return 0
	case b.target.Finally != finally:
		return len(b.phaseOf(phase).list(finally))
	}
	defer func() { b.target = nil }()
	return b.target.Index - 1
}

// pauseAfterPhase stops at the end of a phase with commands. It reports whether the user has
// stopped the build or left the phase for another place, and then sets the result.
func (b *build) pauseAfterPhase(ctx context.Context, phase Phase, res *result) (done bool) {
	if b.Pause == nil || len(phase.Commands)+len(phase.Finally) == 0 || res.next != "" {
		return false
	}
	if res.status != "" && res.status != Failed {
		return false
	}
	s := Stop{Reason: AfterPhase, At: strings.ToLower(string(phase.Type)) + ":end", User: phase.user()}
	next := b.decide(s, b.pause(ctx, s))
	stopped, done := ended(ctx)
	if done {
		*res = stopped
	} else if next.to != "" {
		*res = result{next: b.jump(next.to).Phase}
		return true
	}
	return done
}

// enter makes a command of the buildspec the running one.
func (b *build) enter(c *call) {
	b.place.Store(&c.at)
	if b.Pause == nil || c.index == 0 {
		return
	}
	c.done = make(chan struct{})
	b.interrupted.Store(false)
	b.running.Store(c)
}

// leave reports that the running command has ended.
func (b *build) leave(c *call) {
	if c.done != nil {
		b.running.Store(nil)
		close(c.done)
	}
}
