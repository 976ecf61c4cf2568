package runner

import (
	"fmt"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/tree"
	"github.com/buildlocal/buildlocal/secrets"
)

// recorder owns the record, the events and the mask of a build. Records and events leave
// the runner only through it, and it masks each of them once. Its methods may be used
// concurrently: endpoints and the engine report while a command runs.
type recorder struct {
	now         func() time.Time
	send        func(Event) // one call at a time; never nil
	mask        *secrets.Mask
	maskEncoded bool // mask base64, URL and JSON encodings too

	mu     sync.Mutex // held while an event is sent, so that events have an order
	phase  PhaseType
	record *Record
	out    *secrets.Writer // output of commands on its way to printed
	tail   []byte          // the end of the running command's output
	lines  outputLines     // of the running command
	opened *engine.Opened  // by the current phase; nil if that is not recorded
	over   bool            // the build has ended, and nothing that a user does late is recorded

	noted sync.Map // keys of notes that are printed once
}

// newRecorder returns the recorder of a build that begins now.
func newRecorder(r *Runner, p *Plan) *recorder {
	rec := &recorder{
		now: r.Now, send: r.Notify, mask: secrets.NewMask(), maskEncoded: p.MaskEncoded,
		record: &Record{
			ID: p.Identity.BuildID(), ARN: p.Identity.ARN(), Number: p.Identity.Number, Project: p.Identity.Project,
			Start: p.Identity.Start, Status: Succeeded, Initiator: p.Identity.Initiator,
			SourceVersion: p.Sources[0].Version, ResolvedVersion: p.Sources[0].Resolved,
			TimeoutMinutes: p.Timeout.Minutes(), Partial: p.Partial, Restored: p.Restored,
			Machine:     &Machine{Compute: p.ComputeType, VCPU: p.Limits.CPUs, Limit: p.Limits.Memory},
			Environment: newEnvironment(p), Buildspec: p.buildspec(),
		},
	}
	if rec.send == nil {
		rec.send = func(Event) {}
	}
	rec.out = rec.mask.Writer(writerFunc(rec.printed))
	rec.hide(p.secrets()...)
	return rec
}

// newEnvironment describes the environment of a plan. An image that is not used is not named as
// the build's.
func newEnvironment(p *Plan) Environment {
	e := Environment{Image: p.Image, Type: p.EnvironmentType, Privileged: p.Privileged, Place: p.Place}
	if p.Place != "" {
		e.Image, e.Configured = "", p.Image
	}
	return e
}

// hide adds values, and with maskEncoded their encodings, to the mask. Call it before the
// build can print a value.
func (rec *recorder) hide(values ...string) {
	rec.mask.Add(values...)
	if rec.maskEncoded {
		rec.mask.AddEncoded(values...)
	}
}

// maskText masks a text for a file that leaves the runner by another way than a record
// or an event: the name or content of a file in the output directory.
func (rec *recorder) maskText(text string) string { return rec.mask.Text(text) }

// isSecret reports whether a text contains a masked value.
func (rec *recorder) isSecret(text string) bool { return rec.mask.Text(text) != text }

// notify sends an event. The time, the phase and the mask are added here.
func (rec *recorder) notify(e Event) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.emit(e)
}

// emit is notify with the lock.
func (rec *recorder) emit(e Event) {
	if rec.over {
		return
	}
	e.Time, e.Phase = rec.now(), rec.phase
	rec.send(e.Mask(rec.mask.Text))
}

// say sends a line of the service's agent.
func (rec *recorder) say(format string, args ...any) {
	rec.notify(Event{Kind: Said, Text: fmt.Sprintf(format, args...)})
}

// note sends a line that the service does not have.
func (rec *recorder) note(format string, args ...any) {
	rec.notify(Event{Kind: Noted, Text: fmt.Sprintf(format, args...)})
}

// about sends a note about a topic, which is shown in a column of its own.
func (rec *recorder) about(topic, format string, args ...any) {
	rec.notify(Event{Kind: Noted, Topic: topic, Text: fmt.Sprintf(format, args...)})
}

// warnAt sends a note about a topic with the position of its cause in the buildspec. The text is
// for readers who see no position.
func (rec *recorder) warnAt(topic string, at diag.Problem) {
	at.Severity = diag.Warning
	rec.notify(Event{Kind: Noted, Topic: topic, Text: at.Text(), Problem: &at})
}

// noteBrackets sends a note about a pattern that is also the name of an existing file. The check
// bracket-pattern finds only files of the source, and this one may be made by the build.
func (rec *recorder) noteBrackets(pattern, name string) {
	rec.note("%s exists, but brackets in a pattern match one of the characters in them; write ? for each bracket: %s",
		name, tree.EscapeBrackets(pattern))
}

// noteOnce sends a note whose cause may occur many times. The format identifies it.
func (rec *recorder) noteOnce(format string, args ...any) {
	if _, noted := rec.noted.LoadOrStore(format, true); !noted {
		rec.note(format, args...)
	}
}

// Write implements io.Writer for the output of commands.
func (rec *recorder) Write(p []byte) (int, error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.out.Write(p)
}

// flush sends output that the mask has held back. Call it when a command has ended.
func (rec *recorder) flush() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	_ = rec.out.Flush() // printed returns no error
	if found := rec.lines.end(); len(found) > 0 {
		rec.send(Event{Kind: Printed, Time: rec.now(), Phase: rec.phase, Errors: found})
	}
}

