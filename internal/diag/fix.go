package diag

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Fix is a change of the text that resolves a problem.
type Fix struct {
	Title string // imperative phrase, such as: write "base-directory"
	Safe  bool   // no other change could be meant, so --fix applies it
	Edits []Edit
}

// Edit replaces Old, which is in a single line, by Text. Lines and columns count from 1, columns in
// characters. Lines end with a line feed.
type Edit struct {
	Line, Column int
	Old, Text    string
}

// Change returns the part of the first edited line that the fix changes, in a text before the fix and
// after it. Edits of other lines are left out.
func (f *Fix) Change(text string) (line int, before, after string) {
	if len(f.Edits) == 0 {
		return 0, "", ""
	}
	line = f.Edits[0].Line
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return line, "", ""
	}
	runes := []rune(lines[line-1])
	edits := slices.DeleteFunc(slices.Clone(f.Edits), func(e Edit) bool { return e.Line != line })
	slices.SortFunc(edits, func(a, b Edit) int { return cmp.Compare(a.Column, b.Column) })
	first, at := edits[0].Column-1, edits[0].Column-1
	for _, e := range edits {
		if e.Column-1 < at || e.end()-1 > len(runes) {
			return line, "", ""
		}
		after += string(runes[at:e.Column-1]) + e.Text
		at = e.end() - 1
	}
	return line, string(runes[first:at]), after
}

// end returns the column after the replaced text.
func (e Edit) end() int { return e.Column + len([]rune(e.Old)) }

// Apply applies the fixes of problems to a text. It returns the result and the problems whose fixes
// were applied. It skips a fix that touches the place of an earlier one, or whose Old is not in the
// text. All other bytes are unchanged.
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
	// Edits are applied from the end, so that the positions of the others remain valid.
	slices.SortFunc(edits, func(a, b Edit) int {
		return cmp.Or(cmp.Compare(b.Line, a.Line), cmp.Compare(b.Column, a.Column))
	})
	for _, e := range edits {
		runes := []rune(lines[e.Line-1])
		lines[e.Line-1] = string(runes[:e.Column-1]) + e.Text + string(runes[e.end()-1:])
	}
	return strings.Join(lines, ""), done
}

// fits reports whether edits can be applied in addition to those already accepted.
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
