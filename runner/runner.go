package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/secrets"
)

// Causes with which a build's context may end, apart from errors of the caller.
var (
	ErrStopped    = errors.New("the build was stopped")    // Ctrl-C
	ErrTerminated = errors.New("the build was terminated") // SIGTERM
	ErrTimedOut   = errors.New("the build's time is up")
)

// timedOut is the service's message for a timeout (observed).
const timedOut = "Build has timed out."

const (
	closeTimeout = time.Minute     // of FINALIZING
	stopGrace    = 2 * time.Second // in which a command may end after the build was stopped
)

// Runner runs builds. Its fields are not changed by a build, so that several builds may
// share one if the engine and the stores allow it. Fields without a comment are required.
type Runner struct {
	Engine engine.Engine
	Store  secrets.Store // nil for a build without values in a store
	Notify func(Event)   // called for one event at a time; may be nil
	Now    func() time.Time
	Nonce  string            // unguessable, letters and digits
	Name   string            // unique; the base of the names of the engine's resources
	Labels map[string]string // of all resources of the engine
	Temp   string            // an existing directory of the host for temporary files
	Out    string            // an existing directory of the host for artifacts and reports
	Keep   bool              // the container outlives the build
	Hurry  <-chan struct{}   // closed if a stop must not wait for commands; may be nil

	// Endpoints are services of this program for processes of the build.
	Endpoints []Endpoint
	// Program opens this program for Linux on an architecture. The build runs it for
	// GlobSearch and HashFiles. It may be nil.
	Program func(architecture string) (fs.File, error)
	// HostFS opens a directory of the host for reading, to compute cache keys before the
	// container exists and to search a mounted source for reports. It is the only way in
	// which a build reads files of the host. If it is nil, both are done in the container.
	HostFS func(dir string) fs.FS
	// Volumes are kept for the modes of a LOCAL cache, see LocalModes and LocalPath.
	Volumes []engine.Volume
	// OpenCache opens the store of the buildspec's cache. The store reports damaged
	// entries with warnf. It is nil if nothing is cached.
	OpenCache  func(warnf func(string, ...any)) (cache.Store, error)
	CacheScope string // owner of the caches: a project, or a namespace that projects share
	NativeArch string // architecture of containers without a platform, such as amd64
	CacheInS3  bool   // the store is S3: the log has the service's lines for it
	// ReportLimits limit the parts of each report that are kept.
	ReportLimits reports.Limits
	// TolerateBadReports continues a build whose report files the service refuses.
	TolerateBadReports bool
	// SourceFiles returns the slash-separated names of the source's files, and a
	// fingerprint that changes with the source. It is nil if they are not known.
	SourceFiles func() (names []string, print string)
	// Earlier yields the reports of earlier builds of the project, newest first. It may
	// be nil.
	Earlier iter.Seq[*reports.Set]
	// Nested starts the image's Docker engine in a privileged build. It requires that the
	// container has a network of its own.
	Nested bool
	// Pace returns the duration of a shell script on the host, 0 if it is unknown. It may
	// be nil.
	Pace func(ctx context.Context, script string) time.Duration
	// LastImage returns the environment of the last build with an image, and that build's
	// name. It may be nil.
	LastImage func(image string) (last Environment, build string)
	// Instead returns images that the build could use instead of one that the engine did not get,
	// the nearest first, and a hint. It may be nil.
	Instead func(ctx context.Context) (images []string, hint string)
	// Describe adds facts that only the caller knows to the record of a build that has ended,
	// such as its commit. They are masked after it. It may be nil.
	Describe func(*Record)
	// Key returns a keyed hash of a secret, see EnvironmentVariable.Hash. It may be nil.
	Key func(text string) string
	// Pause is called at each stop point, see Stop. The build waits until it returns. Calls may
	// overlap while a command runs. It may be nil, and costs nothing then.
	Pause func(ctx context.Context, s Stop, live *Live) Answer
	// OnLive is called once, when the container exists and before anything runs in it. It may be
	// nil.
	OnLive func(*Live)
	// KeepFailed stores the state of a build that ends at a failed command. Nothing is kept if it
	// returns an error; else the files of the container stay in Temp and in the engine, see
	// engine.Preserver. A text for which isSecret is true must not be stored. It may be nil.
	KeepFailed func(state KeptFailure, isSecret func(text string) bool) error
	// Continue is the build that goes on; nil for one that begins. It needs Pause.
	Continue *Continuation
	// Checkpoint is called after each phase of which a snapshot may be taken. Its error is a note. It
	// may be nil, and costs nothing then.
	Checkpoint func(ctx context.Context, c *Checkpoint) error
	// Restore is the snapshot with which the build begins, whose phases are in Plan.Restored; nil for
	// none.
	Restore *Restoration
	// Observe records which files of the primary source each phase opens, as far as the engine can.
	Observe bool
	// RootSource gives the source to root in the container, whose owner on the host
	// differs.
	RootSource bool
}

