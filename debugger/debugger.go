// Package debugger stops a build at breakpoints and failures, and lets the user look into it,
// change it and go on.
//
// A [Debugger] is asked by the runner at each stop point. It owns the breakpoints and knows where
// the build waits; everything else, such as a prompt on a terminal, is a front end without state:
// it shows a stop and returns an answer. Several front ends can be open at once. The runner records
// the changes that a user makes.
package debugger

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/control"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

// DefaultWait is how long a stop waits for an answer without a front end.
const DefaultWait = 30 * time.Minute

// Options configure a Debugger.
type Options struct {
	Where []runner.Where
	Step  bool // stop before every command
	// Wait is how long a stop waits for an answer; 0 for DefaultWait, and without a limit while a
	// prompt is open.
	Wait time.Duration
	Now  func() time.Time
	// Build is the name of the build, such as 12-1a2b3c4d, and Project that of its project.
	Build, Project string
	// Ran are the places of commands that have succeeded already, for the list of commands.
	Ran []string
	// Alone is called when a stop begins to wait without a prompt. It may be nil.
	Alone func(s runner.Stop, limit time.Duration)
	// Drain returns when everything that the build has printed so far is shown. It may be nil.
	Drain func()

	// Reload reads the buildspec again and returns a plan with its commands. The error has all
	// problems. It may be nil.
	Reload func(ctx context.Context) (*runner.Plan, error)
	// Save returns the buildspec with another text for a command, as a change to confirm. It may
	// be nil.
	Save func(at runner.Place, text string) (Change, error)
	// Sync copies the files of the source that have changed into the build. It may be nil.
	Sync func(ctx context.Context, live *runner.Live) (control.SyncReport, error)
	// Rewind returns a snapshot of a phase before another one, and the phases that are over in it. It
	// may be nil.
	Rewind func(before runner.PhaseType) (*runner.Restoration, []runner.PhaseType, error)
	// CanRewind reports at once whether the build has a snapshot. It may be nil.
	CanRewind func() bool
	// Explain explains the failure of the last command. With wait it waits for facts that are still
	// looked up. The line sums up the changes since the last green build. It returns nil if it
	// does not know more than the stop. It may be nil.
	Explain func(live *runner.Live, wait bool) (view *console.ExplainView, line string)
	// History keeps the lines that users type. It may be nil.
	History History
	// Editor runs an editor for a file on the terminal of this process. It may be nil.
	Editor func(ctx context.Context, file string) error
	// TempDir is for files that are edited.
	TempDir string
}

// Change is a change of a file of the user that has not been made.
type Change struct {
	Diff  string
	Apply func() error
}

// History stores lines for the next session. Errors are not reported: a lost line does not matter.
type History interface {
	Load() []string
	Append(line string)
}

// Debugger decides where a build stops. Its methods may be called concurrently.
type Debugger struct {
	Options

	mu     sync.Mutex // guards the fields below
	plan   *runner.Plan
	live   *runner.Live
	breaks []Break
	// lastBreak is the last number of a breakpoint. Numbers are not used twice, because front ends
	// remember those of their breakpoints.
	lastBreak int
	step      bool            // stop before the next command
	depth     int             // of the deepest statement at which the build stops
	until     map[string]bool // places where the build stops once
	begun     bool            // a command has been reached
	stops     []*stopped      // the oldest first; the front ends show that one
	turn      chan struct{}   // closed when the stops or the holder change
	holder    *holder         // the front end that has the prompt; nil without one
	guests    int             // front ends without a prompt that may answer
	ended     bool
	cancel    func() // ends the command that a front end runs beside the build; nil without one
	shells    int    // that were opened
	// texts are those that the user gave commands, by place; lastEdit is the last such place.
	lastEdit string
	texts    map[string]string
	done     []step            // commands that have run, for the list
	trials   int               // interrupts of the running command
	own      map[string]string // the container's variables without the build; nil until they are needed
}

// stopped is a stop that waits for an answer.
type stopped struct {
	runner.Stop
	since  time.Time
	answer chan answered
	closed bool           // an answer was given
	by     string         // who gave it
	hits   []int          // the breakpoints that are the reason
	users  sync.WaitGroup // front ends that show it
}

