package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/internal/overlay"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/snapshots"
)

// Values of Snapshots in DebugOptions.
const (
	SnapshotsAuto   = "auto" // if they cost little
	SnapshotsAlways = "always"
	SnapshotsNever  = "never"
)

// Limits of snapshots.
const (
	maxSnapshots        = 3 // of one source
	DefaultSnapshotSize = "10GB"
	maxAutoSnapshot     = 2_000_000_000 // bytes
	spareDisk           = 4             // times the size that have to be free
	worthTen            = 10            // times as long as a snapshot takes, commands have to run before it
)

// Snapshots returns the store of snapshots of the user.
func (h *Host) Snapshots() snapshots.Store {
	if dir := h.CacheFile("snapshots"); dir != "" {
		return snapshots.Store{Path: dir}
	}
	return snapshots.Store{Path: filepath.Join(h.Runs().Path, "snapshots")}
}

// LabelSnapshot is the label of the image of a snapshot, with the directory of the snapshot.
const LabelSnapshot = docker.SnapshotLabel

// checkpoints takes the snapshots of one build.
type checkpoints struct {
	session *Session
	always  bool
	asked   bool // the user wants to know why a snapshot is missing

	last  time.Time           // end of the last snapshot, or the start of the commands
	taken *snapshots.Snapshot // the last one
	began time.Time           // when it was begun
}

// checkpoints returns the function that takes snapshots, nil for none.
func (s *Session) checkpoints() func(context.Context, *runner.Checkpoint) error {
	r := s.inputs.Request
	if r.Debug.Snapshots == SnapshotsNever || r.Engine.Keep || s.resumed != nil {
		return nil
	}
	c := &checkpoints{
		session: s, always: r.Debug.Snapshots == SnapshotsAlways,
		asked: r.Debug.Stops() || r.Debug.From != "" || r.origin("snapshots") == FromCaller,
		last:  s.inputs.host.Now(),
	}
	return c.take
}

// take takes a snapshot, unless it would cost too much. The error is the reason, if the user wants to
// know it.
func (c *checkpoints) take(ctx context.Context, at *runner.Checkpoint) error {
	began := c.session.inputs.host.Now()
	reason, err := c.checkCost(ctx, at, began)
	switch {
	case err == nil && reason == "":
		err = c.store(ctx, at, began)
	case err == nil && c.asked:
		err = errors.New(reason)
	}
	if errors.Is(err, errCheap) || errors.Is(err, engine.ErrUnsupported) && !c.asked {
		return nil
	}
	return err
}

// checkCost returns the reason why no snapshot is taken, or "".
func (c *checkpoints) checkCost(ctx context.Context, at *runner.Checkpoint, now time.Time) (string, error) {
	if c.session.key() == nil {
		return noKey, nil
	}
	processes, err := at.Processes()
	if err != nil {
		return "", err
	}
	if len(processes) > 0 && !c.always {
		return fmt.Sprintf("it left %s running, which a snapshot cannot have (--snapshots always takes one without)",
			human.Series(processes)), nil
	}
	size, err := at.Engine.Changed(ctx, maxAutoSnapshot)
	if err != nil || c.always {
		return "", err
	}
	free, err := docker.FreeSpace(c.session.inputs.host.Snapshots().Path)
	cost := c.session.expectedCost(size)
	switch {
	case size > maxAutoSnapshot:
		return "it wrote more than " + human.Bytes(maxAutoSnapshot), nil
	case err == nil && free < spareDisk*size:
		return fmt.Sprintf("only %s are free on the disk for %s", human.Bytes(free), human.Bytes(size)), nil
	case now.Sub(c.last) < worthTen*cost:
		return "", errCheap
	}
	return "", nil
}

// errCheap means that running the commands again costs little, compared with a snapshot.
var errCheap = errors.New("its commands take less than ten times as long as a snapshot")

// expectedCost returns how long a snapshot with a number of bytes takes, by the last one of the engine.
func (s *Session) expectedCost(bytes int64) time.Duration {
	fixed, rate := 20*time.Millisecond, float64(300<<20) // bytes in a second
	if s.engine.kind == EngineDocker {
		fixed, rate = 150*time.Millisecond, 200<<20
	}
	const meaningful = 10 << 20
	for _, old := range s.inputs.host.Snapshots().All() {
		if old.Engine == string(s.engine.kind) && old.Bytes > meaningful && old.Took > 0 {
			rate = float64(old.Bytes) / old.Took.Seconds()
			break
		}
	}
	return fixed + time.Duration(float64(bytes)/rate*float64(time.Second))
}

// store takes a snapshot and stores it.
func (c *checkpoints) store(ctx context.Context, at *runner.Checkpoint, began time.Time) error {
	s, h := c.session, c.session.inputs.host
	store := h.Snapshots()
	draft, err := store.New(newNonce())
	if err != nil {
		return err
	}
	snapshot, err := s.describe(at)
	if err == nil {
		to := engine.SnapshotTo{Dir: draft.Files, Name: draft.Name, Labels: s.snapshotLabels(draft.Name)}
		if c.taken != nil {
			to.Earlier, to.Since = c.taken.Dir(), c.began
		}
		snapshot.Bytes, err = at.Engine.Snapshot(ctx, to)
	}
	if err == nil {
		err = keepCache(ctx, &snapshot.State, draft)
	}
	if err == nil {
		snapshot.Took = h.Now().Sub(began)
		err = checkSecrets(at, snapshot)
	}
	if err == nil {
		err = draft.Publish(snapshot)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxMeasureTime)
		defer cancel()
		return errors.Join(err, draft.Discard(func(dir string) error { return s.restorer().RemoveSnapshot(ctx, dir) }))
	}
	c.taken, c.began, c.last = snapshot, began, h.Now()
	s.syncing.Lock()
	s.taken = append(s.taken, snapshot)
	s.syncing.Unlock()
	s.rewindable.Store(true)
	s.evict(ctx, snapshot)
	return nil
}

