package console

import (
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
)

const (
	// hangingIndent is the indentation of the further lines of a problem's first line, and of a
	// verdict.
	hangingIndent = 4
	// minHint is the narrowest space after carets for a hint. With less it is below them.
	minHint = 24
)

// colored returns a problem as it is printed, with its severity and its carets in color, for a
// number of columns. 0 is no limit: off a terminal nothing is wrapped.
func colored(p diag.Problem, s styles, columns int) string {
	paint := s.warn
	if p.Severity == diag.Error {
		paint = s.bad
	}
	prose, excerpt := min(columns, maxProse), columns
	if columns <= 0 {
		prose, excerpt = 0, maxTable
	}
	parts := p.Parts(excerpt)
	word := p.Severity.String() + ":"
	before := ""
	if p.File != "" { // else the line begins with the severity
		before = " "
	}
	head := strings.Replace(parts.Head, before+word+" ", before+string(paint.Sprint(word))+" ", 1)
	lines := hanging(head, prose, strings.Repeat(" ", hangingIndent))
	if parts.Excerpt != "" {
		lines = append(lines, parts.Excerpt)
	}
	switch {
	case parts.Carets != "":
		// Only the carets are colored, not their indentation, which repeats the tabs of the line.
		marks := parts.Indent + string(paint.Sprint(parts.Carets))
		lines = append(lines, besideCarets(marks, parts, prose)...)
	case parts.Hint != "":
		const label = "hint: "
		hint := string(s.accent.Sprint("hint:")) + " " + parts.Hint
		lines = append(lines, hanging(hint, prose, strings.Repeat(" ", len(label)))...)
	}
	return strings.Join(lines, "\n")
}

// besideCarets returns the line with the carets, followed by the hint: beside them, or below them if
// there is too little space.
func besideCarets(marks string, parts diag.Parts, limit int) []string {
	if parts.Hint == "" {
		return []string{marks}
	}
	first := limit - tabbedWidth(parts.Indent) - len(parts.Carets) - 1
	switch {
	case limit <= 0 || width(parts.Hint) <= first:
		return []string{marks + " " + parts.Hint}
	case first >= minHint:
		// Further lines begin below the carets.
		words := wrap(parts.Hint, first)
		rest := strings.TrimPrefix(parts.Hint, words[0]+" ")
		lines := []string{marks + " " + words[0]}
		for _, line := range wrap(rest, limit-tabbedWidth(parts.Indent)) {
			lines = append(lines, parts.Indent+line)
		}
		return lines
	}
	border := parts.Indent[:strings.IndexByte(parts.Indent, '|')+1] + "   "
	return append([]string{marks}, hanging(border+parts.Hint, limit, border)...)
}

// tabbedWidth returns the number of columns of white space with tabs.
func tabbedWidth(text string) int {
	const stop = 8
	columns := 0
	for _, r := range text {
		if columns++; r == '\t' {
			columns = (columns + stop - 1) / stop * stop
		}
	}
	return columns
}

// hanging breaks a text at spaces into lines of at most limit columns, with an indentation of all
// lines but the first. 0 is no limit.
func hanging(text string, limit int, indent string) []string {
	if limit <= 0 || width(plain(text)) <= limit {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.SplitAfter(text, " ") {
		if strings.TrimSpace(line) != "" && width(plain(line+strings.TrimRight(word, " "))) > limit {
			lines = append(lines, strings.TrimRight(line, " "))
			line = indent
		}
		line += word
	}
	return append(lines, strings.TrimRight(line, " "))
}
