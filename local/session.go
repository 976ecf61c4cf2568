package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/compute"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/page"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/snapshots"
)

// Session is one build that is ready to run.
type Session struct {
	// Plan says completely what will happen. It is not changed after Prepare.
	Plan *runner.Plan
	// Dir is the directory of the build's results. It is nil if the request is a dry
	// run.
	Dir *builds.Dir
	// Debugger is asked at each stop point of the build. It may be nil, and is set before Run.
	Debugger Debugger
	// Conclude adds facts to the record of a build that has ended. It may be nil, and is set before
	// Run.
	Conclude func(*runner.Record)
	// Extend adds calls to those by which other processes look into the build, when its container
	// exists. It may be nil, and is set before Run.
	Extend func(live *runner.Live, calls control.Services) control.Services

	inputs       *Inputs
	engine       *chosenEngine
	credentials  *runner.Credentials
	destinations []destination
	caches       *localVolumes
	labels       map[string]string
	log          *os.File
	journal      *os.File
	reports      *reports.Set               // nil if the build has none
	earlier      func() []page.Summary      // the earlier builds
	key          func() func(string) string // see Host.key
	found        *originLookup              // facts about the source; set by Run
	onMachine    func() runner.Machine      // looks up facts about the machine once; set by Run
	committed    bool                       // the directory has results
	queue        atomic.Pointer[sinkQueue]

	files   atomic.Pointer[files] // in which the build is recorded; nil before a failed build goes on
	resumed *resumption           // nil for a build that begins

	start *start // where the build begins; nil for the first phase

	rewindable atomic.Bool // taken or start has a snapshot

	syncing sync.Mutex            // guards the next ones
	taken   []*snapshots.Snapshot // of this build
	release []func()              // for the snapshots that it has gone back to
	stamps  map[string]stamp      // of the source, as the build has it; nil without a debugger
	hashes  map[string]fileHash
	others  map[string]string // fingerprints of the secondary sources, by their identifiers
}

// Prepare chooses the engine, makes the plan, and then takes a build number and a
// directory for the results. Mistakes in the request are reported before problems of the
// engine. The warmed engine may be nil.
//
// An error leaves nothing behind. A dry run takes no number, needs no credentials, and
// succeeds if the engine cannot be reached.
func (h *Host) Prepare(ctx context.Context, in *Inputs, warmed *Warmed) (*Session, error) {
	s := &Session{inputs: in, caches: &localVolumes{}, key: sync.OnceValue(h.key)}
	if err := s.prepare(ctx, warmed); err != nil {
		if closing := s.Close(); closing != nil {
			err = errors.Join(err, closing)
		}
		return nil, err
	}
	return s, nil
}

func (s *Session) prepare(ctx context.Context, warmed *Warmed) error {
	engineErr := s.connect(ctx, warmed)
	proxies, note := s.inputs.host.proxies(s.engine.ownNetwork())
	// The number is part of variables of the build, so it must be known before the plan, and
	// is taken only when the plan is known to work.
	for {
		id := ""
		if !s.inputs.Request.DryRun {
			id = newUUID()
		}
		identity := s.inputs.identity(s.inputs.Builds.Next(), id)
		var err error
		if s.Plan, err = s.inputs.newPlan(identity, s.engine, proxies); err != nil {
			return BuildspecError{error: err}
		}
		if s.destinations, err = s.inputs.Request.destinations(s.Plan); err == nil {
			err = errors.Join(s.inputs.Request.checkPlaces(s.Plan), s.inputs.Request.choose(s.Plan))
		}
		if err == nil && engineErr == nil {
			if err = s.chooseStart(ctx); errors.Is(err, errPlanAgain) {
				continue
			}
		}
		if err != nil || s.inputs.Request.DryRun {
			return err
		}
		if err := s.checkHost(ctx, engineErr); err != nil {
			return err
		}
		switch s.Dir, err = s.inputs.Builds.Create(identity.Number, identity.UUID, s.inputs.run.Path); {
		case err == nil:
			if note != "" {
				s.inputs.host.Warnf("%s", note)
			}
			return s.open()
		case !errors.Is(err, builds.ErrTaken): // else another build started meanwhile
			return outputError(s.inputs.Request.OutputDir(), err)
		}
	}
}

