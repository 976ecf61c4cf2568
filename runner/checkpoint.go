package runner

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/human"
)

// Checkpoint is a build at the end of a phase, of which a snapshot can be taken. Its methods may be
// called only until the function returns that got it.
type Checkpoint struct {
	Phase PhaseType
	// Engine takes the snapshot of the files.
	Engine engine.Snapshotter

	build *build
	ctx   context.Context
}

// CheckpointState is needed to go on with the files of a snapshot.
type CheckpointState struct {
	State KeptState
	// Overlays and Trees are the mounted files of the cache.
	Overlays []string      `json:"overlays,omitempty"`
	Trees    []engine.Tree `json:"trees,omitempty"`
}

// CacheDirs returns the directories of the host that are mounted, to be read or changed.
func (s *CheckpointState) CacheDirs() []*string {
	var all []*string
	for i := range s.Overlays {
		all = append(all, &s.Overlays[i])
	}
	for i := range s.Trees {
		all = append(all, &s.Trees[i].Host)
	}
	return all
}

// State returns the state of the build. It contains no value of a secret.
func (c *Checkpoint) State() (CheckpointState, error) {
	keeper := newStateKeeper(c.build)
	state, err := keeper.read(c.ctx, "env.sh", "dir.txt")
	if err == nil && len(keeper.lost) > 0 {
		err = fmt.Errorf("the value of %s contains a secret in another form", human.Series(keeper.lost))
	}
	all := CheckpointState{State: state}
	if m := c.build.cache.mount; m != nil {
		all.Overlays, all.Trees = slices.Clone(m.overlays), slices.Clone(m.trees)
	}
	return all, err
}

// Opened returns the files of the source that phases have opened, as far as that is recorded.
func (c *Checkpoint) Opened() map[PhaseType]*engine.Opened {
	rec := c.build.rec
	rec.mu.Lock()
	defer rec.mu.Unlock()
	all := map[PhaseType]*engine.Opened{}
	for _, p := range rec.record.Phases {
		if p.Opened != nil {
			all[p.Type] = p.Opened
		}
	}
	return all
}

// IsSecret reports whether a text contains a secret of the build.
func (c *Checkpoint) IsSecret(text string) bool { return c.build.rec.isSecret(text) }

// Processes returns the names of the processes that commands have left running. They are not in a
// snapshot.
func (c *Checkpoint) Processes() ([]string, error) {
	printed, _, err := c.build.shells.capture(c.ctx, listProcesses)
	return leftRunning(printed), err
}

// listProcesses prints /proc/PID/stat of its own shell, and then of all processes.
const listProcesses = `for f in /proc/self/stat /proc/[0-9]*/stat; do
  IFS= read -r line <"$f" && printf '%s\n' "$line"
done 2>/dev/null`

// process is a process of the container.
type process struct {
	pid, parent int
	name        string
	ended       bool
}

// parseProcess parses a line of /proc/PID/stat. The name may contain any characters.
func parseProcess(line string) (p process, ok bool) {
	id, rest, _ := strings.Cut(line, " (")
	end := strings.LastIndex(rest, ") ")
	if end < 0 {
		return p, false
	}
	var state string
	n, err := fmt.Sscanf(rest[end+len(") "):], "%s %d", &state, &p.parent)
	p.name, p.ended = rest[:end], state == "Z"
	p.pid, ok = atoi(id)
	return p, ok && err == nil && n == 2
}

