// Package console prints builds: as text for people (Text), as CodeBuild's log (Service), and
// as JSON events (JSON). It also prints the problems of buildspecs. No other package uses
// colors.
//
// Text and JSON get the events of a build one after the other, from one goroutine, and keep
// the first error of their writer. Package local has a queue in between, so that a reader who
// stops reading cannot keep a build from ending.
package console

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/fatih/color"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Options control how a build is shown.
type Options struct {
	Color    bool       // use colors
	ASCII    bool       // use no other characters than those of ASCII in signs
	Width    func() int // columns of the terminal; nil if the writer is not a terminal
	Progress Progress   // whether and how progress is shown
	Quiet    bool       // only failures and the verdict
	Verbose  bool       // also the agent's own lines, and everything about failed tests
	Dir      string     // the build's directory, as the user would type it; "" if nothing is kept
	DirPath  string     // the same, slash-separated and absolute
	Links    bool       // the terminal can open links

	// Status is the stream of the status line: the standard error, which may be the same
	// terminal as the writer. nil is the writer.
	Status io.Writer
	// Usual returns how long a command takes usually, or 0. It must not block. It may be nil.
	Usual func(command string) time.Duration
	// Logs is the command that shows the output of a build again, without the build's number.
	Logs string
	// PrintFault prints the cause of a fault, above the verdict. nil prints nothing.
	PrintFault func(error)

	Source    string // the source's directory, as the user would type it
	SourceDir string // the same, slash-separated and absolute
	Prompt    string // who answers on this terminal when the build is stopped; may be empty

	CI CI // the CI job whose log this is
	// VerdictCopy also gets the last line of a build: the terminal of someone who has redirected
	// the output. It may be nil.
	VerdictCopy io.Writer
}

// maxKept is how much of the end of a command's output is kept, in bytes, to show it after a
// failure.
const maxKept = 64 << 10

// Text shows a build to people. The output of commands is not changed; lines of buildlocal
// begin on a new line, and external values in them are escaped.
type Text struct {
	w      io.Writer
	o      Options
	styles styles
	glyphs glyphs

	mu       sync.Mutex // the status line is redrawn by another goroutine
	err      error
	last     time.Time // of the last event
	fresh    bool      // the cursor is at the beginning of a line
	gap      bool      // a blank line comes before the next one
	blank    bool      // the last line was blank, or nothing was printed yet
	printed  []byte
	lines    int // lines of output of the running command
	plan     *runner.Plan
	stopping bool // the user has asked for the end
	failures failures
	status   status
	pull     pull         // of the image that is being pulled
	reports  *reports.Set // of the build; nil without reports
	ci       ciLog
}

// styles are the colors: one accent and three states of the 16 colors of every terminal. They
// are never bold, which some terminals show in another color.
type styles struct{ strong, weak, accent, good, bad, warn style }

func newStyles(on bool) styles {
	return styles{
		strong: newStyle(on, color.Bold), weak: newStyle(on, color.Faint), accent: newStyle(on, color.FgCyan),
		good: newStyle(on, color.FgGreen), bad: newStyle(on, color.FgRed), warn: newStyle(on, color.FgMagenta),
	}
}

// NewText returns a Text that writes to w.
func NewText(w io.Writer, o Options) *Text {
	t := &Text{w: w, o: o, fresh: true, blank: true, styles: newStyles(o.Color), glyphs: unicodeGlyphs}
	t.ci.CI = o.CI
	if o.ASCII {
		t.glyphs = asciiGlyphs
	}
	if o.Status == nil {
		t.o.Status = w
	}
	return t
}

// Err returns the first error of the writer.
func (t *Text) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Notify shows an event.
func (t *Text) Notify(e runner.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = e.Time
	t.follow(e)
	switch e.Kind {
	case runner.BuildBegan:
		t.began(e.Plan)
	case runner.PhaseBegan:
		t.phaseBegan(e)
	case runner.CommandBegan:
		t.commandBegan(e)
	case runner.Printed:
		t.output(e.Output)
	case runner.CommandEnded:
		t.commandEnded(e)
	case runner.PhaseEnded:
		t.phaseEnded(e)
	case runner.Said:
		t.said(e)
	case runner.Noted:
		t.note(e)
	case runner.Pulled:
		t.pulled(e)
	case runner.StoppedAt:
		t.freshLine()
	case runner.Resumed:
		t.resumed(e)
	case runner.Reported:
		t.reports = e.Reports
	case runner.BuildEnded:
		t.summary(e)
	}
	t.draw(e.Time)
}