// checkSecrets returns an error if a description contains a secret.
func checkSecrets(at *runner.Checkpoint, s *snapshots.Snapshot) error {
	text, err := json.Marshal(s)
	if err == nil && at.IsSecret(string(text)) {
		err = errors.New("its description would contain a secret")
	}
	return err
}

// keepCache makes the mounted files of a cache a part of the snapshot, as links: the entry of the cache
// may be replaced by the next build.
func keepCache(ctx context.Context, state *runner.CheckpointState, to *snapshots.Draft) error {
	for n, dir := range state.CacheDirs() {
		name := fmt.Sprintf("cache%d", n)
		if err := overlay.LinkTo(ctx, *dir, filepath.Join(to.Files, name)); err != nil {
			return err
		}
		*dir = filepath.Join(to.Final, name)
	}
	return nil
}

// restorer returns the engine as one with snapshots.
func (s *Session) restorer() engine.Restorer { return s.engine.Engine.(engine.Restorer) }

// snapshotLabels returns the labels of the image of a snapshot. They replace those of the container.
func (s *Session) snapshotLabels(name string) map[string]string {
	labels := map[string]string{LabelSnapshot: filepath.Join(s.inputs.host.Snapshots().Path, name)}
	for key, value := range s.labels {
		switch key {
		case LabelSource, LabelHost, LabelUser, LabelProject:
			labels[key] = value
		default:
			labels[key] = ""
		}
	}
	return labels
}

// describe returns the description of a snapshot.
func (s *Session) describe(at *runner.Checkpoint) (*snapshots.Snapshot, error) {
	in, h := s.inputs, s.inputs.host
	state, err := at.State()
	if err != nil {
		return nil, err
	}
	snapshot := &snapshots.Snapshot{
		Program: h.Version, Source: RealDir(in.Request.SourceDir()), Project: s.Plan.Identity.Project,
		Engine: string(s.engine.kind), Host: s.engine.host, Build: s.Dir.Name, Phase: at.Phase,
		Phases: s.Plan.PhasesUpTo(at.Phase), Taken: h.Now(), State: state, Commit: commitOf(s.Plan),
		Ingredients: runner.UpTo(s.Plan.Ingredients(s.keyed), at.Phase),
	}
	if s.start != nil && s.start.snapshot != nil {
		snapshot.Opened = maps.Clone(s.start.snapshot.Opened) // of the phases that were restored
	}
	if snapshot.Opened == nil {
		snapshot.Opened = map[runner.PhaseType]*engine.Opened{}
	}
	maps.Copy(snapshot.Opened, at.Opened())
	for _, source := range in.sources {
		snapshot.Digits = append(snapshot.Digits, source.Digits)
	}
	snapshot.Files = s.describeFiles() // also waits for others
	snapshot.Others = s.others
	return snapshot, nil
}

// evict removes snapshots that the new one replaces, and those that are too many. Others that cannot be
// removed now are left to the next build, or to snapshot prune.
func (s *Session) evict(ctx context.Context, latest *snapshots.Snapshot) {
	store := s.inputs.host.Snapshots()
	limit, _ := CacheSize(s.inputs.Request.Debug.SnapshotSize) // Validate reports the error
	var excess []*snapshots.Snapshot
	all := slices.DeleteFunc(store.All(), func(old *snapshots.Snapshot) bool {
		replaced := old.ID() != latest.ID() && old.Source == latest.Source && old.Phase == latest.Phase &&
			old.Engine == latest.Engine && old.Commit == latest.Commit &&
			runner.Difference(old.Ingredients, latest.Ingredients) == ""
		if replaced {
			excess = append(excess, old)
		}
		return replaced
	})
	excess = append(excess, snapshots.Excess(all, maxSnapshots, limit)...)
	remove := func(dir string) error { return s.restorer().RemoveSnapshot(ctx, dir) }
	for _, id := range store.Incomplete() {
		_ = store.Remove(id, remove)
	}
	needed := s.inputs.host.neededSnapshots()
	for _, old := range excess {
		if old.Engine != string(s.engine.kind) || old.Host != s.engine.host || slices.Contains(needed, old.ID()) {
			continue
		}
		_ = store.Remove(old.ID(), remove)
	}
}

// neededSnapshots returns the IDs of the snapshots that failed builds, which can go on, began with.
func (h *Host) neededSnapshots() []string {
	var all []string
	for _, f := range h.FailedBuilds() {
		if f.Snapshot != "" && !f.expired(h.Now()) {
			all = append(all, f.Snapshot)
		}
	}
	return all
}

func phaseNames(phases []runner.PhaseType) []string {
	var names []string
	for _, p := range phases {
		names = append(names, string(p))
	}
	return names
}
