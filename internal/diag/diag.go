// Package diag represents problems in input files.
//
// A Problem has a severity, a position, a message, and possibly a hint and a fix. A List holds all
// problems of a file and is an error if one of them is. The package also has functions to escape text
// from outside for a terminal (Escape), to suggest similar words (Suggest) and to apply fixes (Apply).
// It does not print anything.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Severity is how severe a problem is.
type Severity int

// The severities, most severe first. An Error stops the operation; the others do not. A Warning is
// a problem that CodeBuild warns about as well. A Lint is valid but probably unintended.
const (
	Error Severity = iota
	Warning
	Lint
)

// String returns the name of the severity, for humans.
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Lint:
		return "lint"
	}
	return "error"
}

// Problem is one problem in a file.
type Problem struct {
	Severity Severity
	Name     string // of the check, such as unknown-key; may be empty
	File     string // as the user gave it
	Line     int    // from 1; 0 if the problem concerns the whole file
	Column   int    // from 1, in characters; 0 if the problem concerns the whole line
	Width    int    // number of characters to mark; 0 counts as 1
	Path     string // key path, such as phases.build.commands[2]; may be empty
	Message  string // cause, without a full stop
	Hint     string // next step, such as: did you mean "build"?; may be empty
	Service  string // CodeBuild's own message; empty if it has none or it is unknown
	Excerpt  string // the line, without its terminator
	Fix      *Fix   // a change that resolves the problem; may be nil
}

// Text returns the message and the hint in one line, for formats that have one text for each problem:
// the annotations of an editor, SARIF, JUnit and GitHub Actions.
func (p Problem) Text() string {
	if p.Hint == "" {
		return p.Message
	}
	return p.Message + "; " + p.Hint
}

// Error returns the first line of the problem: position, severity, message and the name of the
// check. It has no line feed, so that a problem matcher of an editor or of CI recognizes it.
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
	return oneLine(place + p.Severity.String() + ": " + p.Message + name)
}

// oneLine makes a text printable and keeps it in its line. Messages quote keys and commands of the
// file, which may contain anything.
func oneLine(text string) string { return strings.ReplaceAll(Printable(text), "\n", `\n`) }

// Printable replaces characters that a terminal could interpret, and those that change the order in
// which the surrounding text is displayed.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' && r != '\n' || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// String returns the problem in the format for humans: Error, and if the position is known the line
// with carets below it. It shows only the part of a long line around the position. The hint follows
// the carets, where the eye is already; without carets it has a line of its own.
func (p Problem) String() string {
	parts := p.Parts(maxExcerpt)
	text := parts.Head
	if parts.Excerpt != "" {
		text += "\n" + parts.Excerpt
	}
	switch {
	case parts.Carets != "":
		return text + strings.TrimRight("\n"+parts.Indent+parts.Carets+" "+parts.Hint, " ")
	case parts.Hint != "":
		return text + "\nhint: " + parts.Hint
	}
	return text
}

// Parts are the parts of a problem for humans.
type Parts struct {
	Head    string // Error
	Excerpt string // the line with its number; empty if the position is unknown
	Indent  string // white space and the border before Carets, as wide as the excerpt before the position
	Carets  string // marks below the excerpt; empty if the column is unknown
	Hint    string // in one line; may be empty
}

// Parts returns the parts of a problem, with at most limit columns for the line of the file.
func (p Problem) Parts(limit int) Parts {
	parts := Parts{Head: p.Error(), Hint: oneLine(p.Hint)}
	if p.Excerpt == "" || p.Line <= 0 {
		return parts
	}
	number := fmt.Sprintf("%d", p.Line)
	border := "  " + strings.Repeat(" ", len(number)) + " | "
	// A line that is not longer is shown in full.
	excerpt, column := p.window(min(maxExcerpt, max(minExcerpt, limit-len(border))))
	parts.Excerpt = fmt.Sprintf("  %s | %s", number, excerpt)
	if p.Column > 0 {
		parts.Indent = border + indentTo(excerpt, column)
		parts.Carets = p.carets(excerpt, column)
	}
	return parts
}

// maxCarets limits the carets, so that they fit into one line of a terminal with 80 columns.
const maxCarets = 60

// carets returns the carets below the marked characters, at most to the end of the excerpt.
func (p Problem) carets(excerpt string, column int) string {
	left := len([]rune(excerpt)) - column + 1
	return strings.Repeat("^", max(1, min(p.Width, left, maxCarets)))
}

// The limits of an excerpt, in characters: the longest line that is shown in full, and the shortest
// part of a longer one.
const (
	maxExcerpt = 200
	minExcerpt = 30
)

// window cuts a long line around the position. It returns the column in the result.
func (p Problem) window(limit int) (string, int) {
	const mark = "..."
	line := Printable(p.Excerpt)
	runes := []rune(line)
	if len(runes) <= limit {
		return line, p.Column
	}
	if limit < maxExcerpt {
		limit -= 2 * len(mark)
	}
	before := limit * 3 / 10 // of the part that is shown
	start := min(max(0, p.Column-1-before), len(runes)-1)
	if p.Column-1+min(p.Width, maxCarets) <= limit && limit < maxExcerpt {
		start = 0
	}
	start = max(0, min(start, len(runes)-limit)) // show as much as possible
	end := min(len(runes), start+limit)
	cut := string(runes[start:end])
	if end < len(runes) {
		cut += mark
	}
	if start == 0 {
		return cut, p.Column
	}
	return mark + cut, p.Column - start + len(mark)
}

// indentTo returns white space as wide as the part of line before column. It keeps tabs, so that
// carets are aligned whatever the tab width.
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

// blank returns white space as wide as a character on a terminal.
func blank(r rune) string {
	switch {
	case r == '\t':
		return "\t"
	case unicode.Is(unicode.Mn, r) || r == '\u200d' || r == '\ufe0f':
		return ""
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		r >= '\uff01' && r <= '\uff60', r >= 0x1f300 && r <= 0x1faff:
		return "  "
	}
	return " "
}

// List is the problems of a file or of several. Use Err to return it as an error.
type List []Problem

// Error returns all problems, separated by line feeds.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Failed reports whether the list has an Error.
func (l List) Failed() bool { return l.Count(Error) > 0 }

// Count returns the number of problems with a severity.
func (l List) Count(s Severity) int {
	n := 0
	for _, p := range l {
		if p.Severity == s {
			n++
		}
	}
	return n
}

// Err returns l if it has an Error, and nil otherwise.
func (l List) Err() error {
	if l.Failed() {
		return l
	}
	return nil
}

// Sort sorts the problems by file, line and column.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
