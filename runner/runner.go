package runner

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/secrets"
)

// Why a build's context may end, besides errors of the caller.
var (
	ErrStopped    = errors.New("the build was stopped")           // Ctrl-C
	ErrTerminated = errors.New("the build was told to terminate") // SIGTERM
	ErrTimedOut   = errors.New("the build's time is up")
)

// timedOut is how the service says so (observed).
const timedOut = "Build has timed out."

// closeLimit bounds FINALIZING; stopGrace is how long a command may take to end
// once the build is stopped.
const (
	closeLimit = time.Minute
	stopGrace  = 2 * time.Second
)

// Runner carries plans out. Notify and Store may be nil.
type Runner struct {
	Engine engine.Engine
	Store  secrets.Store
	Notify func(Event) // called for one event at a time
	Now    func() time.Time
	Nonce  string            // unguessable, letters and digits
	Name   string            // base of the names of what the engine makes
	Labels map[string]string // put on all of it
	Temp   string            // an existing directory of the host
	Out    string            // an existing directory of the host, for what the build leaves
	Keep   bool              // the container outlives the build
	Hurry  <-chan struct{}   // closed when a build that is stopped need not wait for its commands; may be nil
	// Credentials, when not nil, are what the build gets of the user's.
	Credentials *Credentials
	// Program returns the file of this program for Linux on an architecture, which does
	// some commands inside; nil where it is not known.
	Program func(architecture string) (string, error)
	// Volumes are kept for the modes of a LOCAL cache, see LocalModes and LocalPath.
	Volumes []engine.Volume
	// OpenCache opens the store of files that are kept between builds, which tells what
	// is wrong with it by say; nil for none. CacheScope says whose they are.
	OpenCache  func(say func(string, ...any)) (cache.Store, error)
	CacheScope string
	NativeArch string // of containers where nothing else is said, such as amd64
	CacheInS3  bool   // the log tells it as the service does
	// ReportLimits are how much of each report is kept.
	ReportLimits reports.Limits
	// SourceFiles returns the files of the source, slash-separated below it, and a print
	// that is another one when the source has changed; nil where they are not known.
	SourceFiles func() (names []string, print string)
	// Earlier has the reports of earlier builds of the project, the newest first; nil where
	// there are none.
	Earlier iter.Seq[*reports.Set]
	// Nested starts the Docker engine that an image has in a privileged build: the
	// container's network is its own.
	Nested bool
	// Pace returns how long this machine takes for a script; 0 where it cannot be told.
	Pace func(ctx context.Context, script string) time.Duration
	// LastImage returns what the build before had of the same image, by its name: its ID
	// and digest, and a name of the build; nil where that is not known.
	LastImage func(image string) (last Environment, build string)
	// RootSource makes the source root's inside: its owner on the host is not.
	RootSource bool
}

// Run runs one build. A failed build is a Record, not an error; an error is what
// the engine or the machine could not do, and then the Record's status is FAULT.
func (r *Runner) Run(ctx context.Context, p *Plan) (*Record, error) {
	b := &build{Runner: r, plan: p, mask: secrets.NewMask(), sessions: map[string]*shell.Session{}}
	b.values = make([]string, len(p.Variables))
	b.record = &Record{
		ID: p.Identity.BuildID(), ARN: p.Identity.ARN(), Number: p.Identity.Number, Project: p.Identity.Project,
		Start: p.Identity.Start, Status: Succeeded, Initiator: p.Identity.Initiator,
		SourceVersion: p.Sources[0].Version, ResolvedVersion: p.Sources[0].Resolved, TimeoutMinutes: p.Timeout.Minutes(),
		Environment: Environment{Image: p.Image, Type: p.EnvironmentType, Privileged: p.Privileged, Place: p.Place},
	}
	b.out = b.mask.Writer(printer{b})
	b.notify(Event{Kind: BuildBegan, Plan: p})
	for _, s := range p.Sources {
		if s.Note != "" {
			b.note("%s", s.Note)
		}
	}
	for _, text := range p.Notes {
		b.note("%s", text)
	}
	if p.Grant != "" {
		b.note("The build gets AWS credentials: %s.", p.Grant)
	}
	if text := project.DeprecatedImage(p.Image); text != "" {
		b.note("%s", text)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.Timeout, ErrTimedOut)
	defer cancel()
	b.walk(ctx)
	b.closeCache()
	return b.end()
}

// build is a plan being carried out.
type build struct {
	*Runner
	plan      *Plan
	record    *Record
	values    []string // of the plan's variables, looked up
	told      sync.Map // notes that are told once
	manifest  artifacts.Manifest
	reports   *reports.Set
	reported  map[string]bool   // files that a group of reports has, by reportKey
	foreseen  *foreseen         // what of it is mounted; nil for nothing
	cacheKeys map[string]string // of the cache, as far as they could be foreseen, expanded
	store     cache.Store       // nil where nothing is kept between builds
	cached    *cached           // nil for none
	failed    error             // what the engine or the machine could not do
	missed    error             // values that could not be had, told in DOWNLOAD_SOURCE

	container engine.Container
	image     engine.Image              // where the engine tells it
	meter     *meter                    // nil where nothing is measured
	elsewhere string                    // where credentials are served, if not at their address
	sessions  map[string]*shell.Session // by user; "" is root

	mu    sync.Mutex // held while an event is told
	phase PhaseType
	mask  *secrets.Mask
	out   *secrets.Writer // what commands print, on its way to the mask
	tail  []byte          // the last that was printed
}

// row is one row of the order of phases: what it does, and what follows.
type row struct {
	phase      PhaseType
	do         func(*build, context.Context) result
	then, fail PhaseType
}

