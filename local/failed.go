package local

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/rundir"
	"github.com/buildlocal/buildlocal/runner"
)

// The state of a failed build is in the directory of its run, which is kept with the files of its
// sandbox, or for its container. So its labels and its lock are where those of every build are.
const (
	failedName = "failed.json"
	// maxFailedAge is how long the state of a failed build is kept.
	maxFailedAge = 24 * time.Hour
	// maxFailedState limits the file, in bytes.
	maxFailedState = 64 << 20
)

// Values of KeepFailed in an EngineOptions.
const (
	KeepFailedAuto   = "auto" // on a terminal, and not in CI
	KeepFailedAlways = "always"
	KeepFailedNever  = "never"
)

// FailedBuild is a build that ended at a failed command and can go on there.
type FailedBuild struct {
	Program string // version of this program
	Build   string // its name, such as 12-1a2b3c4d
	Run     string // name of its run
	Source  string // directory of the primary source, without links
	WorkDir string // in which the paths of the request are relative
	Output  string // directory of its results
	Engine  EngineKind
	Host    string // address of the engine
	Ended   time.Time
	Request Request
	// Buildspec is the text whose commands have run.
	Buildspec BuildspecText
	Digits    []string // in the names of the sources' directories
	Stamps    []fileStamp
	Snapshot  string // ID of the one that the build began with; "" for none
	State     runner.KeptFailure

	dir string // of the run
}

// fileStamp is a stamp of a file of the source.
type fileStamp struct {
	Name     string
	Size     int64
	Mode     fs.FileMode
	Modified time.Time
}

// keepFailed returns the function that stores the state of a failed build; nil if it is not wanted.
func (s *Session) keepFailed(ctx context.Context) func(runner.KeptFailure, func(string) bool) error {
	r := s.inputs.Request
	if r.Engine.KeepFailed != KeepFailedAlways || r.Engine.Keep {
		return nil
	}
	return func(state runner.KeptFailure, isSecret func(string) bool) error {
		f := s.failedBuild(ctx, state)
		text, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if isSecret(string(text)) {
			return errors.New("the options of the build contain a secret")
		}
		const mine = 0o600
		return os.WriteFile(filepath.Join(s.inputs.run.Path, failedName), text, mine)
	}
}

// failedBuild describes the build of the session, after it has failed.
func (s *Session) failedBuild(ctx context.Context, state runner.KeptFailure) *FailedBuild {
	in, h := s.inputs, s.inputs.host
	f := &FailedBuild{
		Program: h.Version, Build: s.Dir.Name, Run: in.run.Name,
		Source: RealDir(in.Request.SourceDir()), WorkDir: RealDir("."),
		Output: s.Dir.Path, Engine: s.engine.kind, Host: s.engine.host, Ended: h.Now(), Request: *in.Request,
		Buildspec: in.text, State: state,
	}
	f.Request.Debug = f.Request.Debug.withoutStops()
	if s.start != nil && s.start.snapshot != nil {
		f.Snapshot = s.start.snapshot.ID()
	}
	for _, source := range in.sources {
		f.Digits = append(f.Digits, source.Digits)
	}
	s.syncing.Lock()
	stamps := s.stamps
	s.syncing.Unlock()
	if stamps == nil {
		stamps = in.stamps(ctx)
	}
	for name, at := range stamps {
		// A file that was changed while the build ran may differ from the build's.
		if s.stamps == nil && at.modified.After(s.Plan.Identity.Start) {
			at.size = -1
		}
		f.Stamps = append(f.Stamps, fileStamp{name, at.size, at.mode, at.modified})
	}
	return f
}

// FailedBuilds returns the failed builds of this user whose state is kept, the newest first.
func (h *Host) FailedBuilds() []FailedBuild {
	var all []FailedBuild
	for _, dir := range h.Runs().Runs() {
		if _, alive := rundir.Alive(dir); alive {
			continue
		}
		text, err := regular.Read(filepath.Join(dir, failedName), maxFailedState)
		f := FailedBuild{dir: dir}
		if err == nil && json.Unmarshal(text, &f) == nil {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b FailedBuild) int { return b.Ended.Compare(a.Ended) })
	return all
}

