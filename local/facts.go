package local

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/runner"
)

// maxFactsTime limits how long facts are looked up that only describe a build.
const maxFactsTime = 5 * time.Second

// lookUpFacts looks up facts about the source and the machine while the build runs. The
// returned function waits for them, and adds them to the record.
func (s *Session) lookUpFacts(ctx context.Context) func(*runner.Record) {
	ctx, cancel := context.WithTimeout(ctx, maxFactsTime)
	commit, machine := make(chan *runner.Commit, 1), make(chan runner.Machine, 1)
	changes := make(chan *runner.Changes, 1)
	go func() { commit <- s.inputs.commit(ctx) }()
	go func() { machine <- s.machine(ctx) }()
	go func() { changes <- s.changes(ctx) }()
	return func(r *runner.Record) {
		defer cancel()
		r.Commit = <-commit
		if found := <-changes; r.Status != runner.Succeeded {
			r.Changes = found
		}
		found := <-machine
		if r.Machine != nil {
			found.Compute, found.VCPU, found.Limit = r.Machine.Compute, r.Machine.VCPU, r.Machine.Limit
		}
		r.Machine = &found
		r.Next = s.nextSteps(r)
	}
}

// commit returns the version of the source; nil outside of a git repository. A message that
// cannot be read is left out.
func (in *Inputs) commit(ctx context.Context) *runner.Commit {
	git := in.Source.Git
	if git == nil || git.Commit == "" {
		return nil
	}
	message, _ := in.Source.Message(ctx)
	return &runner.Commit{ID: git.Commit, Branch: git.Branch, Subject: message.Subject, Author: message.Author,
		Changed: in.Source.Uncommitted()}
}

// maxChanges is how many changed files are recorded.
const maxChanges = 20

// changes returns what has changed in the source since the last build that succeeded; nil if
// there is no such build, or if its commit is not known here.
func (s *Session) changes(ctx context.Context) *runner.Changes {
	if s.inputs.Source.Git == nil {
		return nil
	}
	for _, b := range slices.Backward(s.earlier()) {
		if b.Project != s.Plan.Identity.Project || b.Status != runner.Succeeded || b.Commit == "" {
			continue
		}
		files, err := s.inputs.Source.ChangedSince(ctx, b.Commit)
		if err != nil {
			return nil
		}
		return &runner.Changes{Build: b.Number, Files: files[:min(len(files), maxChanges)], Count: len(files)}
	}
	return nil
}

// machine describes where the build runs. Facts that cannot be looked up are left out.
func (s *Session) machine(ctx context.Context) runner.Machine {
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