// Close ends commands of a CI system that are still in force, if the build's end was not shown.
func (t *Text) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.command(t.ci.end(t.last) + t.ci.resume())
}

// Stopping says that a build is being stopped after the first Ctrl-C.
func (t *Text) Stopping(number int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopping = true
	if !t.o.Quiet {
		t.line("stopping build %d; Ctrl-C again ends it at once", number)
	}
}

// Interrupting says that the running command is being ended after Ctrl-C, and not the build.
func (t *Text) Interrupting() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.o.Quiet {
		t.line("interrupting the command; Ctrl-C again stops the build")
	}
}

// freshLine ends a line that a command has begun, before something else writes to the terminal.
func (t *Text) freshLine() {
	if !t.fresh {
		t.write([]byte("\n"))
	}
}

// resumed says who has continued a stopped build, if that was not the prompt on this terminal.
func (t *Text) resumed(e runner.Event) {
	if e.Answer != runner.ActionContinue && e.Answer != runner.ActionAbort {
		t.failures.forget(e.At)
	}
	if e.Text != "" && e.Text != t.o.Prompt && !t.o.Quiet {
		t.line("%s by %s", t.styles.weak.Sprint(answers[e.Answer]), e.Text)
	}
}

// answers are the answers to a stop in the past tense.
var answers = map[runner.Action]string{
	runner.ActionContinue: "continued", runner.ActionRetry: "retried", runner.ActionSkip: "skipped",
	runner.ActionIgnore: "ignored", runner.ActionGoto: "moved", runner.ActionAbort: "stopped",
}

// began prints the first line: the build, where it runs, and of what.
func (t *Text) began(p *runner.Plan) {
	t.plan, t.ci.plan = p, p
	if t.o.Quiet {
		return
	}
	name := t.styles.strong.Sprintf("%s #%d", p.Identity.Project, p.Identity.Number)
	parts := []string{string(name), string(formatted("%s", placeOf(p)))}
	if p.Checkout != "" {
		parts = append(parts, string(formatted("%s", p.Checkout)))
	}
	limit := t.columns(maxTable)
	for limit > 0 && len(parts) > 2 && width(plain(strings.Join(parts, t.glyphs.dot))) > limit {
		parts = parts[:len(parts)-1] // without room the line loses the commit
	}
	t.line("%s", styled(strings.Join(parts, t.glyphs.dot)))
}

// placeOf describes the environment of a build in a few words.
func placeOf(p *runner.Plan) string {
	if p.Place != "" {
		return p.Place
	}
	image := ShortImage(p.Image)
	if p.StandIn != "" {
		image += " (local substitute " + p.StandIn + ")"
	}
	if kind, _, _ := strings.Cut(p.Engine, " "); kind != "" {
		image += " on " + kind
	}
	return image
}

// ShortImage leaves out the part of a curated image's name that all of them have.
func ShortImage(name string) string { return strings.TrimPrefix(name, "aws/codebuild/") }

// note prints a note of the runner. Notes about a topic have its name in a column.
func (t *Text) note(e runner.Event) {
	switch {
	case t.o.Quiet:
	case e.Problem != nil:
		t.line("%s", t.problem(*e.Problem))
	case e.Topic != "":
		t.paragraph(t.styles.weak.Sprint(pad(e.Topic, topicWidth)), formatted("%s", e.Text))
	default:
		t.paragraph("note:", formatted("%s", human.Clause(e.Text)))
	}
}

// topicWidth is the width of the names of topics.
const topicWidth = len("runtimes ")

// said prints a line of the agent with Verbose. Lines about something that is left out are of
// general interest.
func (t *Text) said(e runner.Event) {
	if (t.o.Verbose || strings.HasPrefix(e.Text, "Skipping ")) && !t.o.Quiet {
		for _, line := range wrap(diag.EscapeLine(e.Text), t.columns(maxProse)) {
			t.line("%s", t.styles.weak.Sprint(line))
		}
	}
}

