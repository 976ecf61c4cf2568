package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/runner"
)

// failure is a command that failed, with everything that explains it.
type failure struct {
	at      string // place of the command; "" for a phase that failed without one
	problem *diag.Problem
	message string // if there is no problem
	hints   []string
	lines   int    // lines of the command's output
	output  string // all of it, if it is short
}

// cause returns the cause of a failure in one line.
func (f failure) cause() string {
	if f.problem != nil {
		return f.problem.Text()
	}
	return f.message
}

// failures are the failed commands of a build. The first is most often the cause of the others,
// so it is explained again at the end if something was printed after it.
type failures struct {
	all   []failure
	after bool // output was printed after the first
}

// printedAfter records that something hides the first failure.
func (f *failures) printedAfter() { f.after = f.after || len(f.all) > 0 }

// forget removes the failures of a command that the user has retried or left behind.
func (f *failures) forget(at string) {
	f.all = slices.DeleteFunc(f.all, func(other failure) bool { return other.at == at })
	f.after = f.after && len(f.all) > 0
}

// maxTailLines is the number of lines of output that explain a failure at the end.
const maxTailLines = 18

// commandFailed prints the end of a failed command: the status, the position in the buildspec with
// the cause, and hints.
func (t *Text) commandFailed(e runner.Event) {
	f := failure{at: e.At, problem: e.Problem, hints: e.Hints, lines: t.lines}
	if !t.fresh { // the last line is not complete
		f.lines++
	}
	if f.lines <= maxTailLines && len(t.printed) <= maxKept {
		f.output = string(t.printed)
	}
	t.failures.printedAfter()
	t.failures.all = append(t.failures.all, f)
	folded := t.ci.section != "" // with the output of the command
	t.command(t.ci.end(e.Time))
	if !t.o.Quiet { // else all of it is shown at the end, with the output that was not
		t.line("%s  %s", t.styles.weak.Sprint(placeText(e)), t.ending(e))
	}
	if e.Status != runner.Stopped {
		t.command(t.ci.annotation(e.Problem, e.At, firstLine(e.Text)+": "+endingWords(e)))
	}
	if t.o.Quiet {
		return
	}
	if e.Problem != nil {
		t.gap = true
		t.explain(f)
	}
	if folded {
		t.lastLines(f)
	}
	t.gap = true
}

// lastLines prints the end of a command's output again, which a CI system does not show unless its
// reader opens a section.
func (t *Text) lastLines(f failure) {
	lines := strings.Split(strings.TrimRight(string(t.printed), "\n"), "\n")
	if lines[0] == "" && len(lines) == 1 {
		return
	}
	if len(lines) > maxTailLines {
		lines = lines[len(lines)-maxTailLines:]
		t.line("last %d of %d lines", maxTailLines, f.lines)
	}
	for _, line := range lines {
		t.quote(line)
	}
}

// endingWords returns how a command ended, without its duration and in the words of its problem.
func endingWords(e runner.Event) string {
	if e.Status == runner.TimedOut {
		return "timed out"
	}
	return fmt.Sprintf("exit status %d", e.Exit)
}

// ending returns how a command ended that did not succeed.
func (t *Text) ending(e runner.Event) styled {
	took := human.Duration(e.Duration)
	if e.Lost {
		return formatted("%s lost after %s", t.styles.bad.Sprint(t.glyphs.failed), took)
	}
	switch e.Status {
	case runner.TimedOut:
		return formatted("%s timed out after %s", t.styles.bad.Sprint(t.glyphs.failed), took)
	case runner.Stopped:
		return formatted("%s stopped after %s", t.styles.bad.Sprint(t.glyphs.failed), took)
	}
	return formatted("%s exit %d after %s", t.styles.bad.Sprint(t.glyphs.failed), e.Exit, took)
}