// connect chooses the engine. The engine is set to one that cannot run builds if there is
// an error, because the plan does not need to reach it.
func (s *Session) connect(ctx context.Context, warmed *Warmed) error {
	if warmed != nil {
		s.engine = warmed.engine
		return nil
	}
	chosen, err := s.inputs.host.chooseEngine(ctx, s.inputs)
	if err != nil {
		chosen = &chosenEngine{kind: EngineDocker, unreachable: true, close: func() error { return nil }}
	}
	if chosen.note != "" && !s.inputs.Request.DryRun { // the plan shows it
		s.inputs.host.Warnf("%s", chosen.note)
	}
	s.engine = chosen
	return err
}

// checkHost returns everything that keeps the planned build from being started.
func (s *Session) checkHost(ctx context.Context, engineErr error) error {
	if s.credentials != nil {
		return nil // the plan is made once more because its number was taken
	}
	h, r := s.inputs.host, s.inputs.Request
	credentials, err := s.inputs.credentials(ctx)
	s.credentials = credentials
	if err = errors.Join(s.checkEnvironment(), s.checkImage(ctx), h.checkExported(r.Variables.Exported), err); err != nil {
		return err
	}
	// The engine's error is the last: a mistake in the request is there with every engine.
	if err := h.checkCache(r); err != nil { // no build is started that cannot keep its cache
		return err
	}
	return engineErr
}

// checkEnvironment returns an error for a project whose environment type cannot run here. With
// an image of the user's choice, a build of another system runs on Linux: some of its commands
// may work.
func (s *Session) checkEnvironment() error {
	p := s.Plan
	if system := compute.System(p.EnvironmentType); system != "" && s.inputs.Request.Image.Name == "" {
		return InputError{fmt.Errorf("the environment type %s needs %s, but builds run on Linux here\n"+
			"Run its commands on Linux with an image (-i), or change the type to LINUX_CONTAINER",
			p.EnvironmentType, system)}
	}
	if native := NativePlatform(); s.engine.kind.Daemonless() && p.Platform != "" && p.Platform != native {
		reason := ""
		if p.EnvironmentType != "" {
			reason = " (" + p.EnvironmentType + ")"
		}
		return InputError{fmt.Errorf("the build needs %s%s, but the engine %s runs only %s\n"+
			"Use --engine docker, which can have an emulator, or change the type to LINUX_CONTAINER",
			p.Platform, reason, s.engine.kind, native)}
	}
	return nil
}

// checkImage returns an error for an image that the engine's host cannot run, as far as that is
// known without pulling it.
func (s *Session) checkImage(ctx context.Context) error {
	if !s.engine.kind.HasImages() {
		return nil
	}
	if lower := engine.LowerName(s.Plan.Image); lower != s.Plan.Image { // of the project
		return InputError{fmt.Errorf("image %s: image names are lower case; did you mean %s?", s.Plan.Image, lower)}
	}
	checker, able := s.engine.Engine.(engine.PlatformChecker)
	if !able {
		return nil
	}
	if err := checker.CheckPlatform(ctx, s.Plan.ImageRef()); err != nil {
		return InputError{err}
	}
	return nil
}

// open locks and creates everything that the build starts with.
func (s *Session) open() error {
	in, h := s.inputs, s.inputs.host
	var err error
	if s.caches, err = in.openVolumes(s.Plan.Privileged); err != nil {
		return err
	}
	for _, mode := range s.caches.busy {
		h.Warnf("%s: in use by another build; not used for this one", mode)
	}
	s.labels = s.resourceLabels()
	if s.engine.kind.Daemonless() {
		if err := in.run.Describe(s.labels); err != nil {
			return err
		}
	}
	if s.log, err = s.Dir.CreateLog(); err != nil {
		return err
	}
	s.journal, err = s.Dir.CreateJournal()
	return err
}

// resourceLabels returns the labels of every resource that the engine creates, by which
// ps and prune find them.
func (s *Session) resourceLabels() map[string]string {
	h := s.inputs.host
	labels := map[string]string{
		LabelBuild:   s.Dir.Name,
		LabelSource:  s.inputs.Source.Dir,
		LabelHost:    h.Hostname,
		LabelUser:    strconv.Itoa(h.UID),
		LabelTemp:    s.inputs.run.Path,
		LabelStarted: h.Now().UTC().Format(time.RFC3339),
		LabelProject: s.Plan.Identity.Project,
		LabelOutput:  s.Dir.Path,
	}
	if s.inputs.Request.Engine.Keep {
		labels[LabelKept] = "1"
	}
	return labels
}

