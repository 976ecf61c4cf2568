// Package diag says what is wrong with a text somebody wrote: how bad it is,
// where it stands, what was expected and the way out.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a problem is.
type Severity int

// The severities, worst first. An Error stops what was asked for, a Warning
// does not.
const (
	Error Severity = iota
	Warning
)

// String returns the word a person reads.
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Problem is one thing wrong with a text.
type Problem struct {
	Severity Severity
	File     string // as the user named it
	Line     int    // from 1; 0 when the whole file is meant
	Column   int    // from 1, in characters; 0 when the whole line is meant
	Width    int    // characters the caret run covers; 0 counts as 1
	Path     string // such as phases.build.commands[2]; may be empty
	Message  string // what was found, what was expected, the way out
	Service  string // the service's own wording, where it is known
	Excerpt  string // the source line, without its end
}

// Error returns the first line of the problem: place, severity and message.
func (p Problem) Error() string {
	place := p.File
	if p.Line > 0 {
		place += fmt.Sprintf(":%d", p.Line)
		if p.Column > 0 {
			place += fmt.Sprintf(":%d", p.Column)
		}
	}
	if place != "" {
		place += ": "
	}
	return fmt.Sprintf("%s%s: %s", place, p.Severity, p.Message)
}

// String returns the problem as a person reads it: Error, then the source line
// and a caret run below it where the place is known.
func (p Problem) String() string {
	if p.Excerpt == "" || p.Line == 0 {
		return p.Error()
	}
	number := fmt.Sprintf("%d", p.Line)
	text := fmt.Sprintf("%s\n  %s | %s", p.Error(), number, p.Excerpt)
	if p.Column == 0 {
		return text
	}
	return fmt.Sprintf("%s\n  %s | %s%s", text, strings.Repeat(" ", len(number)),
		indentTo(p.Excerpt, p.Column), strings.Repeat("^", max(1, p.Width)))
}

// indentTo returns white space as wide as the characters of line before column;
// tabs stay tabs, so that the caret stands below what it points at.
func indentTo(line string, column int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= column-1 {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
			continue
		}
		b.WriteRune(' ')
	}
	return b.String()
}

// List is every problem of one text. It is an error when Failed says so.
type List []Problem

// Error returns every problem, one below the other.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Failed reports whether an Error is among the problems.
func (l List) Failed() bool {
	return slices.ContainsFunc(l, func(p Problem) bool { return p.Severity == Error })
}

// Err returns l as an error when an Error is among the problems, else nil.
func (l List) Err() error {
	if l.Failed() {
		return l
	}
	return nil
}

// Sort orders the problems by file, line and column.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
