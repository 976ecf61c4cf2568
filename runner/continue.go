package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/secrets"
)

// Continuation is a build that has ended at a failed command, see Runner.KeepFailed, and goes on
// there. Its container has the files of then.
type Continuation struct {
	Record *Record // of the build
	Failed Event   // the end of the command
	Output []byte  // of the command
	State  KeptFailure
	// Begin is called when the build is where it was. Before that, nothing of it has changed, and its
	// events are about the way there. It may be nil.
	Begin func() error
	// Restored is set after Begin.
	Restored bool
}

// phase returns the phase of the failed command.
func (c *Continuation) phase() PhaseType { return c.Failed.Phase }

// record returns the record of the build as it was when the command had failed, but with a longer
// pause.
func (c *Continuation) record(now time.Time) *Record {
	r := *c.Record
	before := func(p PhaseRecord) bool {
		at := func(t PhaseType) int { return slices.IndexFunc(rows, func(r row) bool { return r.phase == t }) }
		return at(p.Type) >= 0 && at(p.Type) < at(c.phase())
	}
	r.Phases, r.Status = nil, Succeeded
	for _, p := range c.Record.Phases {
		if !before(p) {
			continue
		}
		p.Duration = p.End.Sub(p.Start)
		if r.Phases = append(r.Phases, p); p.Status == Failed {
			r.Status = Failed
		}
	}
	r.Paused += now.Sub(r.End).Milliseconds()
	r.End, r.Complete, r.StateKept = time.Time{}, false, false
	r.Exported, r.Artifacts, r.Reports, r.ReportARNs, r.Next = nil, nil, nil, nil, nil
	return &r
}

// began returns when the phase of the failed command began.
func (c *Continuation) began() time.Time {
	for _, p := range c.Record.Phases {
		if p.Type == c.phase() {
			return p.Start
		}
	}
	return c.Record.Start
}

// continues reports whether the build is on its way to the command at which it goes on.
func (b *build) continues() bool { return b.Continue != nil && !b.Continue.Restored }

// reach runs a phase on the way to the command at which the build goes on. It was run before, so it
// is shown only if it fails.
func (b *build) reach(ctx context.Context, row row) PhaseType {
	began := b.Now()
	b.rec.enter(row.phase)
	res := row.run(b, ctx)
	switch {
	case res.status != "" && res.status != Succeeded:
		b.rec.endPhase(began, res, b.plan.explainPhase(res), nil)
		return Finalizing
	case row.phase != DownloadSource:
		return cmp.Or(res.next, row.then)
	}
	c := b.Continue
	if c.Begin != nil {
		if err := c.Begin(); err != nil {
			b.engineErr = errors.Join(b.engineErr, err)
			return Finalizing
		}
	}
	c.Restored = true
	b.rec.restore(c.record(b.Now()), c.Output)
	b.jump(c.Failed.At)
	b.resume = c
	return c.phase()
}

// restore prepares the container for the command that has failed: variables, users, and the state of
// then.
func (b *build) restore(ctx context.Context) result {
	if missing, only := b.secretsErr.(*secrets.Failure); only {
		return b.plan.missingValues(missing)
	}
	if b.secretsErr != nil {
		return b.fault(ctx, "", b.secretsErr)
	}
	for _, step := range []func(context.Context) result{b.beginRoot, b.beginUsers, b.restoreState} {
		if res := step(ctx); res.status != "" {
			return res
		}
	}
	return result{}
}

// restoreState sets the variables and the directory. The state before the command is that of a
// retry.
func (b *build) restoreState(ctx context.Context) result {
	root, state := b.shells.root(), b.Continue.State
	names, err := b.variableNames(ctx)
	if err != nil {
		return b.shellLost(ctx, err)
	}
	before := maps.Clone(names)
	steps := []func() error{
		func() error { return root.Set(append(b.changesTo(state.Before, before), ":")...) },
		func() error { return root.Enter(state.Before.Dir) },
		root.Save,
		func() error { return root.Set(append(b.changesTo(state.After, before), ":")...) },
		func() error { return root.Enter(state.After.Dir) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return b.shellLost(ctx, err)
		}
	}
	_, _, err = b.shells.capture(ctx, ":") // the next command may be one of another user's shell
	return b.ok(ctx, err)
}

// failedBefore returns the result of the command at which the build goes on, and false for every
// other one.
func (b *build) failedBefore(c *call) (result, bool) {
	if b.resume == nil || b.resume.Failed.At != c.at {
		return result{}, false
	}
	b.failed = b.resume.Failed
	c.attempt, c.earlier = max(1, b.failed.Attempt), true
	b.resume = nil
	return c.failed(b.failed.Exit), true
}

// failed returns the result of a phase whose command has failed.
func (c call) failed(exit int) result {
	reason := fmt.Sprintf("Error while executing command: %s. Reason: exit status %d",
		strings.TrimRight(c.text, "\n"), exit)
	return result{status: Failed, context: Context{CommandError, reason}}
}

// giveUp ends a container whose build could not be continued, and leaves its files as they were.
func (b *build) giveUp(ctx context.Context) error {
	keeper, able := b.container.(engine.Preserver)
	if !able {
		return nil
	}
	b.exitShell(ctx)
	const unlimited = 1 << 62
	return keeper.Preserve(ctx, unlimited)
}
