package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/affected"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/snapshots"
)

// FromChanges is the value of From with which a build begins at the first phase that the changes since
// a snapshot can affect.
const FromChanges = "auto"

// start is where a build begins, instead of with its first phase.
type start struct {
	snapshot *snapshots.Snapshot // nil without one
	stamps   map[string]stamp    // of the source, as the snapshot has it
	others   map[string]string   // fingerprints of the secondary sources
	forced   bool                // although it does not fit
	note     string              // for the user; may be empty
	release  func()              // see Snapshot.Use; nil without a snapshot
}

// validateFrom returns the mistakes in where a build begins.
func (r *Request) validateFrom() []error {
	var errs []error
	if text := r.Debug.From; text != "" && text != FromChanges {
		if w, err := runner.ParseWhere(text); err != nil || !isStart(w) {
			errs = append(errs, wrongValue("from", text, "expected a phase (install, pre_build, build or post_build),"+
				" a command (build:2 or :14), or auto"))
		}
	}
	if r.Debug.Force && r.Debug.From == "" {
		errs = append(errs, wrongValue("force", "true", "it is for --from, which is missing"))
	}
	if _, err := CacheSize(r.Debug.SnapshotSize); err != nil {
		errs = append(errs, wrongValue("snapshot-size", r.Debug.SnapshotSize, "%s", err))
	}
	return errs
}

// isStart reports whether a build can begin at a place: a phase with commands, or one of them.
func isStart(w runner.Where) bool {
	named := slices.Contains([]runner.PhaseType{runner.Install, runner.PreBuild, runner.Build, runner.PostBuild}, w.Phase)
	return (named || w.Line > 0) && !w.End && w.Condition == ""
}

// chooseStart finds the snapshot with which the build begins, and makes the plan begin there.
func (s *Session) chooseStart(ctx context.Context) error {
	r := s.inputs.Request
	if r.Debug.From == "" {
		return nil
	}
	if s.start == nil {
		st, err := s.findStart(ctx)
		if err != nil {
			return err
		}
		s.start = st
		if st.snapshot != nil {
			for i := range min(len(s.inputs.sources), len(st.snapshot.Digits)) {
				s.inputs.sources[i].Digits = st.snapshot.Digits[i]
			}
			return errPlanAgain
		}
	}
	if s.start.note != "" {
		s.Plan.Notes = append(s.Plan.Notes, s.start.note)
	}
	if from := s.start.snapshot; from != nil {
		s.Plan.Restore(runner.Restored{Phases: from.Phases, Build: from.Build, Forced: s.start.forced})
	}
	return nil
}

// errPlanAgain is returned by chooseStart when the plan has to be made again, with the directories of
// the snapshot.
var errPlanAgain = errors.New("make the plan again")

// findStart finds the newest snapshot that fits, of the latest phase before the one with which the build
// is to begin.
func (s *Session) findStart(ctx context.Context) (*start, error) {
	target, within, err := s.startPhase()
	if err != nil {
		return nil, err
	}
	last := s.Plan.Before(target)
	if last == "" && s.inputs.Request.Debug.From == FromChanges {
		return &start{}, nil
	}
	if last == "" {
		note := fmt.Sprintf("--from %s: no phase with commands is before it", s.inputs.Request.Debug.From)
		return &start{note: note}, nil
	}
	if s.key() == nil {
		return &start{note: noKey + ": " + runAgain(s.Plan.PhasesUpTo(last))}, nil
	}
	search := &startSearch{
		Session: s, last: last, ingredients: s.Plan.Ingredients(s.keyed), now: s.inputs.stamps(ctx),
		others: s.inputs.secondaryPrints(ctx),
	}
	for _, candidate := range search.candidates() {
		reason := search.check(ctx, candidate)
		if reason != "" {
			search.refuse(candidate, reason)
			continue
		}
		release, err := candidate.Use(s.inputs.host.Now())
		if err != nil {
			continue // it has just been removed
		}
		return &start{
			snapshot: candidate, stamps: search.had, others: search.others, forced: search.forced, release: release,
			note: search.note(candidate) + within,
		}, nil
	}
	return &start{note: search.none() + within}, nil
}

// startPhase returns the phase with which the build is to begin. within says so if the user has named a
// command in the middle of it.
func (s *Session) startPhase() (phase runner.PhaseType, within string, err error) {
	text := s.inputs.Request.Debug.From
	if text == FromChanges {
		return runner.PostBuild, "", nil
	}
	w, err := runner.ParseWhere(text)
	if err != nil || w.Phase != "" && w.Index == 0 {
		return w.Phase, "", err
	}
	at, _, err := s.Plan.Resolve(w)
	if err != nil {
		return "", "", wrongValue("from", text, "%s", err)
	}
	for _, place := range s.Plan.Places() {
		if !slices.Contains(at, place.At) {
			continue
		}
		if place.Index > 1 || place.Finally {
			within = fmt.Sprintf(". Begins at the first command of %s, because snapshots are of whole phases", place.Phase)
		}
		return place.Phase, within, nil
	}
	return "", "", wrongValue("from", text, "no command is there")
}