// Close releases the engine and the caches, and removes the directory of a build that
// was not run.
func (s *Session) Close() error {
	var errs []error
	for _, file := range []*os.File{s.log, s.journal} {
		if file != nil && !s.committed {
			errs = append(errs, file.Close())
		}
	}
	if s.Dir != nil && !s.committed {
		errs = append(errs, s.Dir.Abandon())
	}
	s.caches.close()
	if s.start != nil && s.start.release != nil {
		s.start.release()
	}
	for _, release := range s.release {
		release()
	}
	if s.engine != nil {
		errs = append(errs, s.engine.close())
	}
	return errors.Join(errs...)
}

// Sink shows a build. Notify is called for one event at a time, from another goroutine
// than Run's. An error of Err stops the build.
type Sink interface {
	Notify(runner.Event)
	Err() error
}

// Result is the end of a build.
type Result struct {
	Record *runner.Record
	Fault  error // of the engine or the host, whose record has the status FAULT
	Output error // results or output that could not be written
	Cause  error // why the build was stopped; nil if it was not
}

// LostError stops a build whose log or output cannot be written, because its reader has
// gone or the disk is full.
type LostError struct{ error }

// Unwrap returns the cause.
func (e LostError) Unwrap() error { return e.error }

// NewLostError returns an error for output that could not be written.
func NewLostError(err error) LostError { return LostError{err} }

// Run runs the build and writes its results. It must be called once.
func (s *Session) Run(ctx context.Context, sink Sink) Result {
	s.committed = true // Close must not remove the directory, even of a build that fails
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lost := func(err error) { cancel(LostError{err}) }
	// The runner has timeouts of its own. This context only shows the queue when the build is
	// to end, so that a reader who has stopped cannot delay that.
	limited, release := ctx, func() {}
	if s.Debugger == nil { // with one, the time in which the build is stopped does not count
		limited, release = context.WithTimeout(ctx, s.Plan.Timeout)
	}
	defer release()
	queue := newSinkQueue(limited, sink, s.inputs.host.Hurry, lost)
	s.queue.Store(queue)
	if s.resumed == nil {
		s.files.Store(s.newFiles())
	}
	defer s.inputs.replaceFailed(ctx)()
	s.earlier = sync.OnceValue(func() []page.Summary {
		all := readSummaries(s.inputs.Builds)
		return slices.DeleteFunc(all, func(other page.Summary) bool { return other.Number >= s.Dir.Number })
	})
	go s.earlier() // while the build runs, so that the page does not wait for it
	go page.Prepare()
	r := s.runner(ctx)
	calls := &lookInto{session: s}
	r.OnLive = func(l *runner.Live) {
		// Docker starts programs to describe itself, which would delay the start of the container.
		go s.onMachine()
		calls.begin(l)
	}
	if s.Debugger != nil {
		r.Pause = s.Debugger.Pause
	}
	if s.Debugger != nil || r.Checkpoint != nil {
		s.lookAtSource(ctx)
	}
	r.Notify = func(e runner.Event) {
		if e.Reports != nil {
			s.reports = e.Reports // with the covered lines, which the file does not have
		}
		if err := s.files.Load().notify(e); err != nil {
			lost(err)
		}
		queue.notify(e)
	}
	// The results are written after the sink has shown all events, or has been given up.
	record, fault := r.Run(ctx, s.Plan)
	calls.end()
	queue.close()
	return Result{Record: record, Fault: fault, Output: s.end(record, fault), Cause: context.Cause(ctx)}
}

func (s *Session) runner(ctx context.Context) *runner.Runner {
	in, h, r := s.inputs, s.inputs.host, s.inputs.Request
	without := false
	for _, mode := range s.caches.busy {
		without = without || mode == runner.CustomCache // the paths are kept in that volume
	}
	all := &runner.Runner{
		Engine: s.engine.Engine, Store: in.Stores(), Endpoints: s.endpoints(), Now: h.Now, Nonce: newNonce(),
		Name: in.run.Name, Labels: s.labels, Temp: in.run.Path, Out: s.Dir.Path, Keep: r.Engine.Keep, Hurry: h.Hurry,
		Program: h.openProgram, HostFS: hostFS, NativeArch: runtime.GOARCH, Nested: s.engine.ownNetwork(),
		RootSource: h.UID > 0 && s.engine.ownNetwork(),
		Volumes:    s.caches.volumes, OpenCache: in.cacheOpener(without), CacheInS3: IsS3(r.Cache.Place),
		CacheScope:         in.cacheScope(),
		TolerateBadReports: r.Output.TolerateBadReports,
		ReportLimits:       r.ReportLimits(), SourceFiles: in.sourceFiles(ctx, len(s.Plan.Reports) > 0 || r.Observe),
		Pace: h.pace, Observe: r.Observe,
		LastImage: lastImage(in.Builds, s.Dir.Number),
		Earlier:   earlierReports(in.Builds, s.Plan.Identity.Project, s.Dir.Number),
		Describe:  s.lookUpFacts(ctx), Instead: s.instead, Key: s.keyed, KeepFailed: s.keepFailed(ctx),
		Checkpoint: s.checkpoints(), Restore: s.restoration(),
	}
	if s.resumed != nil { // its cache was restored when it began, and is not saved after changes by hand
		all.Continue, all.OpenCache = &s.resumed.Continuation, nil
	}
	return all
}