// explain prints the position of a failure, and hints.
func (t *Text) explain(f failure) {
	if f.message != "" {
		t.paragraph(t.styles.bad.Sprint("error:"), formatted("%s", f.message))
	}
	if f.problem != nil {
		t.line("%s", t.problem(*f.problem))
	}
	if f.problem != nil && f.problem.Service != "" {
		t.paragraph("CodeBuild says:", formatted("%s", diag.EscapeLine(f.problem.Service)))
	}
	for _, text := range f.hints {
		label, rest, _ := strings.Cut(text, ": ")
		style := t.styles.accent
		if label == "lint" {
			style = t.styles.warn
		}
		t.paragraph(style.Sprint(label+":"), formatted("%s", diag.EscapeLine(human.Clause(rest))))
	}
}

// problem returns a problem with its severity and its carets in color.
func (t *Text) problem(p diag.Problem) styled {
	p.Service = ""
	return styled(colored(p, t.styles, t.columns(maxTable)))
}

// phaseEnded prints the failure of a phase that no failed command explained. A fault is printed
// at the end.
func (t *Text) phaseEnded(e runner.Event) {
	t.command(t.ci.end(e.Time))
	if e.Status == runner.Succeeded || e.Status == runner.Stopped || e.Status == runner.Fault ||
		e.Context.StatusCode == runner.CommandError {
		return
	}
	f := failure{problem: e.Problem, hints: e.Hints}
	if e.Status == runner.TimedOut {
		f.hints = []string{"hint: --timeout DURATION raises the limit"}
	}
	if f.problem == nil {
		f.message = cmp.Or(e.Context.Message, strings.ToLower(string(e.Status)))
		if e.Context.StatusCode != "" {
			f.message = e.Context.StatusCode + ": " + f.message
		}
		f.message = string(e.Phase) + ": " + human.TrimStop(f.message)
	}
	t.failures.printedAfter()
	t.failures.all = append(t.failures.all, f)
	t.command(t.ci.annotation(f.problem, string(e.Phase), f.cause()))
	if !t.o.Quiet { // else it is shown at the end
		t.gap = true
		t.explain(f)
		t.gap = true
	}
}

// repeat explains the first failure once more, with the output that explains it, if something was
// printed after it, or nothing of it was shown.
func (t *Text) repeat(r *runner.Record) {
	all := t.failures.all
	if len(all) == 0 || r.Status == runner.Succeeded ||
		!t.o.Quiet && (!t.failures.after || all[0].at == "" || r.Status == runner.TimedOut) {
		return
	}
	t.gap = true
	if commands := commandsOf(all); commands > 1 {
		t.line("%d commands failed. The first:", commands)
	}
	t.explain(all[0])
	if all[0].at != "" && len(r.Failures) > 0 {
		t.tail(r.Failures[0], all[0])
	}
	t.gap = true
}

func commandsOf(all []failure) int {
	places := map[string]bool{} // a command that is retried is one
	for _, f := range all {
		if f.at != "" {
			places[f.at] = true
		}
	}
	return len(places)
}

// tail prints the output of a failed command, each line after a bar: all of it if it is short, else
// the lines that explain the failure, with a mark where others are left out.
func (t *Text) tail(f runner.Failure, all failure) {
	if all.output != "" {
		for line := range strings.Lines(all.output) {
			t.quote(strings.TrimRight(line, "\n"))
		}
		return
	}
	if len(f.Output) < all.lines {
		t.line("%d of %d lines", len(f.Output), all.lines)
	}
	end := int64(-1)
	for _, line := range f.Output {
		if end >= 0 && line.Offset > end {
			t.quote(t.glyphs.cut)
		}
		end = line.Offset + int64(len(line.Text)) + 1
		t.quote(line.Text)
	}
}

// quote prints a line of a command's output as a quotation.
func (t *Text) quote(line string) {
	t.line("  %s %s", t.styles.weak.Sprint(t.glyphs.quote), safeLine(lastState(line)))
}

// lastState returns the end of a line that was redrawn with carriage returns, without the
// colors of the command.
func lastState(line string) string {
	line = strings.TrimRight(line, "\r")
	return plain(line[strings.LastIndexByte(line, '\r')+1:])
}

// fault prints the cause of a build that the engine or the host ended.
func (t *Text) fault(err error) {
	if err == nil || t.o.PrintFault == nil {
		return
	}
	t.startLine()
	if !t.blank {
		t.write([]byte("\n"))
		t.blank = true
	}
	t.o.PrintFault(err)
}
