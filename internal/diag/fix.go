package diag

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Fix is a change of the text that takes a problem away and means what its
// author meant.
type Fix struct {
	Title string // what it does, such as: write "base-directory"
	Safe  bool   // nobody can have meant anything else
	Edits []Edit
}

// Edit puts Text in the place of Old, which stands in one line. Lines and
// columns count from 1, columns in characters. A line ends at a line feed.
type Edit struct {
	Line, Column int
	Old, Text    string
}

// end is the column behind what is replaced.
func (e Edit) end() int { return e.Column + len([]rune(e.Old)) }

// Apply returns text with the fixes of problems made, and which of the problems
// these were. Of two fixes that touch the same place only the first is made, and
// none whose Old is not what stands there. Everything else stays as it is, byte
// for byte.
func Apply(text string, problems List) (string, List) {
	lines := strings.SplitAfter(text, "\n")
	var done List
	var edits []Edit
	for _, p := range problems {
		if p.Fix == nil || !fits(lines, edits, p.Fix.Edits) {
			continue
		}
		edits = append(edits, p.Fix.Edits...)
		done = append(done, p)
	}
	slices.SortFunc(edits, func(a, b Edit) int { // from the end, so that places stay true
		return cmp.Or(cmp.Compare(b.Line, a.Line), cmp.Compare(b.Column, a.Column))
	})
	for _, e := range edits {
		runes := []rune(lines[e.Line-1])
		lines[e.Line-1] = string(runes[:e.Column-1]) + e.Text + string(runes[e.end()-1:])
	}
	return strings.Join(lines, ""), done
}

// fits reports whether more edits can be made beside those that will be.
func fits(lines []string, made, more []Edit) bool {
	for _, e := range more {
		if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || !utf8.ValidString(lines[e.Line-1]) {
			return false
		}
		runes := []rune(lines[e.Line-1])
		if e.end()-1 > len(runes) || string(runes[e.Column-1:e.end()-1]) != e.Old {
			return false
		}
		if slices.ContainsFunc(made, func(m Edit) bool {
			return m.Line == e.Line && m.Column <= e.end() && e.Column <= m.end()
		}) {
			return false
		}
	}
	return true
}