// FailedHere returns the failed build of the request's source that can go on. Without one,
// the reason is for a user who could expect one.
func (h *Host) FailedHere(r *Request) (f *FailedBuild, reason string) {
	source := RealDir(r.SourceDir())
	for _, f := range h.FailedBuilds() {
		if f.Source != source {
			continue
		}
		switch {
		case f.expired(h.Now()):
			return nil, "the state of build " + f.Build + " was kept for 24 hours, which are over"
		case f.Program != h.Version:
			return nil, "the state of build " + f.Build + " was kept by another version of buildlocal"
		case f.WorkDir != RealDir("."):
			return nil, "build " + f.Build + " was started in " + h.Tilde(f.WorkDir) + ", and goes on only there"
		}
		return &f, ""
	}
	return nil, ""
}

func (f *FailedBuild) expired(now time.Time) bool { return now.Sub(f.Ended) >= maxFailedAge }

// At returns the failed command, such as build:2.
func (f *FailedBuild) At() string { return f.State.At }

// IsRequest reports whether a request is that of the failed build, apart from its stops.
func (f *FailedBuild) IsRequest(r *Request) bool {
	a, b := f.Request, *r
	for _, request := range []*Request{&a, &b} {
		request.Debug = request.Debug.withoutStops()
		request.CommandLine, request.Origins, request.Trusted, request.Texts = "", nil, false, nil
		request.Engine.KeepFailed, request.Debug.Snapshots, request.Observe = "", "", false
	}
	one, err1 := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(one) == string(other)
}

// stamps returns the stamps of the source's files when the build had failed.
func (f *FailedBuild) stamps() map[string]stamp {
	all := map[string]stamp{}
	for _, s := range f.Stamps {
		all[s.Name] = stamp{s.Size, s.Mode, s.Modified}
	}
	return all
}

// replaceFailed removes the kept states that this build replaces, beside it. The returned function
// waits for that.
func (in *Inputs) replaceFailed(ctx context.Context) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		in.host.dropFailed(context.WithoutCancel(ctx), RealDir(in.Request.SourceDir()))
	}()
	return func() { <-done }
}

// dropFailed removes the kept states that a new build of a source replaces, and those that are too
// old. The next build, or prune, tries again after an error.
func (h *Host) dropFailed(ctx context.Context, source string) {
	var dirs []string
	for _, f := range h.FailedBuilds() {
		if f.Source == source || f.expired(h.Now()) {
			dirs = append(dirs, f.dir)
		}
	}
	h.dropRuns(ctx, dirs)
}

// dropRuns removes runs that have ended, with their resources.
func (h *Host) dropRuns(ctx context.Context, dirs []string) {
	if len(dirs) == 0 {
		return
	}
	quiet := *h
	quiet.Warnf = func(string, ...any) {}
	c, _ := quiet.NewCleaner(ctx) // also with an error, which is that of Docker
	defer func() { _ = c.Close() }()
	for _, l := range c.All {
		if slices.ContainsFunc(l.dirs, func(dir string) bool { return slices.Contains(dirs, dir) }) {
			_ = c.Remove(ctx, l)
		}
	}
}

// goesOn reports whether the directory of a run has the state of a failed build that can go on.
func (h *Host) goesOn(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, failedName))
	return err == nil && info.Mode().IsRegular() && h.Now().Sub(info.ModTime()) < maxFailedAge
}

// isFailed reports whether the directory of a run has the state of a failed build.
func isFailed(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, failedName))
	return err == nil && info.Mode().IsRegular()
}

// forget removes the state from the directory of a run that goes on.
func (f *FailedBuild) forget() error { return os.Remove(filepath.Join(f.dir, failedName)) }
