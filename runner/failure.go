package runner

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
)

// Failure is a command that failed, and what a user needs to know about it. Later failures
// of a build are often a consequence of the first.
type Failure struct {
	Command int `json:"command"` // index in the record's commands
	Explanation
	Output []OutputLine `json:"output,omitempty"` // the lines that explain the failure
}

// Explanation says why a command or a phase failed, and at which position of the buildspec.
type Explanation struct {
	Message string   `json:"message,omitempty"` // of a phase; commands have an exit status
	Service string   `json:"service,omitempty"` // CodeBuild's own message about a phase, with its status code
	File    string   `json:"file,omitempty"`    // the buildspec as the user spells it
	Line    int      `json:"line,omitempty"`    // in File; 0 if the reason is not in the buildspec
	Column  int      `json:"column,omitempty"`  // from 1, in characters
	Width   int      `json:"width,omitempty"`   // characters of Line that failed
	Excerpt []string `json:"excerpt,omitempty"` // lines of File around Line
	First   int      `json:"excerptLine,omitempty"`
	Cause   string   `json:"cause,omitempty"` // as the output has it; of a phase, what is there instead
	Hint    string   `json:"hint,omitempty"`
	Hints   []string `json:"hints,omitempty"` // see Event.Hints
}

const (
	// maxFailures is how many failures of a build are described. A build has more only if
	// its phases are retried.
	maxFailures = 20
	// excerptReach is how many lines before and after a failed line are in an excerpt.
	excerptReach = 2
	// maxExcerptLine limits a line of an excerpt, in characters.
	maxExcerptLine = 500
)

// scriptLine matches the line number in an error message of a shell.
var scriptLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`script\.sh: (?:line )?(\d+):`)
})

// textLine is the line of script.sh at which a command's text begins (observed).
const textLine = 4

// failed returns the line of a failed command in the buildspec: the line of the shell's last
// error message in output, else the command's first line. The width of the place is that of
// the masked line.
func (p *Plan) failed(c buildspec.Command, output string, mask func(string) string) *diag.Problem {
	lines := strings.Split(strings.TrimRight(c.Text, "\n"), "\n")
	at := 0
	if found := scriptLine().FindAllStringSubmatch(output, -1); len(found) > 0 && c.Style == buildspec.Literal {
		n, _ := strconv.Atoi(found[len(found)-1][1])
		at = max(0, min(n-textLine, len(lines)-1))
	}
	problem := p.spec.At(c.Line+at, c.Column, max(1, len([]rune(mask(lines[at])))), "")
	problem.Excerpt = mask(problem.Excerpt)
	return &problem
}

// explains are the checks whose lints can be the reason of a failure of the command. Others, such
// as a deployment after a failure, are about something else.
var explains = map[string]bool{
	diag.NotPrivileged: true, diag.MissingFile: true, diag.NotExecutable: true, diag.CRLFScript: true,
	diag.BashSyntax: true, diag.ShellSyntax: true, diag.LostText: true, diag.LostDirectory: true,
	diag.LostFunction: true, diag.UnexpandedVariable: true,
}

// lintsOf returns the lints about a command that may explain why it failed.
func (p *Plan) lintsOf(c call) diag.List {
	var all diag.List
	last := c.line + strings.Count(strings.TrimRight(c.text, "\n"), "\n")
	for _, l := range p.Lints {
		if l.Severity == diag.Lint && explains[l.Name] && l.Line >= c.line && l.Line <= last {
			all = append(all, l)
		}
	}
	return all
}

// lintTexts returns lints and their hints, with labels.
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

// unset returns the hint about the variables of a command that nothing sets.
func (p *Plan) unset(c call) []string {
	if p.Unset == nil {
		return nil
	}
	names := p.Unset()[c.line]
	if len(names) == 0 {
		return nil
	}
	verb := human.Plural(len(names), " is", " are")
	return []string{"hint: " + human.Series(names) + verb + " not set: " + p.UnsetHint}
}

