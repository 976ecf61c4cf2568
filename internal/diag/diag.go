// Package diag says what is wrong with a text somebody wrote: how bad it is,
// where it stands, what was expected and the way out.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Severity says how bad a problem is.
type Severity int

// The severities, worst first. An Error stops what was asked for, the others do
// not. A Warning is what the service warns about too, a Lint what it takes
// without a word and what is almost surely not meant.
const (
	Error Severity = iota
	Warning
	Lint
)

// String returns the word a person reads.
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Lint:
		return "lint"
	}
	return "error"
}

// Problem is one thing wrong with a text.
type Problem struct {
	Severity Severity
	Name     string // of the check, such as unknown-key; may be empty
	File     string // as the user named it
	Line     int    // from 1; 0 when the whole file is meant
	Column   int    // from 1, in characters; 0 when the whole line is meant
	Width    int    // characters the caret run covers; 0 counts as 1
	Path     string // such as phases.build.commands[2]; may be empty
	Message  string // what was found, what was expected, the way out
	Service  string // the service's own wording, where it is known
	Excerpt  string // the source line, without its end
	Fix      *Fix   // a change that takes the problem away; nil for none
}

// Error returns the first line of the problem: place, severity, message and the
// name of the check.
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
	name := ""
	if p.Name != "" {
		name = " (" + p.Name + ")"
	}
	return strings.ReplaceAll(Printable(place+p.Severity.String()+": "+p.Message+name), "\n", `\n`)
}

// Printable replaces what a terminal might obey in a text somebody else wrote, and what
// changes the order in which the text around it is shown.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' && r != '\n' || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// String returns the problem as a person reads it: Error, then the source line
// and a caret run below it where the place is known. Of a long line only what
// stands around the place is shown.
func (p Problem) String() string {
	if p.Excerpt == "" || p.Line == 0 {
		return p.Error()
	}
	number := fmt.Sprintf("%d", p.Line)
	excerpt, column := window(Printable(p.Excerpt), p.Column)
	text := fmt.Sprintf("%s\n  %s | %s", p.Error(), number, excerpt)
	if p.Column == 0 {
		return text
	}
	return fmt.Sprintf("%s\n  %s | %s%s", text, strings.Repeat(" ", len(number)),
		indentTo(excerpt, column), strings.Repeat("^", p.run(excerpt, column)))
}

// longestRun is how many carets there are at most: a terminal of 80 columns shows them
// in one line.
const longestRun = 60

// run is how many carets stand below excerpt: no more than it has characters.
func (p Problem) run(excerpt string, column int) int {
	left := len([]rune(excerpt)) - column + 1
	return max(1, min(p.Width, left, longestRun))
}

// The longest line that is shown whole, and how much of a longer one is shown
// before the place, in characters.
const (
	longestExcerpt = 200
	before         = 60
)

// window cuts a long line around a column, and returns the column in what is
// left.
func window(line string, column int) (string, int) {
	if len(line) <= longestExcerpt {
		return line, column
	}
	runes := []rune(line)
	if len(runes) <= longestExcerpt {
		return line, column
	}
	start := min(max(0, column-1-before), len(runes)-1)
	end := min(len(runes), start+longestExcerpt)
	cut := string(runes[start:end])
	if end < len(runes) {
		cut += "..."
	}
	if start == 0 {
		return cut, column
	}
	return "..." + cut, column - start + len("...")
}

// indentTo returns white space as wide as the characters of line before column;
// tabs stay tabs, so that the caret stands below what it points at.
func indentTo(line string, column int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= column-1 {
			break
		}
		b.WriteString(blank(r))
	}
	return b.String()
}

// blank is white space as wide as a character on a terminal.
func blank(r rune) string {
	switch {
	case r == '\t':
		return "\t"
	case unicode.Is(unicode.Mn, r) || r == '\u200d' || r == '\ufe0f':
		return ""
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) || r >= '\uff01' && r <= '\uff60' || r >= 0x1f300 && r <= 0x1faff:
		return "  "
	}
	return " "
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
func (l List) Failed() bool { return l.Count(Error) > 0 }

// Count returns how many problems have a severity.
func (l List) Count(s Severity) int {
	n := 0
	for _, p := range l {
		if p.Severity == s {
			n++
		}
	}
	return n
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