// leaveTimeout is how long a build waits for a prompt to leave its terminal after another one has
// answered, for example until a shell has been ended.
const leaveTimeout = 5 * time.Second

// left waits until no front end shows the stop.
func (w *stopped) left() {
	done := make(chan struct{})
	go func() {
		w.users.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(leaveTimeout):
	}
}

// answered is an answer and who gave it.
type answered struct {
	runner.Answer
	by string
}

// step is a command that was reached, and how it ended.
type step struct {
	at     string
	exit   int
	failed bool
}

// New returns a debugger for a plan. The caller has checked that the plan has the
// breakpoints. The notes are for the user, about breakpoints that were moved.
func New(p *runner.Plan, o Options) (d *Debugger, notes []string) {
	d = &Debugger{
		Options: o, plan: p, step: o.Step, until: map[string]bool{}, turn: make(chan struct{}), texts: map[string]string{},
	}
	for _, at := range o.Ran {
		d.done = append(d.done, step{at: at})
	}
	for _, w := range o.Where {
		at, note, _ := p.Resolve(w)
		if note != "" {
			notes = append(notes, "--break "+note)
		}
		d.breaks = append(d.breaks, Break{ID: len(d.breaks) + 1, Where: w, At: at})
	}
	return d, notes
}

// Pause implements runner.Runner.Pause.
func (d *Debugger) Pause(ctx context.Context, s runner.Stop, live *runner.Live) runner.Answer {
	d.mu.Lock()
	d.live = live
	d.mu.Unlock()
	chosen, hits := d.stopsAt(ctx, s, live)
	if !chosen {
		return runner.Answer{Action: runner.ActionContinue, Into: s.Reason == runner.AtStatement}
	}
	w := &stopped{Stop: s, since: d.Now(), answer: make(chan answered, 1), hits: hits}
	live.Notify(runner.Event{Kind: runner.StoppedAt, Stop: &s, At: s.At, Line: s.Line, Text: s.Text, Finally: s.Finally,
		Attempt: s.Attempt, Exit: s.Exit, Why: string(s.Reason)})
	if d.Drain != nil {
		d.Drain()
	}
	d.change(func() { d.stops = append(d.stops, w) })
	a := d.wait(ctx, w)
	d.change(func() {
		w.closed, w.by = true, a.by
		if last := len(d.done) - 1; last >= 0 && a.Action != runner.ActionContinue {
			d.done[last].failed = false // if it fails again, the next stop says so
		}
		d.stops = slices.DeleteFunc(d.stops, func(other *stopped) bool { return other == w })
	})
	w.left()
	live.Notify(runner.Event{Kind: runner.Resumed, Answer: a.Action, Text: a.by, At: s.At})
	return a.Answer
}

// wait waits for the answer to a stop. Without one the build goes on as its buildspec says.
func (d *Debugger) wait(ctx context.Context, w *stopped) answered {
	var timer *time.Timer
	var over <-chan time.Time
	told := false
	for {
		d.mu.Lock()
		alone, turn := d.holder == nil && d.guests == 0, d.turn
		d.mu.Unlock()
		limit := d.Wait
		if limit == 0 && alone {
			limit = DefaultWait
		}
		switch {
		case limit == 0 && timer != nil:
			timer.Stop()
			timer, over = nil, nil
		case limit > 0 && timer == nil:
			timer = time.NewTimer(limit)
			over = timer.C
		}
		if alone && !told && d.Alone != nil {
			d.Alone(w.Stop, limit)
		}
		told = alone
		select {
		case a := <-w.answer:
			return a
		case <-ctx.Done(): // the build ended, or codebuild-resume ran
			by := ""
			if w.Reason == runner.AtBreakpoint && context.Cause(ctx) == context.Canceled {
				by = "codebuild-resume"
			}
			return answered{Answer: runner.Answer{Action: runner.ActionContinue}, by: by}
		case <-over:
			return answered{Answer: runner.Answer{Action: runner.ActionContinue}, by: "the end of the wait"}
		case <-turn:
		}
	}
}

// change changes the state and wakes the goroutines that wait for a change.
func (d *Debugger) change(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	close(d.turn)
	d.turn = make(chan struct{})
}