// Run runs one build. A build that fails is a Record, not an error. The error is a fault
// of the engine or the host; the Record then has the status FAULT.
func (r *Runner) Run(ctx context.Context, p *Plan) (*Record, error) {
	b := newBuild(r, p)
	b.rec.notify(Event{Kind: BuildBegan, Plan: p})
	for _, s := range p.Sources {
		if s.Note != "" {
			b.rec.note("%s", s.Note)
		}
	}
	for _, text := range p.Notes {
		b.rec.note("%s", text)
	}
	if p.Grant != "" {
		b.rec.note("The build gets AWS credentials: %s.", p.Grant)
	}
	if text := project.DeprecatedImage(p.Image); text != "" {
		b.rec.note("%s", text)
	}
	if p.Restored != nil && p.Restored.Forced {
		b.byHand(HandForce, "", p.Restored.Build)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	b.stop = stop
	b.limit = newTimeLimit(p.Timeout, r.Now, func() { b.timeIsUp(ctx) })
	defer b.limit.end()
	b.walk(ctx)
	b.noteBreakpoints()
	b.cache.close()
	usage := b.meter.usage(p.Identity.Start)
	b.rec.update(func(r *Record) {
		r.Usage, r.Paused = usage, b.limit.paused().Milliseconds()
		if b.Describe != nil {
			b.Describe(r)
		}
	})
	var fault error
	if b.engineErr != nil {
		fault = b.rec.maskError(b.engineErr)
	}
	return b.rec.finish(b.environment(), fault), fault
}

// build is one run of a plan: the container and the walk over the phases. The other
// fields are parts that own their state; none of them changes another.
type build struct {
	*Runner
	plan      *Plan
	rec       *recorder
	values    variableValues
	shells    *shellState
	endpoints *endpoints
	cache     *cacheStep
	artifacts *artifactStep
	reports   *reportStep
	image     *imageCheck
	docker    *nestedDocker

	stop  context.CancelCauseFunc // ends the build
	limit *timeLimit
	debugState

	restoration *Restoration // the snapshot that the container has; nil without one
	rewound     bool         // the container is not the first one

	container  engine.Container // nil before PROVISIONING
	observer   observer
	meter      *meter // nil if the engine does not measure
	secretsErr error  // values that are missing; reported in DOWNLOAD_SOURCE
	engineErr  error  // faults of the engine or the host
}

func newBuild(r *Runner, p *Plan) *build {
	rec := newRecorder(r, p)
	shells, values := newShellState(r, p, rec), variableValues{}
	files := &collector{Runner: r, plan: p, rec: rec, shells: shells}
	b := &build{
		Runner: r, plan: p, rec: rec, values: values, shells: shells,
		endpoints: newEndpoints(r.Endpoints, rec),
		cache:     &cacheStep{Runner: r, plan: p, rec: rec, shells: shells, values: values, files: files},
		artifacts: &artifactStep{plan: p, rec: rec, shells: shells, files: files},
		reports:   &reportStep{Runner: r, plan: p, rec: rec, shells: shells, values: values, files: files},
		image:     &imageCheck{Runner: r, plan: p, rec: rec},
		docker:    &nestedDocker{Runner: r, plan: p, rec: rec},
	}
	b.script, b.live, b.suspends, b.restoration = p, newLive(b), make(chan *call, 1), r.Restore
	b.idle.Lock()
	return b
}

// row is one phase of a build and the phases that may follow it.
type row struct {
	phase      PhaseType
	run        func(*build, context.Context) result
	then, fail PhaseType // after success, and after FAILED
}

// result is the end of a phase. The zero value is success.
type result struct {
	status  Status
	context Context
	next    PhaseType     // if it differs from the row's
	problem *diag.Problem // position in the buildspec; nil if unknown
	hints   []string      // next steps, see Event.Hints; only with a problem
}

// rows is the order of phases (observed): POST_BUILD runs after a failed BUILD; no phase
// with commands runs after a failed INSTALL or PRE_BUILD. A missing secret skips
// PROVISIONING and is reported in DOWNLOAD_SOURCE.
var rows = []row{
	{Submitted, (*build).submit, Queued, Queued},
	{Queued, (*build).queue, Provisioning, DownloadSource},
	{Provisioning, (*build).provision, DownloadSource, Finalizing},
	{DownloadSource, (*build).download, Install, Finalizing},
	{Install, (*build).commands, PreBuild, Finalizing},
	{PreBuild, (*build).commands, Build, Finalizing},
	{Build, (*build).commands, PostBuild, PostBuild},
	{PostBuild, (*build).commands, UploadArtifacts, UploadArtifacts},
	{UploadArtifacts, (*build).upload, Finalizing, Finalizing},
	{Finalizing, (*build).finalize, Completed, Completed},
}

func (b *build) walk(ctx context.Context) {
	for next := Submitted; next != Completed; {
		at := slices.IndexFunc(rows, func(r row) bool { return r.phase == next })
		next = b.step(ctx, rows[at])
	}
	b.rec.complete()
}

// step runs one phase and returns the next one. After a stop, a timeout or a fault only
// FINALIZING follows.
func (b *build) step(ctx context.Context, row row) PhaseType {
	if b.plan.Restores(row.phase) {
		b.rec.restored(row.phase)
		return row.then
	}
	if b.plan.LeavesOutPhase(row.phase) {
		b.rec.leaveOut(row.phase)
		return row.then
	}
	if b.continues() && row.phase != Finalizing {
		return b.reach(ctx, row)
	}
	began := b.beginPhase(row.phase)
	window := b.meter.open(ctx)
	res := row.run(b, ctx)
	used := b.meter.close(ctx, window)
	if res.status == "" {
		res.status = Succeeded
	}
	b.rec.endPhase(began, res, b.plan.explainPhase(res), used)
	b.checkpoint(ctx, row, res)
	switch {
	case res.next != "":
		return res.next
	case res.status == Succeeded:
		return row.then
	case res.status == Failed:
		return row.fail
	case row.phase == Finalizing:
		return Completed
	}
	return Finalizing
}

// beginPhase makes a phase the current one and returns the time at which it began. The phase in
// which a build goes on has begun before.
func (b *build) beginPhase(phase PhaseType) time.Time {
	if b.resume != nil {
		b.rec.enter(phase)
		return b.resume.began()
	}
	return b.rec.beginPhase(phase)
}

// ended returns the result of a phase whose context is done: stopped or timed out.
func ended(ctx context.Context) (result, bool) {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return result{}, false
	case errors.Is(cause, ErrTimedOut):
		return result{status: TimedOut, context: Context{TimeoutError, timedOut}, next: Finalizing}, true
	}
	return result{status: Stopped, next: Finalizing}, true
}