// hiddenValues returns hints about the variables of a command that are empty because an earlier
// command may have failed unseen. A shell is asked for them, because most have a value.
func (b *build) hiddenValues(ctx context.Context, c call) []string {
	if b.plan.Hidden == nil || ctx.Err() != nil {
		return nil
	}
	hidden := b.plan.Hidden()[c.line]
	if len(hidden) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(hidden))
	var script strings.Builder
	for _, name := range names { // names of variables need no quotes
		fmt.Fprintf(&script, "[ -n \"${%s-}\" ] || echo %s\n", name, name)
	}
	ctx, cancel := context.WithTimeout(ctx, maxSearchTime)
	defer cancel()
	output, exit, err := c.session.Capture(ctx, script.String())
	if err != nil || exit != 0 {
		return nil
	}
	empty := strings.Fields(output)
	var all []string
	for _, name := range names {
		if slices.Contains(empty, name) {
			all = append(all, "hint: "+name+" is empty: "+hidden[name])
		}
	}
	return all
}

// hintsOf sets what may explain a failed command: the cause of the event's problem, and hints.
func (b *build) hintsOf(ctx context.Context, c call, e *Event, output string) {
	var lints diag.List
	var unset []string
	if e.Problem != nil { // else it is a command of the image, about which the buildspec says nothing
		lints, unset = b.plan.lintsOf(c), append(b.hiddenValues(ctx, c), b.plan.unset(c)...)
	}
	cause, hint, known := advice(e.Exit, output, b.plan, lints)
	e.Why = cmp.Or(e.Why, hint)
	if e.Problem != nil {
		e.Problem.Hint = cause
	}
	e.Hints = lintTexts(lints)
	if e.Why != "" {
		e.Hints = append(e.Hints, "hint: "+e.Why)
	}
	if known { // the likelier reason first
		e.Hints = append(e.Hints, unset...)
	} else {
		e.Hints = append(unset, e.Hints...)
	}
}

// explainFailure completes the event of a failed command, and records the failure. The
// command is the last one of the record.
func (b *build) explainFailure(ctx context.Context, c call, e *Event) {
	output := b.rec.lastOutput()
	if c.problem != nil {
		e.Problem = c.problem(output)
		e.Problem.Message = fmt.Sprintf("command failed with exit status %d", e.Exit)
	}
	b.hintsOf(ctx, c, e, output)
	f := Failure{Output: b.rec.explainOutput(), Explanation: b.plan.explain(e.Problem, e.Hints)}
	f.Hint = cmp.Or(e.Why, f.Hint)
	b.rec.update(func(r *Record) {
		f.Command = len(r.Commands) - 1
		if len(r.Failures) < maxFailures {
			r.Failures = append(r.Failures, f)
		}
	})
}

// explain describes a failure for the record. The position may be nil.
func (p *Plan) explain(at *diag.Problem, hints []string) Explanation {
	e := Explanation{Hints: hints}
	if len(hints) > 0 {
		e.Hint = strings.TrimPrefix(strings.TrimPrefix(hints[0], "hint: "), "lint: ")
	}
	if at == nil {
		return e
	}
	e.Cause, e.File, e.Line, e.Column, e.Width = at.Hint, at.File, at.Line, at.Column, at.Width
	e.Excerpt, e.First = p.spec.Around(at.Line, excerptReach)
	for i, line := range e.Excerpt {
		if runes := []rune(line); len(runes) > maxExcerptLine {
			e.Excerpt[i] = string(runes[:maxExcerptLine]) + "…"
		}
	}
	return e
}

// explainPhase describes the failure of a phase for the record. It returns nil if the phase's
// context says everything.
func (p *Plan) explainPhase(res result) *Explanation {
	if res.problem == nil {
		return nil
	}
	e := p.explain(res.problem, res.hints)
	e.Message, e.Service = res.problem.Message, res.problem.Service
	return &e
}
