package console

import (
	"cmp"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/lint"
	"github.com/buildlocal/buildlocal/runner"
)

// failure is a command that failed, with everything that explains it.
type failure struct {
	at      string // place of the command; "" for a phase that failed without one
	problem *diag.Problem
	hints   []string
	output  string // the end of the command's output
	lines   int    // lines of the whole output
}

// failures are the failed commands of a build. The first is most often the cause of the others,
// so it is explained again at the end if something was printed after it.
type failures struct {
	all   []failure
	after bool // output was printed after the first
}

// printedAfter records that something hides the first failure.
func (f *failures) printedAfter() { f.after = f.after || len(f.all) > 0 }

// maxTailLines is the number of lines of output that explain a failure at the end.
const maxTailLines = 15

// commandFailed prints the end of a failed command: the status, the position in the buildspec with
// the cause, and hints. The runner may know the reason (Why), such as memory that ran out; else the
// output is searched for one.
func (t *Text) commandFailed(e runner.Event) {
	output := string(t.printed[max(0, len(t.printed)-maxKept):])
	f := failure{at: placeText(e), problem: e.Problem, output: output, lines: t.lines}
	if output != "" && !strings.HasSuffix(output, "\n") {
		f.lines++
	}
	if f.problem != nil {
		lints := t.lintsOf(e)
		cause, hint, known := advice(e.Exit, output, t.plan, lints)
		f.hints = lintTexts(lints)
		if e.Why != "" {
			hint = e.Why
		}
		if hint != "" {
			f.hints = append(f.hints, "hint: "+hint)
		}
		if known { // the likelier reason first
			f.hints = append(f.hints, t.unsetOf(e)...)
		} else {
			f.hints = append(t.unsetOf(e), f.hints...)
		}
		f.problem.Hint = cmp.Or(f.problem.Hint, cause)
	}
	t.failures.printedAfter()
	t.failures.all = append(t.failures.all, f)
	if t.o.Quiet {
		return // shown at the end, with the output that was not
	}
	t.line("%s  %s", t.styles.weak.Sprint(f.at), t.ending(e))
	if e.Problem != nil {
		t.gap = true
		t.explain(f)
	}
	t.gap = true
}

// ending returns how a command ended that did not succeed.
func (t *Text) ending(e runner.Event) styled {
	took := human.Duration(e.Duration)
	if e.Lost {
		return formatted("%s lost after %s", t.styles.bad.Sprint(t.glyphs.failed), took)
	}
	if e.Problem == nil && e.At != runner.ImagePlace { // it was stopped
		return formatted("%s stopped after %s", t.styles.bad.Sprint(t.glyphs.failed), took)
	}
	return formatted("%s exit %d after %s", t.styles.bad.Sprint(t.glyphs.failed), e.Exit, took)
}

// explains are the checks whose lints can be the reason of a failure of the command. Others, such
// as a deployment after a failure, are about something else.
var explains = map[string]bool{
	"not-privileged": true, "missing-file": true, "not-executable": true, "crlf-script": true, "bash-syntax": true,
	"shell-syntax": true, "lost-text": true, "lost-directory": true, "lost-function": true, "unexpanded-variable": true,
}

// lintsOf returns the lints about a command that may explain why it failed.
func (t *Text) lintsOf(e runner.Event) diag.List {
	var all diag.List
	last := e.Line + strings.Count(strings.TrimRight(e.Text, "\n"), "\n")
	for _, p := range t.o.Lints {
		if p.Severity == diag.Lint && explains[p.Name] && p.Line >= e.Line && p.Line <= last {
			all = append(all, p)
		}
	}
	return all
}

// unsetOf returns the hint about the variables of a command that nothing sets.
func (t *Text) unsetOf(e runner.Event) []string {
	if t.o.Unset == nil {
		return nil
	}
	switch names := t.o.Unset()[e.Line]; len(names) {
	case 0:
		return nil
	case 1:
		return []string{"hint: " + names[0] + " is not set: " + lint.UnsetHint}
	default:
		return []string{"hint: " + human.Series(names) + " are not set: " + lint.UnsetHint}
	}
}

