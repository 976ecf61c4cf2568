package console

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Journal records the events of a build, so that Replay can show it again. Output of commands
// is not recorded: an entry has the offset in the log at which its event happened, and the log
// between two entries is the output. Records and reports are in files of their own.
type Journal struct {
	w       io.Writer
	printed bool // the last entry was about output
	err     error
}

// NewJournal returns a Journal that writes to w.
func NewJournal(w io.Writer) *Journal { return &Journal{w: w} }

// Err returns the first error of the writer.
func (j *Journal) Err() error { return j.err }

// entry is one line of a journal.
type entry struct {
	Kind     runner.Kind      `json:"event"`
	Log      int64            `json:"log"` // offset in the log, in bytes, before the event
	Time     time.Time        `json:"time"`
	Phase    runner.PhaseType `json:"phase,omitempty"`
	Text     string           `json:"text,omitempty"`
	Line     int              `json:"line,omitempty"`
	Finally  bool             `json:"finally,omitempty"`
	Attempt  int              `json:"attempt,omitempty"`
	Exit     int              `json:"exitStatus,omitempty"`
	At       string           `json:"at,omitempty"`
	Topic    string           `json:"topic,omitempty"`
	Why      string           `json:"reason,omitempty"`
	Problem  *diag.Problem    `json:"problem,omitempty"`
	Status   runner.Status    `json:"status,omitempty"`
	Context  *runner.Context  `json:"context,omitempty"`
	Duration time.Duration    `json:"duration,omitempty"` // nanoseconds
	Fault    string           `json:"fault,omitempty"`
	Plan     *entryPlan       `json:"plan,omitempty"`
	Hints    []string         `json:"hints,omitempty"`
	Lost     bool             `json:"lost,omitempty"`
	Answer   runner.Action    `json:"answer,omitempty"`
}

// Notify records an event that happens at an offset in the log. It must be called before the
// lines of the event are written there, and after everything before it was.
func (j *Journal) Notify(e runner.Event, log int64) {
	switch {
	case e.Kind == runner.Pulled || e.Kind == runner.Copying:
		return // progress, which is over when the journal is read
	case e.Kind == runner.Printed && j.printed:
		return
	}
	j.printed = e.Kind == runner.Printed
	l := entry{Kind: e.Kind, Log: log, Time: e.Time, Phase: e.Phase, Text: e.Text, Line: e.Line, Finally: e.Finally,
		Attempt: e.Attempt, Exit: e.Exit, At: e.At, Topic: e.Topic, Why: e.Why, Problem: e.Problem, Status: e.Status,
		Duration: e.Duration, Hints: e.Hints, Lost: e.Lost, Answer: e.Answer}
	if e.Context != (runner.Context{}) {
		l.Context = &e.Context
	}
	if e.Fault != nil {
		l.Fault = e.Fault.Error()
	}
	if e.Plan != nil {
		l.Plan = newEntryPlan(e.Plan)
	}
	text, err := json.Marshal(l)
	if err == nil {
		_, err = j.w.Write(append(text, '\n'))
	}
	if j.err == nil {
		j.err = err
	}
}

// entryPlan has the parts of a plan that Text shows or decides by. Values of variables are not
// among them.
type entryPlan struct {
	Identity                                       runner.Identity
	Image, Engine, Place, StandIn, Grant, Checkout string
	Privileged, Socket                             bool
}

func newEntryPlan(p *runner.Plan) *entryPlan {
	return &entryPlan{p.Identity, p.Image, p.Engine, p.Place, p.StandIn, p.Grant, p.Checkout, p.Privileged, p.Socket}
}

// plan returns the parts as a plan; nil for an event without one.
func (p *entryPlan) plan() *runner.Plan {
	if p == nil {
		return nil
	}
	return &runner.Plan{Identity: p.Identity, Image: p.Image, Engine: p.Engine, Place: p.Place, StandIn: p.StandIn,
		Grant: p.Grant, Checkout: p.Checkout, Privileged: p.Privileged, Socket: p.Socket}
}

// Replay shows a build from its journal and its log. Both may still grow.
type Replay struct {
	Journal io.Reader
	Log     interface {
		io.ReaderAt
		io.Seeker
	}
	// Record and Reports read the results of the build, which are written at its end.
	Record  func() (*runner.Record, error)
	Reports func() *reports.Set

	rest   []byte // the beginning of an entry whose end was not written yet
	output bool   // the build is printing output
	at     int64  // offset in the log of the output that was not shown yet
	last   runner.Event
}

// Next passes the events that were recorded since the last call to notify, and reports whether
// the build has ended.
func (r *Replay) Next(notify func(runner.Event)) (ended bool, err error) {
	// Everything in the log up to here happened before the end of the journal as it is read next.
	size, err := r.Log.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	more, err := io.ReadAll(r.Journal)
	if err != nil {
		return false, err
	}
	r.rest = append(r.rest, more...)
	for {
		line, rest, complete := bytes.Cut(r.rest, []byte("\n"))
		if !complete {
			break
		}
		r.rest = rest
		var l entry
		if err := json.Unmarshal(line, &l); err != nil {
			return false, err
		}
		if err := r.show(l, notify); err != nil || l.Kind == runner.BuildEnded {
			return l.Kind == runner.BuildEnded, err
		}
	}
	return false, r.copyOutput(size, notify)
}