// result is how a phase ended. The zero value is success.
type result struct {
	status  Status
	context Context
	next    PhaseType // when it is not the row's
}

// rows is the order of the phases as it was observed: after a failed BUILD
// POST_BUILD runs, after a failed INSTALL or PRE_BUILD nothing does.
var rows = []row{
	{Submitted, (*build).submit, Queued, Queued},
	{Queued, (*build).queue, Provisioning, DownloadSource}, // a missing value is told there
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
	next := Submitted
	for _, row := range rows {
		if row.phase != next {
			continue
		}
		next = b.step(ctx, row)
	}
	b.record.CurrentPhase = Completed
	now := b.Now()
	b.record.Phases = append(b.record.Phases, PhaseRecord{Type: Completed, Start: now})
}

// step carries out one row and returns the phase that follows.
func (b *build) step(ctx context.Context, row row) PhaseType {
	began := b.Now()
	b.setPhase(row.phase)
	b.notify(Event{Kind: PhaseBegan})
	window := b.meter.open(ctx)
	res := row.do(b, ctx)
	used := b.meter.close(ctx, window)
	if res.status == "" {
		res.status = Succeeded
	}
	res.context.Message = b.mask.Text(res.context.Message)
	b.endPhase(began, res, used)
	b.judge(res.status)
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
	return Finalizing // stopped, timed out or a fault
}

// judge makes a phase's status count for the build: the first that is no success
// stays, but for a stop, a fault or a timeout.
func (b *build) judge(s Status) {
	if s != Succeeded && (b.record.Status == Succeeded || b.record.Status == Failed) {
		b.record.Status = s
	}
}

func (b *build) setPhase(p PhaseType) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.phase, b.record.CurrentPhase = p, p
}

func (b *build) endPhase(began time.Time, res result, used *Used) {
	ended := b.Now()
	b.record.Phases = append(b.record.Phases, PhaseRecord{
		Type: b.phase, Status: res.status, Start: began, End: ended, Duration: ended.Sub(began),
		Seconds: int64(ended.Sub(began).Seconds()), Contexts: []Context{res.context}, Used: used,
	})
	b.notify(Event{Kind: PhaseEnded, Status: res.status, Context: res.context, Duration: ended.Sub(began)})
}

func (b *build) end() (*Record, error) {
	r := b.record
	r.End, r.Complete = b.Now(), true
	r.Environment.Variables = b.environment()
	if b.failed != nil {
		r.Status = Fault
	}
	b.notify(Event{Kind: BuildEnded, Status: r.Status, Duration: r.End.Sub(r.Start), Record: r})
	if b.failed == nil {
		return r, nil
	}
	return r, &maskedError{b.failed, b.mask}
}

// maskedError hides what is secret in the message of an error.
type maskedError struct {
	error
	mask *secrets.Mask
}

// Error returns the message with the values hidden.
func (e *maskedError) Error() string { return e.mask.Text(e.error.Error()) }

// Unwrap returns the error behind it.
func (e *maskedError) Unwrap() error { return e.error }

// notify tells an event. Text is masked here, once for all who listen.
func (b *build) notify(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(e)
}

func (b *build) tell(e Event) {
	if b.Notify == nil {
		return
	}
	e.Time, e.Phase = b.Now(), b.phase
	e.Text, e.Place, e.Why = b.mask.Text(e.Text), b.mask.Text(e.Place), b.mask.Text(e.Why)
	b.Notify(e)
}

// say tells a line of the service's agent, note one the service would not write.
func (b *build) say(format string, args ...any) {
	b.notify(Event{Kind: Said, Text: fmt.Sprintf(format, args...)})
}

func (b *build) note(format string, args ...any) {
	b.notify(Event{Kind: Noted, Text: fmt.Sprintf(format, args...)})
}

// Write takes what commands print, as it comes.
func (b *build) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

// flush tells what the mask holds back: the command has ended.
func (b *build) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.out.Flush()
}

// tailLimit is how much of the last output is kept, in bytes.
const tailLimit = 4 << 10

// lastPrinted returns the end of what was printed, without what is masked.
func (b *build) lastPrinted() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.tail)
}

// keep notes the end of what was printed; the build's lock is held.
func (b *build) keep(text []byte) {
	b.tail = append(b.tail, text[max(0, len(text)-tailLimit):]...)
	if over := len(b.tail) - tailLimit; over > 0 {
		b.tail = append(b.tail[:0], b.tail[over:]...)
	}
}

// forget begins a new command's output.
func (b *build) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tail = b.tail[:0]
}

// printer tells masked output; the build's lock is held.
type printer struct{ b *build }

func (p printer) Write(text []byte) (int, error) {
	p.b.keep(text)
	if p.b.Notify != nil {
		p.b.Notify(Event{Kind: Printed, Time: p.b.Now(), Phase: p.b.phase, Output: text})
	}
	return len(text), nil
}

// ended returns how a phase ends whose context did: stopped or timed out.
func ended(ctx context.Context) (result, bool) {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return result{}, false
	case errors.Is(cause, ErrTimedOut):
		return result{status: TimedOut, context: Context{TimeoutError, timedOut}, next: Finalizing}, true
	}
	return result{status: Stopped, next: Finalizing}, true
}

// fault ends a phase for what the engine or the machine could not do.
func (b *build) fault(ctx context.Context, code string, err error) result {
	if res, over := ended(ctx); over {
		return res
	}
	b.failed = errors.Join(b.failed, err)
	return result{status: Fault, context: Context{code, err.Error()}, next: Finalizing}
}
