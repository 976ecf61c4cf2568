package local

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/explain"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/page"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/snapshots"
	"github.com/buildlocal/buildlocal/source"
)

// maxFactsTime limits how long facts are looked up that only describe a build.
const maxFactsTime = 5 * time.Second

// lookUpFacts looks up facts about the source while the build runs. The returned function waits for
// them, and adds them and those about the machine to the record.
func (s *Session) lookUpFacts(ctx context.Context) func(*runner.Record) {
	s.onMachine = sync.OnceValue(func() runner.Machine { return s.machine(ctx) }) // with a limit of its own
	limited, cancel := context.WithTimeout(ctx, maxFactsTime)
	s.found = &originLookup{done: make(chan struct{})}
	go func() {
		defer close(s.found.done)
		s.found.origin = s.origin(limited)
	}()
	return func(r *runner.Record) {
		defer cancel()
		<-s.found.done
		s.found.describe(r)
		found := s.onMachine()
		if r.Machine != nil {
			found.Compute, found.VCPU, found.Limit = r.Machine.Compute, r.Machine.VCPU, r.Machine.Limit
		}
		r.Machine = &found
		r.Next = s.nextSteps(r)
		if s.Conclude != nil {
			s.Conclude(r)
		}
	}
}

// origin is the version of the source, and how it differs from the last one that succeeded.
type origin struct {
	commit   *runner.Commit
	contents *runner.Contents
	changes  *runner.Changes
	files    []string // all files of changes
}

// originLookup is an origin that is looked up in the background.
type originLookup struct {
	done chan struct{} // closed when origin is set
	origin
}

// describe adds the facts to the record of a build.
func (o origin) describe(r *runner.Record) {
	r.Commit, r.Contents = o.commit, o.contents
	if r.Status != runner.Succeeded && o.changes != nil {
		changes := *o.changes
		changes.Named = explain.Named(o.files, r)
		r.Changes = &changes
	}
}

// origin looks up the version of the source. Facts that cannot be looked up are left out.
func (s *Session) origin(ctx context.Context) origin {
	src := s.inputs.Source
	if src.Git == nil || src.Git.Commit == "" {
		return origin{}
	}
	files := make(chan *source.Contents, 1)
	go func() { // the contents are read at once: the user may go on to edit them
		var now *source.Contents
		if s.key() != nil {
			now, _ = src.Contents(ctx, s.key())
		}
		files <- now
	}()
	message, _ := src.Message(ctx)
	o := origin{commit: &runner.Commit{
		ID: src.Git.Commit, Branch: src.Git.Branch, Subject: message.Subject, Author: message.Author,
		Changed: src.Uncommitted(),
	}}
	now := <-files
	if now != nil && message.Tree != "" {
		o.contents = &runner.Contents{Tree: s.key()(treeText(message.Tree, now)), Edits: now.Edits}
	}
	o.changes, o.files = s.changes(ctx, now)
	return o
}

// treeText returns a text that is the same for the same files.
func treeText(tree string, c *source.Contents) string {
	var b strings.Builder
	b.WriteString(tree)
	for _, name := range slices.Sorted(maps.Keys(c.Edits)) {
		fmt.Fprintf(&b, "\n%q %s", name, c.Edits[name])
	}
	return b.String()
}

// maxChanges is how many changed files are recorded.
const maxChanges = 20

// changes returns the changes of the source since the last build that succeeded, and the names
// of all these files; nil if there is no such build, or if its commit is not known here. now may be
// nil: then the commits are compared.
func (s *Session) changes(ctx context.Context, now *source.Contents) (*runner.Changes, []string) {
	green := s.lastGreen()
	if green == nil {
		return nil, nil
	}
	src, then := s.inputs.Source, &source.Contents{Commit: green.Commit}
	key := s.key()
	if now == nil || key == nil {
		now, key = &source.Contents{Commit: src.Git.Commit}, func(state string) string { return state }
	} else if b, err := FindBuild(s.inputs.Builds, green.Name); err == nil {
		var r struct {
			Contents runner.Contents `json:"sourceContents"`
		}
		if b.ReadRecord(&r) == nil {
			then.Edits = r.Contents.Edits
		}
	}
	files, err := src.ChangedSince(ctx, then, now, key)
	if err != nil {
		return nil, nil
	}
	return &runner.Changes{Build: green.Number, Files: files[:min(len(files), maxChanges)], Count: len(files)}, files
}