// show passes the event of an entry on, after the output before it.
func (r *Replay) show(l entry, notify func(runner.Event)) error {
	if err := r.copyOutput(l.Log, notify); err != nil {
		return err
	}
	r.output, r.at = l.Kind == runner.Printed, l.Log
	e := runner.Event{Kind: l.Kind, Time: l.Time, Phase: l.Phase, Text: l.Text, Line: l.Line, Finally: l.Finally,
		Attempt: l.Attempt, Exit: l.Exit, At: l.At, Topic: l.Topic, Why: l.Why, Problem: l.Problem, Status: l.Status,
		Duration: l.Duration, Plan: l.Plan.plan(), Hints: l.Hints, Lost: l.Lost}
	if l.Context != nil {
		e.Context = *l.Context
	}
	if l.Fault != "" {
		e.Fault = errors.New(l.Fault)
	}
	r.last = e
	switch l.Kind {
	case runner.Printed:
		return nil
	case runner.Reported:
		e.Reports = r.Reports()
	case runner.BuildEnded:
		var err error
		if e.Record, err = r.Record(); err != nil {
			return err
		}
	}
	notify(e)
	return nil
}

// copyOutput passes the output in the log up to an offset on.
func (r *Replay) copyOutput(end int64, notify func(runner.Event)) error {
	if !r.output {
		return nil
	}
	buffer := make([]byte, maxKept/2)
	for r.at < end {
		n, err := r.Log.ReadAt(buffer[:min(int64(len(buffer)), end-r.at)], r.at)
		if n == 0 && errors.Is(err, io.EOF) {
			return nil // a log that was cut
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		r.at += int64(n)
		notify(runner.Event{Kind: runner.Printed, Time: r.last.Time, Phase: r.last.Phase, Output: buffer[:n]})
	}
	return nil
}

// FailureIn is the last command in a journal that has ended, and where the journal and the log were
// right after it, in bytes.
type FailureIn struct {
	Event        runner.Event
	Journal, Log int64
	Output       int64 // where the command's output begins in the log
}

// LastCommand finds the last command in a journal that has ended. A journal without one
// is an error.
func LastCommand(journal io.Reader) (FailureIn, error) {
	var found FailureIn
	var at, output int64
	text, err := io.ReadAll(journal)
	if err != nil {
		return found, err
	}
	for line := range bytes.Lines(text) {
		at += int64(len(line))
		var l entry
		if err := json.Unmarshal(line, &l); err != nil {
			return found, err
		}
		switch {
		case l.Kind == runner.CommandBegan:
			output = l.Log
		case l.Kind == runner.CommandEnded:
			found = FailureIn{Journal: at, Log: -1, Output: output, Event: runner.Event{Kind: l.Kind, Time: l.Time,
				Phase: l.Phase, Text: l.Text, Line: l.Line, Finally: l.Finally, Attempt: l.Attempt, Exit: l.Exit, At: l.At,
				Why: l.Why, Problem: l.Problem, Status: l.Status, Duration: l.Duration, Hints: l.Hints, Lost: l.Lost}}
		case found.Journal > 0 && found.Log < 0:
			found.Log = l.Log
		}
	}
	if found.Log < 0 || found.Journal == 0 {
		return found, errors.New("the journal of the build is not complete")
	}
	return found, nil
}

// maxPlanEntry limits the first entry of a journal, in bytes.
const maxPlanEntry = 64 << 10

// PlanIn returns the parts of the plan that a journal begins with, or nil if it has none yet.
func PlanIn(journal io.Reader) *runner.Plan {
	line, err := bufio.NewReader(io.LimitReader(journal, maxPlanEntry)).ReadBytes('\n')
	var first entry
	if err != nil || json.Unmarshal(line, &first) != nil {
		return nil
	}
	return first.Plan.plan()
}

// Whereabouts is where a running build is.
type Whereabouts struct {
	At      string    // the command, such as build:2, or the phase if no command runs
	Stopped time.Time // since when the build waits at a stop; zero if it runs
}

// PlaceIn returns where a build is, by the end of its journal.
func PlaceIn(journal io.ReadSeeker) Whereabouts {
	const enough = 256 << 10 // bytes of the end, which has the last events
	if size, err := journal.Seek(0, io.SeekEnd); err != nil || size <= enough {
		_, _ = journal.Seek(0, io.SeekStart)
	} else if _, err := journal.Seek(-enough, io.SeekEnd); err != nil {
		return Whereabouts{}
	}
	text, err := io.ReadAll(journal)
	if err != nil {
		return Whereabouts{}
	}
	var place Whereabouts
	for line := range bytes.Lines(text) {
		var l entry
		if json.Unmarshal(line, &l) != nil {
			continue // the first line may be cut
		}
		switch l.Kind {
		case runner.CommandBegan:
			place.At = l.At
		case runner.PhaseBegan, runner.CommandEnded:
			place.At = string(l.Phase)
		case runner.StoppedAt:
			place = Whereabouts{At: l.At, Stopped: l.Time}
		case runner.Resumed:
			place.Stopped = time.Time{}
		}
	}
	return place
}
