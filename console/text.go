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
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Options control how a build is shown.
type Options struct {
	Color    bool   // use colors
	Terminal bool   // the writer is a terminal: progress may be redrawn
	Quiet    bool   // only failures and the verdict
	Verbose  bool   // also the agent's own lines, and everything about failed tests
	Dir      string // the build's directory, as the user would type it; "" if nothing is kept
	Links    bool   // the terminal can open links

	Source    string // the source's directory, as the user would type it
	SourceDir string // the same, slash-separated and absolute
}

// maxKept is how much of the end of a command's output is kept, in bytes, to show it after a
// failure with Quiet.
const maxKept = 64 << 10

// Text shows a build to people. The output of commands is not changed; lines of buildlocal
// begin on a new line, and external values in them are escaped.
type Text struct {
	w       io.Writer
	o       Options
	err     error
	fresh   bool         // the cursor is at the beginning of a line
	printed []byte       // the end of the command's output
	pull    pull         // of the image that is being pulled
	reports *reports.Set // of the build; nil without reports
	styles  styles
}

type styles struct{ bold, faint, green, red, yellow style }

// NewText returns a Text that writes to w.
func NewText(w io.Writer, o Options) *Text {
	t := &Text{w: w, o: o, fresh: true}
	t.styles = styles{
		newStyle(o.Color, color.Bold), newStyle(o.Color, color.Faint), newStyle(o.Color, color.FgGreen, color.Bold),
		newStyle(o.Color, color.FgRed, color.Bold), newStyle(o.Color, color.FgYellow),
	}
	return t
}

// Err returns the first error of the writer.
func (t *Text) Err() error { return t.err }

// Notify shows an event. Any event ends a pull, because the image is there then.
func (t *Text) Notify(e runner.Event) {
	if e.Kind != runner.Pulled {
		t.PullDone()
	}
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
		t.note(e.Text)
	case runner.Pulled:
		t.pulled(e)
	case runner.Copying:
		t.copying(e.Copy)
	case runner.Reported:
		t.reports = e.Reports
	case runner.BuildEnded:
		t.summary(e.Record)
	}
}

// began prints the first line: the build, and where it runs.
func (t *Text) began(p *runner.Plan) {
	if t.o.Quiet {
		return
	}
	// Without a container the place is described; else it is the image.
	place := cmp.Or(p.Place, p.Image)
	if p.StandIn != "" && p.Place == "" {
		place += " (using local substitute " + p.StandIn + ")"
	}
	t.line("%s %s in %s", t.styles.bold.Sprint("build"), fmt.Sprintf("%s #%d", p.Identity.Project, p.Identity.Number),
		place)
}

// copying shows how far a copy is, such as "copying artifacts: 1.2GB of 3.2GB, 1204 of
// 4000 files".
func (t *Text) copying(c runner.Copy) {
	if t.o.Quiet {
		return
	}
	ofBytes, ofFiles := "", "" // the totals are not known while files are still being listed
	if c.AllFiles > 0 {
		ofBytes, ofFiles = " of "+human.Bytes(c.AllBytes), fmt.Sprintf(" of %d", c.AllFiles)
	}
	t.line("%s", t.styles.faint.Sprintf("%s %s: %s%s, %d%s files", c.Doing, c.What, human.Bytes(c.Bytes), ofBytes, c.Files,
		ofFiles))
}

// note prints a note of the runner, also with Quiet: it explains a result that may surprise.
func (t *Text) note(text string) { t.line("%s %s", t.styles.yellow.Sprint("note:"), text) }

// said prints a line of the agent. Lines about the selected runtimes are of general
// interest; other ones only with Verbose.
func (t *Text) said(e runner.Event) {
	selecting := strings.HasPrefix(e.Text, "Selecting ") || strings.HasPrefix(e.Text,
		"Skipping ") || strings.HasPrefix(e.Text, "Found possible")
	if t.o.Verbose || selecting && !t.o.Quiet {
		t.line("%s", t.styles.faint.Sprint(e.Text))
	}
}