// startSearch looks for the snapshot with which a build begins.
type startSearch struct {
	*Session
	last        runner.PhaseType // of which a snapshot would be best
	ingredients []runner.Ingredient
	now         map[string]stamp
	had         map[string]stamp // of the candidate that was checked last
	changes     sourceChanges    // since that
	others      map[string]string
	forced      bool
	reasons     []string // why snapshots are not used
}

// noKey is why snapshots cannot be compared with a build.
const noKey = "no snapshots without a state directory"

// refuse records why a snapshot is not used. A reason that several have is given once.
func (f *startSearch) refuse(s *snapshots.Snapshot, reason string) {
	if slices.ContainsFunc(f.reasons, func(r string) bool { return strings.HasSuffix(r, ": "+reason) }) {
		return
	}
	f.reasons = append(f.reasons, fmt.Sprintf("%s of build %d: %s", s.Phase, builds.Number(s.Build), reason))
}

// candidates returns the snapshots of the source: of the latest phase first, then the newest.
func (f *startSearch) candidates() []*snapshots.Snapshot {
	source := RealDir(f.inputs.Request.SourceDir())
	possible := f.Plan.PhasesUpTo(f.last)
	all := slices.DeleteFunc(f.inputs.host.Snapshots().All(), func(s *snapshots.Snapshot) bool {
		return s.Source != source || s.Engine != string(f.engine.kind) || s.Host != f.engine.host ||
			!slices.Contains(possible, s.Phase)
	})
	slices.SortStableFunc(all, func(a, b *snapshots.Snapshot) int {
		if byPhase := len(b.Phases) - len(a.Phases); byPhase != 0 {
			return byPhase
		}
		return b.Taken.Compare(a.Taken)
	})
	return all
}

// check returns why a snapshot cannot be used, or "".
func (f *startSearch) check(ctx context.Context, s *snapshots.Snapshot) string {
	r := f.inputs.Request
	f.forced = false
	if s.Program != f.inputs.host.Version {
		return "it is of buildlocal " + s.Program
	}
	reason := cmp.Or(
		runner.Difference(s.Ingredients, runner.UpTo(f.ingredients, s.Phase)), otherSource(s, f.others),
	)
	if reason != "" {
		if !r.Debug.Force {
			return reason
		}
		f.forced = true
	}
	f.had = stampsOf(s)
	maps.Copy(f.had, f.touched(s, f.now))
	f.changes = compareStamps(f.had, f.now)
	f.leaveOutSettings()
	if decision := f.decide(s); decision.Phase < len(s.Phases) {
		if !r.Debug.Force {
			return decision.Cause
		}
		f.forced = true
	}
	if err := f.restorer().CheckSnapshot(ctx, s.Dir(), f.Plan.ImageRef()); err != nil {
		return human.ErrorText(err)
	}
	for _, dir := range s.State.CacheDirs() {
		if _, err := os.Stat(*dir); err != nil {
			return "the cache that it had is gone"
		}
	}
	return ""
}

// leaveOutSettings removes the files from the changes whose content is compared in another way.
func (f *startSearch) leaveOutSettings() {
	in := f.inputs
	own := map[string]bool{".buildlocal.yml": true}
	for _, name := range []string{in.location, in.Request.Source.Project, in.Request.Secrets.File} {
		if filepath.IsAbs(name) {
			if below, err := filepath.Rel(in.Source.Dir, name); err == nil {
				name = filepath.ToSlash(below)
			}
		}
		own[name] = true
	}
	for _, list := range []*[]string{&f.changes.added, &f.changes.changed, &f.changes.removed} {
		*list = slices.DeleteFunc(*list, func(name string) bool { return own[name] })
	}
}

// decide returns the first restored phase that the changes to the source can affect.
func (f *startSearch) decide(s *snapshots.Snapshot) affected.Decision {
	var phases []affected.Phase
	for _, p := range f.Plan.Phases {
		if !slices.Contains(s.Phases, p.Type) {
			continue
		}
		phase := affected.Phase{Name: string(p.Type), Said: f.inputs.Request.InputsOf(string(p.Type))}
		if opened := s.Opened[p.Type]; opened != nil {
			phase.Seen = &affected.Opened{Files: opened.Files, Dirs: opened.Dirs}
		}
		for _, c := range slices.Concat(p.Commands, p.Finally) {
			phase.Commands = append(phase.Commands, c.Text)
		}
		phases = append(phases, phase)
	}
	var changes []affected.Change
	add := func(kind affected.Kind, names []string) {
		for _, name := range names {
			changes = append(changes, affected.Change{Name: name, Kind: kind})
		}
	}
	add(affected.Added, f.changes.added)
	add(affected.Changed, f.changes.changed)
	add(affected.Removed, f.changes.removed)
	if s.Commit != commitOf(f.Plan) {
		add(affected.Commit, []string{".git"})
	}
	return affected.First(phases, changes, sourceFS(f.inputs.Source.Dir))
}

// commitOf returns the commit of the source and its branch, as commands can see them.
func commitOf(p *runner.Plan) string {
	return strings.TrimSpace(p.Sources[0].Resolved + " " + p.Sources[0].Version)
}

