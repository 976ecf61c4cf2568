package runner

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
)

// KeptFailure is the state of a build whose last command has failed, for another process that
// continues it there.
type KeptFailure struct {
	At            string    `json:"at"` // of the command, see Event.At
	Before, After KeptState // the command
}

// maxKeptFiles limits the files that are kept for a failed build, in bytes.
const maxKeptFiles = 5 << 30

// keepFailed keeps the container's files and the state of the build after a command that has
// failed, and reports whether it has. Then the container has ended.
func (b *build) keepFailed(ctx context.Context) bool {
	if b.KeepFailed == nil {
		return false
	}
	keeper, able := b.container.(engine.Preserver)
	if !able || !b.endsAtFailure() {
		return false
	}
	err := b.writeFailure(ctx)
	if err == nil {
		b.live.container.Store(nil) // first: processes that end now have ended with the container
		b.exitShell(ctx)
		err = keeper.Preserve(ctx, maxKeptFiles)
	}
	if err != nil {
		b.rec.note("The state of %s is not kept: %s.", b.failed.At, human.ErrorText(err))
		return false
	}
	b.rec.update(func(r *Record) { r.StateKept = true })
	return true
}

// endsAtFailure reports whether nothing has run since a command failed, so that the state of the
// container is that of the failure.
func (b *build) endsAtFailure() bool {
	failed := b.failed
	if failed.Exit == 0 || failed.Lost || failed.Status != "" || b.engineErr != nil {
		return false
	}
	here := func(p Place) bool { return p.At == failed.At }
	if !slices.ContainsFunc(b.script.Places(), here) {
		return false // a command of the image, or one that the buildspec no longer has
	}
	b.rec.mu.Lock()
	defer b.rec.mu.Unlock()
	r := b.rec.record
	// A build that the user stops leaves nothing, unless it had failed before and was continued.
	if r.Status != Failed && (r.Status != Stopped || b.Continue == nil) {
		return false
	}
	// After a failure of finally too, it would not be known that the phase has failed already.
	phase := r.Commands[len(r.Commands)-1].Phase
	return !failed.Finally || !slices.ContainsFunc(r.Commands, func(c CommandRecord) bool {
		return c.Phase == phase && !c.Finally && c.Exit != 0
	})
}

// writeFailure passes the state to the caller.
func (b *build) writeFailure(ctx context.Context) error {
	keeper, kept := newStateKeeper(b), KeptFailure{At: b.failed.At}
	var group sync.WaitGroup
	var before, after error
	group.Go(func() { kept.Before, before = keeper.read(ctx, "env.prev.sh", "dir.prev.txt") })
	group.Go(func() { kept.After, after = keeper.read(ctx, "env.sh", "dir.txt") })
	group.Wait()
	if err := errors.Join(before, after); err != nil {
		return err
	}
	if lost := slices.Compact(slices.Sorted(slices.Values(keeper.lost))); len(lost) > 0 {
		b.rec.note("%s not kept: the value contains a secret in another form.", human.Series(lost))
	}
	return b.KeepFailed(kept, b.rec.isSecret)
}
