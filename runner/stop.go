package runner

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Reason says at which kind of point a build may stop.
type Reason string

// The stop points.
const (
	BeforeCommand  Reason = "command"     // before a command of the buildspec
	BeforeRuntimes Reason = "runtimes"    // before the runtimes are selected
	BeforeUpload   Reason = "upload"      // before UPLOAD_ARTIFACTS
	BeforeEnd      Reason = "end"         // before the container is removed
	AfterFailure   Reason = "failure"     // a command has failed
	Interrupted    Reason = "interrupted" // the user has ended a command with Ctrl-C
	AfterPhase     Reason = "phase"       // after the last command of a phase
	AtBreakpoint   Reason = "breakpoint"  // a command waits in codebuild-breakpoint
	AtTimeout      Reason = "timeout"     // the time limit is reached while a command runs
	Paused         Reason = "paused"      // the user has suspended the running command
	AtStatement    Reason = "statement"   // before a statement of a command that the user steps through
)

// Stop is a point at which a build waits for an answer. A command of the build has begun and not
// ended if Amid is true; else none runs. Texts are masked.
type Stop struct {
	Reason  Reason
	Phase   PhaseType
	At      string // see Event.At, or one of the places PlaceRuntimes, PlaceUpload, PlaceEnd and PHASE:end
	Index   int    // of the command in its list, from 1; 0 without a command
	Finally bool
	Text    string // of the command, or at AtStatement of the statement
	Line    int    // of the command or the statement in the buildspec
	Depth   int    // AtStatement: of functions and subshells
	Attempt int    // from 1; counts all runs of the command
	Retries int    // repetitions of the phase that follow a failure, because of on-failure
	Exit    int    // exit status after a failure
	Earlier bool   // the command has failed in an earlier process
	User    string // who runs the command; empty for root
	Problem *diag.Problem
	Hints   []string // see Event.Hints
	// Breakpoint identifies the waiting process of AtBreakpoint and AtStatement.
	Breakpoint *Breakpoint
}

// Amid reports whether a command of the build has begun and has not ended. It goes on at AtBreakpoint,
// if it does not wait there itself, and at AtTimeout.
func (s Stop) Amid() bool {
	return s.Reason == AtBreakpoint || s.Reason == AtTimeout || s.Reason == Paused || s.Reason == AtStatement
}

// Failed reports whether the build is stopped at a command that failed.
func (s Stop) Failed() bool { return s.Reason == AfterFailure || s.Reason == Interrupted }

// Action is the continuation of a build after a stop.
type Action string

// The actions. ActionContinue follows the buildspec: a failure remains a failure.
const (
	ActionContinue Action = "continue"
	ActionRetry    Action = "retry"  // run the command again, or before a command: run it, with Answer.Text
	ActionSkip     Action = "skip"   // do not run the command, or treat its failure as a success
	ActionIgnore   Action = "ignore" // as ActionSkip, after a failure; at a timeout: without limit from now on
	ActionGoto     Action = "goto"   // go on at Answer.To
	ActionAbort    Action = "abort"  // stop the build
)

// Answer ends a stop.
type Answer struct {
	Action Action
	Text   string // ActionRetry: the text to run; "" for the command's own
	To     string // ActionGoto, and ActionRetry of a command that has moved: its place, see Event.At
	// Into stops before the next statement of the command: ActionContinue before a command, and at
	// AtStatement. Commands that bash does not run have no statements.
	Into bool
	// Restore is a snapshot whose files and variables the build gets first, with ActionGoto; nil for
	// none.
	Restore *Restoration
	// Plan has the commands to run from now on, if the buildspec was changed; else it is nil. A
	// command that fails is the one with the same place.
	Plan *Plan
}

// debugState is the part of a build that a debugger can change.
type debugState struct {
	live   *Live
	script *Plan         // has the commands that run: the build's plan, or one of an edited buildspec
	resume *Continuation // until the build is at the command at which it goes on
	target *Place        // where a phase begins, after a jump
	failed Event         // the last command that failed

	// idle is locked except while the build is stopped and no command runs.
	idle        sync.Mutex
	running     atomic.Pointer[call] // the command of the buildspec that runs; nil if none does
	suspends    chan *call           // commands that the user suspends
	steps       *stepper             // nil until the user steps into a command
	place       atomic.Pointer[string]
	interrupted atomic.Bool // the running command was interrupted by the user
}

// at returns the place where the build is, see Event.At.
func (d *debugState) at() string {
	if at := d.place.Load(); at != nil {
		return *at
	}
	return ""
}

// pause asks the debugger at a stop point, if there is one. The time limit does not count
// while the build waits. Abort ends the build's context.
func (b *build) pause(ctx context.Context, s Stop) Answer {
	answer := b.ask(ctx, s)
	if answer.Restore != nil && ctx.Err() == nil {
		b.rewind(ctx, answer.Restore)
	}
	return answer
}

func (b *build) ask(ctx context.Context, s Stop) Answer {
	if b.Pause == nil || ctx.Err() != nil {
		return Answer{Action: ActionContinue}
	}
	s.Phase = b.rec.currentPhase()
	s = masked(s, b.rec.maskText)
	if !s.Amid() {
		b.place.Store(&s.At)
		b.live.user.Store(&s.User)
		b.idle.Unlock()
		defer b.idle.Lock()
	}
	b.limit.pause()
	defer b.limit.resume()
	answer := b.Pause(ctx, s, b.live)
	if answer.Action == ActionAbort {
		b.stop(ErrStopped)
	}
	return answer
}

// timeIsUp ends the build at its time limit, unless the user lifts it.
func (b *build) timeIsUp(ctx context.Context) {
	if c := b.running.Load(); c != nil && b.Pause != nil {
		switch b.pause(ctx, stopAt(AtTimeout, *c)).Action {
		case ActionAbort:
			return
		case ActionIgnore:
			b.byHand(HandLimit, c.at, "")
			return
		}
	}
	b.stop(ErrTimedOut)
}

// interruptCommand ends the running command of the buildspec as Ctrl-C would, so that the build
// stops at it. A command that goes on is terminated.
func (b *build) interruptCommand(ctx context.Context, c *call) {
	b.interrupted.Store(true)
	b.signal(ctx, "INT")
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-ctx.Done():
	case <-timer.C:
		b.signal(ctx, "TERM")
	}
}

// stopAt returns the stop of a command.
func stopAt(reason Reason, c call) Stop {
	return Stop{
		Reason: reason, At: c.at, Index: c.index, Finally: c.finally, Text: c.text, Line: c.line, Attempt: c.attempt,
		User: c.user, Earlier: c.earlier,
	}
}