// note keeps how commands have ended, for the list of commands.
func (d *Debugger) note(s runner.Stop) {
	switch {
	case s.Reason == runner.BeforeCommand:
		d.trials = 0
		d.done = append(d.done, step{at: s.At})
	case s.Failed() && len(d.done) > 0:
		last := &d.done[len(d.done)-1]
		last.failed, last.exit = true, s.Exit
	}
}

// Interrupt ends the running command after Ctrl-C, so that the build stops at it. It returns false
// if the build should be stopped instead: if no command runs, and at the second Ctrl-C.
func (d *Debugger) Interrupt(ctx context.Context) bool {
	d.mu.Lock()
	if d.cancel != nil {
		d.cancel()
		d.mu.Unlock()
		return true
	}
	live, waits := d.live, len(d.stops) > 0
	d.trials++
	first := d.trials == 1
	d.mu.Unlock()
	if live == nil || waits || !first {
		return false
	}
	return live.Interrupt(ctx)
}

// Current returns the stop that waits for an answer, and since when. It is nil if the build runs.
func (d *Debugger) Current() (*runner.Stop, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.stops) == 0 {
		return nil, time.Time{}
	}
	s := d.stops[0].Stop
	return &s, d.stops[0].since
}

// Answer answers the current stop, for a front end with a name.
func (d *Debugger) Answer(a runner.Answer, by string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.stops) == 0 {
		return fmt.Errorf("the build is not stopped")
	}
	return d.give(d.stops[0], answered{a, by})
}

// reply answers a stop for a front end, and changes the state of the debugger with the answer. An answer
// that comes too late changes nothing: it must neither count for the next stop nor make the build stop where
// the front end that was faster does not expect it. change may be nil.
func (d *Debugger) reply(w *stopped, a answered, change func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.give(w, a); err != nil {
		return err
	}
	if change != nil {
		change()
	}
	return nil
}

// give passes an answer to a stop. The lock is held.
func (d *Debugger) give(w *stopped, a answered) error {
	switch err := fits(w.Stop, a.Action); {
	case w.closed && w.by != "":
		return fmt.Errorf("the build has gone on: continued by %s", w.by)
	case w.closed:
		return fmt.Errorf("the build has gone on")
	case err != nil:
		return err
	}
	w.closed, w.by = true, a.by
	w.answer <- a
	return nil
}

// fits returns an error for an action that makes no sense at a stop.
func fits(s runner.Stop, action runner.Action) error {
	command := s.Reason == runner.BeforeCommand || s.Failed()
	switch {
	case action == runner.ActionRetry && !command, action == runner.ActionSkip && !command:
		return fmt.Errorf("%s is for a command, and the build is %s", action, Describe(s))
	case action == runner.ActionIgnore && !s.Failed() && s.Reason != runner.AtTimeout:
		return fmt.Errorf("ignore is for a command that failed, and the build is %s", Describe(s))
	case action == runner.ActionGoto && s.Reason != runner.AfterPhase && !command:
		return fmt.Errorf("goto is for the time between two commands, and the build is %s", Describe(s))
	}
	return nil
}

// Describe returns where a build is stopped, as a part of a sentence.
func Describe(s runner.Stop) string {
	switch s.Reason {
	case runner.BeforeCommand:
		return "before " + s.At
	case runner.AfterFailure:
		return "at the failure of " + s.At
	case runner.Interrupted:
		return "at " + s.At + ", which was interrupted"
	case runner.AtBreakpoint:
		return fmt.Sprintf("in codebuild-breakpoint of %s", s.At)
	case runner.AtTimeout:
		return "at its time limit"
	case runner.AtStatement:
		return fmt.Sprintf("in %s, before a statement", s.At)
	case runner.Paused:
		return "in " + s.At + ", which is paused"
	case runner.BeforeRuntimes:
		return "before the runtimes are selected"
	case runner.BeforeUpload:
		return "before UPLOAD_ARTIFACTS"
	case runner.BeforeEnd:
		return "at its end"
	}
	return "at the end of " + string(s.Phase)
}

// End ends the front ends after the build.
func (d *Debugger) End() { d.change(func() { d.ended = true }) }

// problems returns the problems of an invalid buildspec, or nil.
func problems(err error) diag.List {
	list, _ := err.(diag.List)
	return list
}