// fault returns the result of a phase that failed because of the engine or the host.
func (b *build) fault(ctx context.Context, code string, err error) result {
	if res, done := ended(ctx); done {
		return res
	}
	message := human.ErrorText(err)
	if why := b.whyEnded(ctx); why != nil {
		err = why
		message = "Build container found dead before completing the build: " + human.ErrorText(err)
	}
	b.engineErr = errors.Join(b.engineErr, err)
	return result{status: Fault, context: Context{code, message}, next: Finalizing}
}

// maxStateTime is how long an engine may take to explain the end of a container.
const maxStateTime = 10 * time.Second

// whyEnded returns why the container no longer runs, as far as the engine knows, or nil.
func (b *build) whyEnded(ctx context.Context) error {
	container, able := b.container.(engine.Mortal)
	if !able {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxStateTime)
	defer cancel()
	return container.WhyEnded(ctx)
}

// exitTimeout is how long a shell may take to exit before it is killed.
const exitTimeout = time.Second

// exitShell lets the main process of the container exit. A Docker daemon takes about 50 ms
// longer to kill it, because it starts another program for that.
func (b *build) exitShell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, exitTimeout)
	defer cancel()
	b.shells.root().Exit(ctx)
}

// finalize removes the container. The build's timeout does not apply to it.
func (b *build) finalize(ctx context.Context) result {
	if b.container == nil {
		return result{}
	}
	b.observer.end()
	b.pause(ctx, Stop{Reason: BeforeEnd, At: PlaceEnd})
	if b.Keep && b.engineErr == nil {
		b.rec.update(func(r *Record) { r.Kept = true })
		number := b.plan.Identity.Number
		b.rec.note("Container kept: buildlocal shell %d opens a shell in it; buildlocal prune %d removes it.", number, number)
		return result{}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	b.meter.end()
	if b.continues() {
		return b.ok(ctx, b.giveUp(ctx))
	}
	if b.keepFailed(ctx) {
		return result{}
	}
	b.docker.stop(ctx, b.container)
	b.live.container.Store(nil) // first: processes that end now have ended with the container
	b.exitShell(ctx)
	if err := b.container.Close(ctx); err != nil {
		err = fmt.Errorf("remove the build's container: %w", err)
		b.engineErr = errors.Join(b.engineErr, err)
		return result{status: Fault, context: Context{Message: human.ErrorText(err)}}
	}
	return result{}
}