func atoi(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// leftRunning returns the names of processes that listProcesses has printed: those that descend from
// the first one, which adopts the processes that a command leaves, except for the shells that have printed the list.
// Processes without a parent were started from outside.
func leftRunning(printed string) []string {
	var all []process
	parents := map[int]int{}
	for line := range strings.Lines(printed) {
		if p, ok := parseProcess(strings.TrimSuffix(line, "\n")); ok {
			all = append(all, p)
			parents[p.pid] = p.parent
		}
	}
	if len(all) == 0 {
		return nil
	}
	printing := map[int]bool{}
	for pid := all[0].pid; pid > 0 && !printing[pid]; pid = parents[pid] {
		printing[pid] = true
	}
	var names []string
	for _, p := range all[1:] {
		if !printing[p.pid] && !p.ended && p.parent > 0 {
			names = append(names, p.name)
		}
	}
	return names
}

// checkpoint lets the caller take a snapshot after a phase that has succeeded.
func (b *build) checkpoint(ctx context.Context, row row, res result) {
	if b.Checkpoint == nil || res.status != Succeeded || !b.plan.hasCheckpoint(row.phase) || ctx.Err() != nil {
		return
	}
	taker, able := b.container.(engine.Snapshotter)
	if !able || b.plan.Partial != nil || b.rec.changedByHand() || !b.rec.succeeding() {
		return
	}
	err := b.Checkpoint(ctx, &Checkpoint{Phase: row.phase, Engine: taker, build: b, ctx: ctx})
	if err != nil && ctx.Err() == nil {
		b.rec.note("No snapshot of %s: %s.", row.phase, human.ErrorText(err))
	}
}

// hasCheckpoint reports whether a snapshot may be taken at the end of a phase: it has commands, and
// is followed by phases with commands.
func (p *Plan) hasCheckpoint(t PhaseType) bool {
	phase := p.phase(t)
	return t != PostBuild && len(phase.Commands)+len(phase.Finally) > 0
}

// Restored describes phases that do not run, because the build begins with their results.
type Restored struct {
	Phases []PhaseType `json:"phases"` // the ones with commands
	Build  string      `json:"build"`  // that has run them, such as 12-1a2b3c4d
	Forced bool        `json:"forced,omitempty"`
}

// Names returns the names of the phases.
func (r *Restored) Names() []string {
	var all []string
	for _, p := range r.Phases {
		all = append(all, string(p))
	}
	return all
}

// Restoration is a snapshot with which a build begins.
type Restoration struct {
	Dir   string // of the engine's snapshot
	State CheckpointState
	// Begin is called when the variables are restored, and before the first command.
	Begin func(ctx context.Context, live *Live) error
}

// RestoredStatus is the status of a phase that was restored from a snapshot. The service has no such
// status.
const RestoredStatus Status = "RESTORED"

// Restore makes the plan begin with the results of phases. The files of a cache are among them, so it
// is neither restored nor saved.
func (p *Plan) Restore(r Restored) {
	p.Restored = &r
	p.Cache = nil
}

// Restores reports whether a phase does not run because its results are restored.
func (p *Plan) Restores(t PhaseType) bool {
	return p.Restored != nil && slices.Contains(p.Restored.Phases, t)
}

// restoreSnapshot restores the variables of a snapshot, after those of the build are set.
func (b *build) restoreSnapshot(ctx context.Context) result {
	if res := b.enterSource(ctx); res.status != "" {
		return res
	}
	names, err := b.variableNames(ctx)
	if err != nil {
		return b.shellLost(ctx, err)
	}
	state := b.restoration.State.State
	root := b.shells.root()
	if err := root.Set(append(b.changesTo(state, names), ":")...); err != nil {
		return b.shellLost(ctx, err)
	}
	if err := root.Enter(state.Dir); err != nil {
		return b.shellLost(ctx, err)
	}
	if _, _, err := b.shells.capture(ctx, ":"); err != nil { // for the shells of other users
		return b.shellLost(ctx, err)
	}
	if b.restoration.Begin == nil {
		return result{}
	}
	if err := b.restoration.Begin(ctx, b.live); err != nil {
		return b.fault(ctx, "", fmt.Errorf("update the source: %w", err))
	}
	return result{}
}

// variableNames returns the names of all variables of the next command.
func (b *build) variableNames(ctx context.Context) (map[string]bool, error) {
	printed, _, err := b.shells.capture(ctx, PrintState)
	names := map[string]bool{}
	for _, v := range ParseState(printed).Variables {
		names[v.Name] = true
	}
	return names, err
}

// restored records phases whose results are restored. The log, which has the form of the service's,
// does not mention them.
func (rec *recorder) restored(t PhaseType) {
	now := rec.now()
	rec.update(func(r *Record) {
		r.Phases = append(r.Phases, PhaseRecord{Type: t, Status: RestoredStatus, Start: now, End: now})
	})
}
