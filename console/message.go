package console

import (
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// labels are the labels of messages, with their colors.
var labels = map[string]paint{
	"error": paintBad, "warning": paintWarn, "lint": paintWarn, "note": paintPlain, "hint": paintAccent,
}

// Message prints lines, those with a label such as "error: " wrapped beside it. Other lines, which
// are indented, are part of a table of two columns, or continue the line before.
func (s *Screen) Message(text string) {
	var table []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, messageIndent) {
			table = append(table, diag.EscapeLine(line))
			continue
		}
		s.indented(table)
		table = nil
		label, rest, found := strings.Cut(line, ": ")
		if paint, known := labels[label]; found && known {
			s.Paragraph(rest, Span{Text: label + ":", paint: paint})
			continue
		}
		s.Line(Plain(line))
	}
	s.indented(table)
}

const (
	messageIndent = "  "  // of the lines that follow a message
	messageGap    = "   " // between the columns of a table in a message
)

// indented prints the indented lines of a message. If a row of the table is wider than the terminal,
// the second column is below the first one in all rows: it has commands, which are copied whole.
func (s *Screen) indented(lines []string) {
	limit := s.t.columns(maxTable)
	fits := limit == 0 || widest(lines) <= limit
	for _, line := range lines {
		left, right, isRow := strings.Cut(line[len(messageIndent):], messageGap)
		switch {
		case !isRow:
			s.continued(line, min(limit, maxProse))
		case fits:
			s.t.line("%s", styled(line))
		default:
			s.t.line("%s", styled(messageIndent+left))
			s.t.line("%s", styled(messageIndent+messageIndent+strings.TrimLeft(right, " ")))
		}
	}
}

// continued prints a line that continues a message, wrapped behind the word with a colon in front, if
// it has one.
func (s *Screen) continued(line string, limit int) {
	indent := messageIndent
	if label, _, found := strings.Cut(line[len(messageIndent):], ": "); found && !strings.Contains(label, " ") {
		indent += strings.Repeat(" ", width(label+": "))
	}
	for _, part := range hanging(line, limit, indent) {
		s.t.line("%s", styled(part))
	}
}