// maxTail is how much of the end of a command's output is kept, in bytes: to find its last
// error message, and to show it.
const maxTail = 64 << 10

// printed sends masked output and keeps its end. Twice the limit is kept before the
// beginning is dropped, so that few bytes are moved. The lock is held.
func (rec *recorder) printed(text []byte) (int, error) {
	rec.tail = append(rec.tail, text[max(0, len(text)-maxTail):]...)
	if excess := len(rec.tail) - maxTail; excess > maxTail {
		rec.tail = append(rec.tail[:0], rec.tail[excess:]...)
	}
	found := rec.lines.write(text)
	rec.send(Event{Kind: Printed, Time: rec.now(), Phase: rec.phase, Output: text, Errors: found})
	return len(text), nil
}

// lastOutput returns the masked end of the output since the last resetOutput.
func (rec *recorder) lastOutput() string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return string(rec.tail[max(0, len(rec.tail)-maxTail):])
}

// explainOutput returns the lines of the output that explain the failure of the command.
func (rec *recorder) explainOutput() []OutputLine {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.lines.explain(rec.tail)
}

// resetOutput forgets the output of the previous command.
func (rec *recorder) resetOutput() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.tail = rec.tail[:0]
	rec.lines.reset()
}

// update changes the record. change must not call the recorder.
func (rec *recorder) update(change func(*Record)) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !rec.over {
		change(rec.record)
	}
}

// beginPhase makes p the current phase and returns the time.
func (rec *recorder) beginPhase(p PhaseType) time.Time {
	began := rec.now()
	rec.update(func(r *Record) { rec.phase, r.CurrentPhase = p, p })
	rec.notify(Event{Kind: PhaseBegan})
	return began
}

// enter makes p the current phase without an event.
func (rec *recorder) enter(p PhaseType) {
	rec.update(func(r *Record) { rec.phase, r.CurrentPhase = p, p })
}

// restore makes a record that of the build, and output that of the last command.
func (rec *recorder) restore(record *Record, output []byte) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	record.CurrentPhase = rec.record.CurrentPhase
	rec.record, rec.tail = record, output
}

// endPhase records the end of the current phase, and its effect on the build: the first
// failure stays, except that a stop, a fault or a timeout replaces it.
func (rec *recorder) endPhase(began time.Time, res result, why *Explanation, used *Used) {
	ended := rec.now()
	d := ended.Sub(began)
	rec.update(func(r *Record) {
		r.Phases = append(r.Phases, PhaseRecord{
			Type: rec.phase, Status: res.status, Start: began, End: ended, Duration: d,
			Seconds: int64(d.Seconds()), Contexts: []Context{res.context}, Failure: why, Used: used, Opened: rec.opened,
		})
		rec.opened = nil
		if res.status != Succeeded && (r.Status == Succeeded || r.Status == Failed) {
			r.Status = res.status
		}
	})
	rec.notify(Event{Kind: PhaseEnded, Status: res.status, Context: res.context, Problem: res.problem, Hints: res.hints,
		Duration: d})
}

// setOpened sets the files that the current phase has opened.
func (rec *recorder) setOpened(files *engine.Opened) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.opened = files
}

// complete records the last phase, which has no end.
func (rec *recorder) complete() {
	now := rec.now()
	rec.update(func(r *Record) {
		r.CurrentPhase = Completed
		r.Phases = append(r.Phases, PhaseRecord{Type: Completed, Start: now})
	})
}

// currentPhase returns the phase that the build is in.
func (rec *recorder) currentPhase() PhaseType {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.phase
}

// succeeding reports whether the build has not failed so far.
func (rec *recorder) succeeding() bool {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.record.Status == Succeeded
}

// commandTime returns the duration of the phases with commands.
func (rec *recorder) commandTime() time.Duration {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var sum time.Duration
	for _, p := range rec.record.Phases {
		switch p.Type {
		case Install, PreBuild, Build, PostBuild:
			sum += p.Duration
		}
	}
	return sum
}

// finish ends the build and returns its masked record.
func (rec *recorder) finish(environment []EnvironmentVariable, fault error) *Record {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	all := rec.record
	all.End, all.Complete, all.Environment.Variables = rec.now(), true, environment
	if fault != nil {
		all.Status = Fault
	}
	r := all.Mask(rec.mask.Text)
	rec.emit(Event{Kind: BuildEnded, Status: r.Status, Duration: r.End.Sub(r.Start), Record: r, Fault: fault})
	rec.over = true
	return r
}

// soFar returns a masked copy of the record of a build that runs.
func (rec *recorder) soFar(environment []EnvironmentVariable) *Record {
	now := rec.now()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	r := *rec.record
	r.End, r.Environment.Variables = now, environment
	return r.Mask(rec.mask.Text)
}

// maskError returns an error with a masked message that wraps err.
func (rec *recorder) maskError(err error) error { return &maskedError{err, rec.mask} }

// maskedError masks the message of an error when it is read, so that values added later
// are masked too.
type maskedError struct {
	error
	mask *secrets.Mask
}

// Error returns the masked message.
func (e *maskedError) Error() string { return e.mask.Text(e.error.Error()) }

// Unwrap returns the original error.
func (e *maskedError) Unwrap() error { return e.error }

// writerFunc is a function as an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