// lintTexts returns lints with their labels, and their hints.
func lintTexts(lints diag.List) []string {
	var all []string
	for _, p := range lints {
		text := "lint: " + p.Message
		if p.Name != "" {
			text += " (" + p.Name + ")"
		}
		if all = append(all, text); p.Hint != "" {
			all = append(all, "hint: "+p.Hint)
		}
	}
	return all
}

// explain prints the position of a failure, and hints.
func (t *Text) explain(f failure) {
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
	return styled(colored(p, t.styles))
}

// phaseEnded prints the failure of a phase that no failed command explained. A fault is printed
// at the end.
func (t *Text) phaseEnded(e runner.Event) {
	if e.Status == runner.Succeeded || e.Status == runner.Stopped || e.Status == runner.Fault ||
		e.Context.StatusCode == runner.CommandError {
		return
	}
	t.gap = true
	switch {
	case e.Problem != nil:
		f := failure{problem: e.Problem}
		if e.Status == runner.TimedOut {
			f.hints = []string{"hint: --timeout DURATION raises the limit"}
		}
		t.failures.printedAfter()
		t.failures.all = append(t.failures.all, f)
		t.explain(f)
	default:
		message := cmp.Or(e.Context.Message, strings.ToLower(string(e.Status)))
		if e.Context.StatusCode != "" {
			message = e.Context.StatusCode + ": " + message
		}
		t.paragraph(t.styles.bad.Sprint("error:"), formatted("%s: %s", string(e.Phase), human.TrimStop(message)))
	}
	t.gap = true
}

// repeat explains the first failure once more, with the end of its output, if something was
// printed after it, or nothing of it was shown.
func (t *Text) repeat() {
	all := t.failures.all
	if len(all) == 0 || !t.o.Quiet && (!t.failures.after || all[0].at == "") {
		return
	}
	t.gap = true
	if commands := commandsOf(all); commands > 1 {
		t.line("%d commands failed. The first:", commands)
	}
	t.explain(all[0])
	t.tail(all[0])
	t.gap = true
}

func commandsOf(all []failure) int {
	n := 0
	for _, f := range all {
		if f.at != "" {
			n++
		}
	}
	return n
}

// tail prints the end of the output of a failed command, each line after a bar.
func (t *Text) tail(f failure) {
	text := strings.TrimRight(f.output, "\r\n")
	if text == "" {
		return
	}
	lines := strings.Split(text, "\n")
	chosen := telling(lines, maxTailLines)
	if len(chosen) < f.lines {
		t.line("last %d of %d lines", len(chosen), f.lines)
	}
	for _, line := range chosen {
		t.line("  %s %s", t.styles.weak.Sprint(t.glyphs.quote), safeLine(lastState(line)))
	}
}

// lastState returns the end of a line that was redrawn with carriage returns, without the
// colors of the command.
func lastState(line string) string {
	line = strings.TrimRight(line, "\r")
	return plain(line[strings.LastIndexByte(line, '\r')+1:])
}

// telling selects at most limit of the lines: those with an error before others, and of both
// the last ones, in their order.
func telling(lines []string, limit int) []string {
	if len(lines) <= limit {
		return lines
	}
	keep := map[int]bool{}
	pick := func(wanted func(string) bool) {
		for i := len(lines) - 1; i >= 0 && len(keep) < limit; i-- {
			if wanted(lines[i]) {
				keep[i] = true
			}
		}
	}
	pick(func(line string) bool { return strings.Contains(strings.ToLower(line), "error") })
	pick(func(string) bool { return true })
	var chosen []string
	for i, line := range lines {
		if keep[i] {
			chosen = append(chosen, line)
		}
	}
	return slices.Clip(chosen)
}

// fault prints the cause of a build that the engine or the host ended.
func (t *Text) fault(err error) {
	if err == nil || t.o.PrintFault == nil {
		return
	}
	t.erase()
	if !t.fresh {
		t.write([]byte("\n"))
	}
	if !t.blank {
		t.write([]byte("\n"))
		t.blank = true
	}
	t.o.PrintFault(err)
}