// lastGreen returns the last build of the project that succeeded and has a commit, one of the same
// branch if there is one; nil without any.
func (s *Session) lastGreen() *page.Summary {
	var other *page.Summary
	for _, b := range slices.Backward(s.earlier()) {
		if b.Project != s.Plan.Identity.Project || b.Status != runner.Succeeded || b.Commit == "" {
			continue
		}
		if b.Branch == s.inputs.Source.Git.Branch {
			return &b
		}
		if other == nil {
			other = &b
		}
	}
	return other
}

// machine describes where the build runs. Facts that cannot be looked up are left out.
func (s *Session) machine(ctx context.Context) runner.Machine {
	ctx, cancel := context.WithTimeout(ctx, maxFactsTime)
	defer cancel()
	h := s.inputs.host
	m := runner.Machine{
		Engine: string(s.engine.kind), Address: s.engine.host, Name: h.Hostname,
		System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Memory: memorySize(),
	}
	if e, is := s.engine.Engine.(*docker.Engine); is {
		if about, err := e.About(ctx); err == nil {
			m.Version, m.CPUs, m.Memory = about.Version, about.CPUs, about.Memory
		}
	}
	return m
}

// memorySize returns the memory of this machine in bytes, or 0 if it is not known.
func memorySize() int64 {
	const maxFile, kib = 64 << 10, 1 << 10
	text, err := regular.Read("/proc/meminfo", maxFile)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if fields := strings.Fields(string(line)); len(fields) == 3 && fields[0] == "MemTotal:" {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n * kib
		}
	}
	return 0
}

// nextSteps returns commands that help after the build.
func (s *Session) nextSteps(r *runner.Record) []runner.NextStep {
	rerun := s.inputs.Request.CommandLine
	if rerun == "" {
		return nil // another caller than the command line
	}
	all := []runner.NextStep{{Command: rerun, Purpose: "Run this build again"}}
	if r.Status == runner.Succeeded {
		return all
	}
	if phase := s.beginsAgain(r); phase != "" {
		all = append(all, runner.NextStep{
			Command: rerun + FromFlag + strings.ToLower(string(phase)), Purpose: "Run it again from " + string(phase)})
	}
	if len(r.Failures) > 0 && s.engine.kind == EngineDocker && !s.inputs.Request.Engine.Keep {
		all = append(all, runner.NextStep{
			Command: rerun + " --keep", Purpose: "Run it again and keep the container, to look into it"})
	}
	if commit := r.ResolvedVersion; commit != "" && r.Commit != nil && s.inputs.Request.Source.Mode == "" {
		const short = 7
		all = append(all, runner.NextStep{
			Command: rerun + " --source-mode commit=" + commit[:min(len(commit), short)],
			Purpose: "Run this commit, without changes that are not committed"})
	}
	return all
}

// FromFlag begins the option of a command that begins with a snapshot.
const FromFlag = " --from "

// beginsAgain returns the phase of the first failed command if the next build can begin there, or "".
func (s *Session) beginsAgain(r *runner.Record) runner.PhaseType {
	failed := slices.IndexFunc(r.Commands, func(c runner.CommandRecord) bool { return c.Exit != 0 })
	if failed < 0 || s.inputs.Request.Debug.From != "" {
		return ""
	}
	phase := r.Commands[failed].Phase
	before := s.Plan.PhasesUpTo(s.Plan.Before(phase))
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if !slices.ContainsFunc(s.taken, func(t *snapshots.Snapshot) bool { return slices.Contains(before, t.Phase) }) {
		return ""
	}
	return phase
}