// phaseBegan prints the name of a phase. Without Verbose each command names its phase.
func (t *Text) phaseBegan(e runner.Event) {
	if t.o.Verbose && !t.o.Quiet {
		t.line("\n%s", t.styles.bold.Sprintf("== %s", e.Phase))
	}
}

// commandBegan prints a command with its phase and line, such as "$ npm test (build:12)". Line
// 0 is not in the buildspec: a command that selects a runtime of the image.
func (t *Text) commandBegan(e runner.Event) {
	t.printed = t.printed[:0]
	if t.o.Quiet {
		return
	}
	where := fmt.Sprintf("%s:%d", strings.ToLower(string(e.Phase)), e.Line)
	if e.Line == 0 {
		where = "image"
	}
	if e.Finally {
		where += " finally"
	}
	if e.Attempt > 1 {
		where += fmt.Sprintf(" attempt %d", e.Attempt)
	}
	// The lines of a block are indented below the $.
	text := strings.ReplaceAll(strings.TrimRight(e.Text, "\n"), "\n", "\n  ")
	t.line("%s %s", t.styles.bold.Sprint("$ "+text), t.styles.faint.Sprint("("+where+")"))
}

// output prints output of a command, and keeps its end. Twice the limit is kept before the
// beginning is dropped, so that few bytes are moved.
func (t *Text) output(p []byte) {
	t.printed = append(t.printed, p...)
	if over := len(t.printed) - maxKept; over > maxKept {
		t.printed = append(t.printed[:0], t.printed[over:]...)
	}
	if !t.o.Quiet {
		t.write(p)
	}
}

// commandEnded prints a failure: the exit status, the position in the buildspec and a hint.
func (t *Text) commandEnded(e runner.Event) {
	if e.Exit == 0 {
		return
	}
	if t.o.Quiet { // neither the command nor its output was shown
		t.line("$ %s", strings.TrimRight(e.Text, "\n"))
		t.write(t.printed[max(0, len(t.printed)-maxKept):])
	}
	t.line("%s after %s", t.styles.red.Sprintf("exit status %d", e.Exit), human.Duration(e.Duration))
	if e.Place != "" {
		t.line("%s", t.caret(e.Place))
	}
	if e.Why != "" {
		t.line("%s %s", t.styles.yellow.Sprint("hint:"), e.Why)
	}
}

// caret returns a position with its excerpt, with the carets in color. The position is a
// problem without a message, whose first line ends with ": error: ".
func (t *Text) caret(place string) styled {
	lines := strings.Split(diag.Escape(place), "\n")
	lines[0] = strings.TrimSuffix(lines[0], ": error: ")
	if i := len(lines) - 1; strings.Contains(lines[i], "^") {
		head, run, _ := strings.Cut(lines[i], "^")
		lines[i] = head + string(t.styles.red.Sprint("^"+run))
	}
	return styled(strings.Join(lines, "\n"))
}

// phaseEnded prints the failure of a phase that no failed command explained. A fault is
// printed by the command line, with its hints.
func (t *Text) phaseEnded(e runner.Event) {
	if e.Status == runner.Succeeded || e.Context.StatusCode == runner.CommandError || e.Status == runner.Fault {
		return
	}
	text := e.Context.Message
	if e.Context.StatusCode != "" {
		text = e.Context.StatusCode + ": " + text
	}
	if text == "" {
		text = strings.ToLower(string(e.Status))
	}
	t.line("%s %s", t.styles.red.Sprint(e.Phase), text)
}

// line writes a line of buildlocal. If the output of a command did not end with a line break,
// one is added before. Arguments that are not styled are escaped.
func (t *Text) line(format string, args ...any) {
	if !t.fresh {
		t.write([]byte("\n"))
	}
	t.write([]byte(formatted(format, args...) + "\n"))
}

// write writes bytes as they are, and keeps the first error.
func (t *Text) write(p []byte) {
	if len(p) == 0 {
		return
	}
	t.fresh = bytes.HasSuffix(p, []byte("\n"))
	if _, err := t.w.Write(p); err != nil && t.err == nil {
		t.err = err
	}
}
