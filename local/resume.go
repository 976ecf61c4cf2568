package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/rundir"
	"github.com/buildlocal/buildlocal/runner"
)

// resumption is the failed build that a session continues.
type resumption struct {
	*FailedBuild
	runner.Continuation
	build builds.Build
	ended console.FailureIn
	index builds.LogIndex
}

// LoadFailed reads the inputs of a failed build again, as Load does. The buildspec is that of then;
// Request has where it stops now.
func (h *Host) LoadFailed(ctx context.Context, f *FailedBuild) (*Inputs, error) {
	run, err := h.Runs().Adopt(f.dir, f.Run, h.PID)
	if errors.Is(err, rundir.ErrInUse) {
		return nil, fmt.Errorf("build %s is already being continued\nbuildlocal attach %s opens its prompt", f.Build, f.Build)
	}
	if err != nil {
		return nil, err
	}
	run.Leave() // whatever happens, until the build goes on
	if f.Engine == EngineDocker {
		run.Keep(f.Host)
	}
	r := f.Request
	r.Engine.Kind = f.Engine
	in, err := h.loadIn(ctx, &r, fileAndAccount, run, &f.Buildspec)
	if in != nil {
		in.failed = f
		for i := range min(len(in.sources), len(f.Digits)) {
			in.sources[i].Digits = f.Digits[i]
		}
	}
	return in, err
}

// Resume prepares a failed build to go on at its failed command, after LoadFailed.
func (h *Host) Resume(ctx context.Context, in *Inputs) (*Session, error) {
	s := &Session{
		inputs: in, caches: &localVolumes{}, key: sync.OnceValue(h.key), resumed: &resumption{FailedBuild: in.failed},
	}
	if err := s.resume(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("continue build %s: %w", in.failed.Build, err), s.Close())
	}
	return s, nil
}

// resume restores everything that the session of the failed build had.
func (s *Session) resume(ctx context.Context) error {
	f, in := s.resumed, s.inputs
	if err := errors.Join(f.read(), s.holdSnapshot(f.Snapshot)); err != nil {
		return err
	}
	engineErr := s.connect(ctx, nil)
	if engineErr == nil && s.engine.host != f.Host {
		return fmt.Errorf("it ran on the engine at %s, not at %s", f.Host, s.engine.host)
	}
	proxies, _ := in.host.proxies(s.engine.ownNetwork())
	old := f.Continuation.Record
	identity := in.identity(old.Number, uuidOf(old))
	identity.Start = old.Start
	var err error
	if s.Plan, err = in.newPlan(identity, s.engine, proxies); err != nil {
		return BuildspecError{error: err}
	}
	if s.destinations, err = in.Request.destinations(s.Plan); err == nil {
		err = errors.Join(in.Request.checkPlaces(s.Plan), in.Request.choose(s.Plan))
	}
	if err == nil {
		err = s.checkHost(ctx, engineErr)
	}
	if err != nil {
		return err
	}
	s.stamps = f.stamps()
	if s.Dir, err = in.Builds.Reopen(f.build, identity.UUID, in.run.Path); err != nil {
		return err
	}
	if s.caches, err = in.openVolumes(s.Plan.Privileged); err != nil {
		return err
	}
	s.labels, f.Begin = s.resourceLabels(), s.begin
	return nil
}

// read reads the results of the failed build.
func (f *resumption) read() error {
	f.build = builds.Build{Name: f.Build, Number: builds.Number(f.Build), Path: f.FailedBuild.Output}
	var record runner.Record
	if err := f.build.ReadRecord(&record); err != nil {
		return fmt.Errorf("its results are gone: %w", err)
	}
	journal, err := f.build.OpenJournal()
	if err != nil {
		return err
	}
	defer journal.Close()
	if f.ended, err = console.LastCommand(journal); err != nil {
		return err
	}
	if f.ended.Event.At != f.FailedBuild.State.At {
		return errors.New("its journal ends at another command")
	}
	if f.index, err = f.build.ReadLogIndex(); err != nil {
		return err
	}
	log, err := f.build.OpenLog()
	if err != nil {
		return err
	}
	defer log.Close()
	const most = 64 << 10
	from := max(f.outputStart(), f.ended.Log-most)
	output, err := io.ReadAll(io.NewSectionReader(log, from, max(0, f.ended.Log-from)))
	f.Continuation = runner.Continuation{
		Record: &record, Failed: f.ended.Event, Output: output, State: f.FailedBuild.State,
	}
	return err
}

// outputStart returns where the output of the failed command begins in the log.
func (f *resumption) outputStart() int64 {
	for _, c := range f.index.Commands {
		if c.Start >= f.ended.Output && c.Output > 0 {
			return c.Output
		}
	}
	return f.ended.Output
}

// uuidOf returns the UUID of a build from its ID, which is PROJECT:UUID.
func uuidOf(r *runner.Record) string {
	at := len(r.Project) + 1
	return r.ID[min(at, len(r.ID)):]
}

// begin makes the failed build one that runs: the results of its end are removed, and what it does
// from now on is recorded.
func (s *Session) begin() error {
	if err := s.resumed.forget(); err != nil {
		return err
	}
	s.inputs.run.Discard()
	var err error
	if s.log, s.journal, err = s.Dir.Restart(s.resumed.ended.Log, s.resumed.ended.Journal); err != nil {
		return err
	}
	files := s.newFiles()
	files.log.Continue(s.resumed.ended.Log, s.Plan.Identity.Start, s.resumed.index)
	s.files.Store(files)
	return nil
}

// stayFailed leaves a failed build as it was, after it could not go on because of a fault or of the
// user.
func (s *Session) stayFailed(fault error) error {
	s.inputs.useless = fault != nil
	return s.Dir.Close()
}

// Ran returns the places of the commands that have succeeded before a failed build goes on, or whose
// results are restored.
func (s *Session) Ran() []string {
	var all []string
	if restored := s.Plan.Restored; restored != nil {
		for _, place := range s.Plan.Places() {
			if slices.Contains(restored.Phases, place.Phase) {
				all = append(all, place.At)
			}
		}
	}
	if s.resumed == nil {
		return all
	}
	for _, c := range s.resumed.Continuation.Record.Commands {
		if c.Exit == 0 {
			all = append(all, c.At)
		}
	}
	return all
}