// endpoints returns the services of this process that the build can reach.
func (s *Session) endpoints() []runner.Endpoint {
	if s.credentials == nil {
		return nil
	}
	return []runner.Endpoint{s.credentials}
}

// openProgram opens this program for Linux on an architecture.
func (h *Host) openProgram(architecture string) (fs.File, error) {
	name, err := h.Program(architecture)
	if err != nil {
		return nil, err
	}
	return regular.Open(name)
}

// hostFS opens a directory of the host, for the computation of cache keys.
func hostFS(dir string) fs.FS { return regular.FS(dir, runner.MaxHashedFile) }

// leave writes the results of a build and removes old builds. The page only repeats other
// files, so an error in it does not fail the build.
func (s *Session) leave(record *runner.Record) error {
	in, h, r := s.inputs, s.inputs.host, s.inputs.Request
	// The record is first: with it the build counts as ended, even if the rest fails.
	errs := []error{finish(s.Dir, record)}
	written := make(chan error, 1)
	go func() { written <- s.writePage(record) }() // nothing below changes what the page has
	if record.Status == runner.Succeeded {
		errs = append(errs, h.writeExported(r.Variables.Exported, record.Exported))
	}
	errs = append(errs, h.copyArtifacts(s.Dir, s.destinations), in.Builds.Prune(r.Output.KeepBuilds))
	index := s.writeIndex(record) // after old builds are removed
	if err := <-written; err != nil {
		h.Warnf("warning: %v; run buildlocal report --html to try again", err)
	}
	if index != nil {
		h.Warnf("warning: %v", index)
	}
	return errors.Join(errs...)
}

// writePage writes the page from the reports in memory: parsing coverage files again could
// take longer than the build.
func (s *Session) writePage(record *runner.Record) error {
	set := s.reports
	if set == nil {
		var err error
		if set, err = reports.ReadSet(s.Dir.Path); err != nil {
			return err
		}
	}
	p := Page{
		Store: s.inputs.Builds, Build: &s.Dir.Build, Reports: set, SourceDir: s.inputs.Request.SourceDir(),
		record: record, earlier: s.earlier,
	}
	return p.WriteFile(filepath.Join(s.Dir.Path, console.PageName))
}

// sourceFiles returns a function that lists the files of the source. If it will be
// called for sure, the files are listed while the build starts: files that are edited
// during the build belong to the source of the next one.
func (in *Inputs) sourceFiles(ctx context.Context, sure bool) func() ([]string, string) {
	list := sync.OnceValues(func() ([]string, string) { return in.Source.Fingerprint(ctx) })
	if sure {
		go list()
	}
	return list
}

// earlierReports returns the reports of a project's builds before one with a number, the
// newest first.
func earlierReports(s *builds.Store, project string, number int) iter.Seq[*reports.Set] {
	return func(yield func(*reports.Set) bool) {
		for _, b := range s.All() {
			if b.Number >= number {
				continue
			}
			set, err := reports.ReadSet(b.Path)
			if err == nil && set.Project == project && len(set.Reports) > 0 && !yield(set) {
				return
			}
		}
	}
}

// lastImage returns a function that finds the environment and the name of the newest
// build with the same image before one with a number.
func lastImage(s *builds.Store, number int) func(image string) (runner.Environment, string) {
	return func(image string) (runner.Environment, string) {
		for _, b := range s.All() {
			var r runner.Record
			if b.Number >= number || b.ReadRecord(&r) != nil {
				continue
			}
			if r.Environment.Image == image && r.Environment.ImageID != "" {
				return r.Environment, b.Name
			}
		}
		return runner.Environment{}, ""
	}
}

// pace returns the time that a script takes on the host, to compare it with a container.
// It is 0 if the script fails.
func (h *Host) pace(ctx context.Context, script string) time.Duration {
	began := h.Now()
	if err := exec.CommandContext(ctx, "sh", "-c", script).Run(); err != nil {
		return 0
	}
	return h.Now().Sub(began)
}