// sourceFS returns the files of the source.
func sourceFS(dir string) fs.FS {
	root, err := os.OpenRoot(dir) // closed by the garbage collector
	if err != nil {
		return nil
	}
	return root.FS()
}

// note describes the phases that are restored.
func (f *startSearch) note(s *snapshots.Snapshot) string {
	phases, build := human.Series(phaseNames(s.Phases)), builds.Number(s.Build)
	taken := human.When(s.Taken, f.inputs.host.Now())
	decision := f.decide(s)
	if f.inputs.Request.Debug.From == FromChanges && decision.File != "" && !f.forced {
		return fmt.Sprintf("begins at %s, with %s of build %d (%s): %s", f.after(s), phases, build, taken, decision.Reason)
	}
	text := fmt.Sprintf("%s restored from build %d (%s)", phases, build, taken)
	if decision.File != "" {
		text += ". Since then " + decision.Reason
	}
	if f.forced {
		text += ". The snapshot does not fit (--force)"
	}
	if s.Phase != f.last && len(f.reasons) > 0 {
		text += ". Not used: " + f.reasons[0]
	}
	return text
}

// after returns the phase with which a build begins after a snapshot.
func (f *startSearch) after(s *snapshots.Snapshot) runner.PhaseType {
	for _, p := range f.Plan.Phases {
		if !slices.Contains(s.Phases, p.Type) && len(p.Commands)+len(p.Finally) > 0 {
			return p.Type
		}
	}
	return runner.UploadArtifacts
}

// none describes why no snapshot is used. It is "" if the user does not expect one.
func (f *startSearch) none() string {
	run := runAgain(f.Plan.PhasesUpTo(f.last))
	r := f.inputs.Request
	switch {
	case len(f.reasons) == 0 && r.Debug.From == FromChanges && r.origin("from") != FromCaller:
		return "" // watch asks for one before each build, also where phases are too short for snapshots
	case len(f.reasons) == 0:
		return fmt.Sprintf("no snapshot of this source with this engine: %s", run)
	case r.Debug.From == FromChanges:
		return "begins at the first phase. Not used: " + f.reasons[len(f.reasons)-1]
	}
	return fmt.Sprintf("no snapshot fits: %s. Not used: %s", run, strings.Join(f.reasons, "; "))
}

// holdSnapshot keeps the snapshot that a failed build began with, because its files are those of the build
// too. The ID is "" for a build that began with none.
func (s *Session) holdSnapshot(id string) error {
	if id == "" {
		return nil
	}
	for _, from := range s.inputs.host.Snapshots().All() {
		if from.ID() != id {
			continue
		}
		release, err := from.Use(s.inputs.host.Now())
		if err == nil {
			s.start = &start{snapshot: from, release: release}
		}
		return err
	}
	return errors.New("the snapshot that it began with was removed\nRun the build again: buildlocal run --debug")
}

// runAgain says that phases run.
func runAgain(phases []runner.PhaseType) string {
	verb := "run"
	if len(phases) == 1 {
		verb = "runs"
	}
	return fmt.Sprintf("%s %s again", human.Series(phaseNames(phases)), verb)
}

// restoration returns the snapshot for the runner; nil without one.
func (s *Session) restoration() *runner.Restoration {
	if s.start == nil || s.start.snapshot == nil || s.resumed != nil {
		return nil
	}
	from := s.start.snapshot
	return &runner.Restoration{
		Dir: from.Dir(), State: from.State,
		Begin: func(ctx context.Context, live *runner.Live) error {
			_, err := s.sync(ctx, live)
			return err
		},
	}
}

// CanRewind reports whether the build has a snapshot, of any phase. It does not wait for anything.
func (s *Session) CanRewind() bool {
	return s.rewindable.Load() || s.start != nil && s.start.snapshot != nil
}

// Rewind returns the latest snapshot of the build, or the one that it began with, of a phase before
// another one, for a build that goes back there.
func (s *Session) Rewind(before runner.PhaseType) (*runner.Restoration, []runner.PhaseType, error) {
	possible := s.Plan.PhasesUpTo(s.Plan.Before(before))
	s.syncing.Lock()
	defer s.syncing.Unlock()
	all := s.taken
	if s.start != nil && s.start.snapshot != nil {
		all = append([]*snapshots.Snapshot{s.start.snapshot}, all...)
	}
	for _, from := range slices.Backward(all) {
		if !slices.Contains(possible, from.Phase) {
			continue
		}
		release, err := from.Use(s.inputs.host.Now())
		if err != nil {
			return nil, nil, fmt.Errorf("the snapshot of %s: %w", from.Phase, err)
		}
		s.release = append(s.release, release)
		begin := func(ctx context.Context, live *runner.Live) error {
			s.syncing.Lock()
			s.stamps = stampsOf(from)
			s.syncing.Unlock()
			_, err := s.sync(ctx, live)
			return err
		}
		return &runner.Restoration{Dir: from.Dir(), State: from.State, Begin: begin}, from.Phases, nil
	}
	return nil, nil, fmt.Errorf("there is no snapshot of a phase before %s; --snapshots always takes them", before)
}