// phaseBegan prints the name of a phase. Without Verbose each command names its phase.
func (t *Text) phaseBegan(e runner.Event) {
	t.ci.phaseBegan(e.Phase)
	if t.o.Verbose && !t.o.Quiet {
		t.gap = true
		t.line("%s", t.styles.strong.Sprint(string(e.Phase)))
	}
}

// maxCommandLines is the number of lines of a command that are shown. The rest is in the
// buildspec.
const maxCommandLines = 10

// commandBegan prints a command with its place, such as "build:2  $ npm test". The lines of a
// block are below each other.
func (t *Text) commandBegan(e runner.Event) {
	t.printed, t.lines = t.printed[:0], 0
	if t.o.Quiet {
		return
	}
	t.command(t.ci.begin(e.Time))
	place := placeText(e)
	lines := strings.Split(strings.TrimRight(e.Text, "\n"), "\n")
	if more := len(lines) - maxCommandLines; more > 1 {
		lines = append(lines[:maxCommandLines], fmt.Sprintf("%s %d more lines", t.glyphs.cut, more))
	}
	t.line("%s  %s", t.styles.weak.Sprint(place), t.styles.strong.Sprint("$ "+lines[0]))
	for _, line := range lines[1:] {
		t.line("%s    %s", strings.Repeat(" ", len(place)), t.styles.strong.Sprint(line))
	}
}

// placeText returns the place of a command, with the attempt if it is not the first.
func placeText(e runner.Event) string {
	if e.Attempt > 1 {
		return fmt.Sprintf("%s attempt %d", e.At, e.Attempt)
	}
	return e.At
}

// output prints output of a command, and keeps its end. Twice the limit is kept before the
// beginning is dropped, so that few bytes are moved.
func (t *Text) output(p []byte) {
	if len(p) == 0 { // the event only has positions of error lines
		return
	}
	t.failures.printedAfter()
	t.lines += bytes.Count(p, []byte("\n"))
	t.printed = append(t.printed, p...)
	if over := len(t.printed) - maxKept; over > maxKept {
		t.printed = append(t.printed[:0], t.printed[over:]...)
	}
	// The shell reports the end of a command that was stopped, which the user has asked for.
	if !t.o.Quiet && !(t.stopping && string(bytes.TrimSpace(p)) == "Terminated") {
		t.command(t.ci.stop())
		t.write(t.ci.filter(p))
	}
}

// minShownEnd is the duration from which the end of a successful command is shown.
const minShownEnd = time.Second

// commandEnded prints the end of a command that failed or took long.
func (t *Text) commandEnded(e runner.Event) {
	switch {
	case e.Lost: // the fault explains it, at the end
		if !t.o.Quiet {
			t.line("%s  %s", t.styles.weak.Sprint(placeText(e)), t.ending(e))
			t.gap = true
		}
	case e.Exit == 0:
		if e.Duration >= minShownEnd && !t.o.Quiet {
			t.line("%s  %s %s", t.styles.weak.Sprint(placeText(e)), t.styles.good.Sprint(t.glyphs.ok),
				human.Duration(e.Duration))
		}
	default:
		t.commandFailed(e)
	}
}

// line writes a line of buildlocal. If the output of a command did not end with a line break,
// one is added before. Arguments that are not styled are escaped.
func (t *Text) line(format string, args ...any) {
	t.startLine()
	text := string(formatted(format, args...)) + "\n"
	if t.gap && !t.blank {
		text = "\n" + text
	}
	t.gap = false
	t.write([]byte(t.ci.before(text) + text))
	t.blank = text == "\n"
}

// command writes commands of a CI system, each on a line of its own.
func (t *Text) command(lines string) {
	if lines != "" {
		t.startLine()
		t.write([]byte(lines))
	}
}

// startLine moves to the beginning of a line.
func (t *Text) startLine() {
	t.erase()
	t.write(t.ci.rest())
	if !t.fresh {
		t.write([]byte("\n"))
	}
}

// write writes bytes as they are, and keeps the first error.
func (t *Text) write(p []byte) {
	if len(p) == 0 {
		return
	}
	t.erase()
	t.fresh, t.blank = bytes.HasSuffix(p, []byte("\n")), false
	if _, err := t.w.Write(p); err != nil && t.err == nil {
		t.err = err
	}
}
