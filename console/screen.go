package console

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

// Screen prints the output of commands other than run: lines, paragraphs and tables, in the
// colors and signs of a build's output.
type Screen struct{ t *Text }

// NewScreen returns a Screen that writes to w.
func NewScreen(w io.Writer, o Options) *Screen { return &Screen{NewText(w, o)} }

// Err returns the first error of the writer.
func (s *Screen) Err() error { return s.t.Err() }

// Span is a piece of text in one color. Text from outside is escaped when it is printed.
type Span struct {
	Text  string
	paint paint
	sign  sign
}

// paint names a color of styles.
type paint int

const (
	paintPlain paint = iota
	paintStrong
	paintWeak
	paintAccent
	paintGood
	paintBad
	paintWarn
)

// sign names a glyph, which depends on the terminal.
type sign int

const (
	signNone sign = iota
	signOK
	signFailed
	signAttention
	signStopped
	signCurrent
	signInfo
	signBreakpoint
)

// Plain returns text without a color.
func Plain(text string) Span { return Span{Text: text} }

// Strong returns a text that people look for, such as the head of a table.
func Strong(text string) Span { return Span{Text: text, paint: paintStrong} }

// Weak returns a text that people can do without.
func Weak(text string) Span { return Span{Text: text, paint: paintWeak} }

// Accent returns a text to type or to open.
func Accent(text string) Span { return Span{Text: text, paint: paintAccent} }

// Good returns a text about success.
func Good(text string) Span { return Span{Text: text, paint: paintGood} }

// Bad returns a text about a failure.
func Bad(text string) Span { return Span{Text: text, paint: paintBad} }

// Warn returns a text that needs attention.
func Warn(text string) Span { return Span{Text: text, paint: paintWarn} }

// The signs of states. A word beside each says the same.
var (
	SignOK         = Span{sign: signOK, paint: paintGood}
	SignFailed     = Span{sign: signFailed, paint: paintBad}
	SignAttention  = Span{sign: signAttention, paint: paintWarn}
	SignStopped    = Span{sign: signStopped, paint: paintWarn}
	SignCurrent    = Span{sign: signCurrent, paint: paintAccent}
	SignInfo       = Span{sign: signInfo, paint: paintWeak}
	SignBreakpoint = Span{sign: signBreakpoint, paint: paintWarn}
)

// Line prints pieces of text as one line, which is never wrapped.
func (s *Screen) Line(spans ...Span) {
	var line styled
	for _, span := range spans {
		line += s.style(span)
	}
	s.t.line("%s", styled(strings.TrimRight(string(line), " ")))
}

// Facts prints facts of equal rank on a line, joined by dots.
func (s *Screen) Facts(spans ...Span) {
	parts := make([]string, len(spans))
	for i, span := range spans {
		parts[i] = string(s.style(span))
	}
	for _, line := range wrapAt(strings.Join(parts, s.t.glyphs.dot), s.t.glyphs.dot, s.t.columns(maxProse)) {
		s.t.line("%s", styled(line))
	}
}

// Paragraph prints text after a label, such as "hint:", wrapped beside the label.
func (s *Screen) Paragraph(text string, label ...Span) {
	var head styled
	for _, span := range label {
		head += s.style(span)
	}
	s.t.paragraph(head, formatted("%s", diag.EscapeLine(text)))
}

// Problem prints a problem of a file.
func (s *Screen) Problem(p diag.Problem) {
	s.t.line("%s", styled(colored(p, s.t.styles, s.t.columns(maxTable))))
}

// Sign returns a sign that is as wide as the others.
func (s *Screen) Sign(sign Span) Span {
	return Span{Text: pad(s.text(sign), width(s.t.glyphs.ok)), paint: sign.paint}
}

// FirstLine returns the first line of a text, with a mark if there are more.
func (s *Screen) FirstLine(text string) string {
	first, more, _ := strings.Cut(strings.TrimRight(text, "\n"), "\n")
	if more != "" {
		first += " " + s.t.glyphs.cut
	}
	return first
}

// Gap prints a blank line before the next line, unless nothing was printed yet.
func (s *Screen) Gap() { s.t.gap = true }

// style returns a piece of text in its color.
func (s *Screen) style(span Span) styled {
	text := s.text(span)
	if text == "" {
		return ""
	}
	c := s.t.styles
	switch span.paint {
	case paintStrong:
		return c.strong.Sprint(text)
	case paintWeak:
		return c.weak.Sprint(text)
	case paintAccent:
		return c.accent.Sprint(text)
	case paintGood:
		return c.good.Sprint(text)
	case paintBad:
		return c.bad.Sprint(text)
	case paintWarn:
		return c.warn.Sprint(text)
	}
	return formatted("%s", text)
}

// text returns a piece of text without its color, escaped.
func (s *Screen) text(span Span) string {
	g := s.t.glyphs
	switch span.sign {
	case signOK:
		return g.ok
	case signFailed:
		return g.failed
	case signAttention:
		return "!"
	case signStopped:
		return g.stopped
	case signCurrent:
		return g.current
	case signInfo:
		return strings.TrimSpace(g.dot)
	case signBreakpoint:
		return g.breakpoint
	}
	return diag.EscapeLine(span.Text)
}

// Sparkline returns numbers as a row of bars, scaled to the largest; "" if the terminal cannot
// show them.
func (s *Screen) Sparkline(numbers []int64) string {
	const bars = "▁▂▃▄▅▆▇█"
	if s.t.o.ASCII || len(numbers) == 0 {
		return ""
	}
	steps := []rune(bars)
	most := numbers[0]
	for _, n := range numbers {
		most = max(most, n)
	}
	var b strings.Builder
	for _, n := range numbers {
		b.WriteRune(steps[max(0, n)*int64(len(steps)-1)/max(1, most)])
	}
	return b.String()
}

// Column is a column of a Table.
type Column struct {
	Title string
	// Drop is the order in which columns are left out on a narrow terminal, from 1; 0 keeps the
	// column.
	Drop int
	// Fit is how cells are shortened if the table is still too wide.
	Fit Fit
}

// Fit is how a cell is shortened.
type Fit int

// The values of Fit.
const (
	FitNone Fit = iota // the cell stays whole
	FitText            // at the end of a word
	FitPath            // the path loses parts in the middle
	FitWrap            // not at all: the cell goes on below, if it is in the last column
)

// Table is rows below a head. Off a terminal all columns are printed, with whole cells.
type Table struct {
	Columns []Column
	Rows    [][]Span
	NoHead  bool
}

// Add adds a row.
func (t *Table) Add(cells ...Span) { t.Rows = append(t.Rows, cells) }

// Table prints a table. Columns are separated by two spaces, those of a sign by one.
func (s *Screen) Table(t Table) {
	columns := s.fitted(t)
	if !t.NoHead {
		head := make([]Span, len(t.Columns))
		for i, c := range t.Columns {
			head[i] = Strong(c.Title)
		}
		s.row(head, columns)
	}
	for _, row := range t.Rows {
		s.row(row, columns)
	}
}

// fittedColumn is a column of a table for one terminal.
type fittedColumn struct {
	index int // of the cells
	width int
	limit int // of cells that are shortened
	fit   Fit
	sign  bool // the cells are signs
}

// fitted returns the columns that are printed, with their widths.
func (s *Screen) fitted(t Table) []fittedColumn {
	var all []fittedColumn
	for i, c := range t.Columns {
		f := fittedColumn{index: i, fit: c.Fit, sign: true}
		if !t.NoHead {
			f.width = width(c.Title)
		}
		for _, row := range t.Rows {
			if i < len(row) {
				f.width = max(f.width, width(s.text(row[i])))
				f.sign = f.sign && row[i].sign != signNone
			}
		}
		f.sign = f.sign && len(t.Rows) > 0
		all = append(all, f)
	}
	limit := s.t.columns(maxTable)
	if limit <= 0 {
		for i := range all {
			all[i].limit = all[i].width
		}
		return all
	}
	for drop := 1; t.least(all) > limit && drop <= len(t.Columns); drop++ {
		for i, f := range all {
			if t.Columns[f.index].Drop == drop {
				all = append(all[:i:i], all[i+1:]...)
				break
			}
		}
	}
	all = shrunk(all, limit)
	for i := range all { // words are not cut, so cells may be shorter than their column
		if all[i].limit = all[i].width; all[i].fit == FitText {
			all[i].width = s.widestCell(t, all[i])
		}
	}
	return all
}

// widestCell returns the width of a column whose cells are shortened.
func (s *Screen) widestCell(t Table, f fittedColumn) int {
	most := 0
	if !t.NoHead {
		most = width(t.Columns[f.index].Title)
	}
	for _, row := range t.Rows {
		if f.index < len(row) {
			most = max(most, width(s.shortened(s.text(row[f.index]), f)))
		}
	}
	return most
}

// least returns the width of a row whose columns that stay, and may be shortened, are not wider than
// a few words: one long cell must not keep all other columns from being shown.
func (t Table) least(all []fittedColumn) int {
	const few = 24
	all = slices.Clone(all)
	for i, f := range all {
		if f.fit != FitNone && t.Columns[f.index].Drop == 0 {
			all[i].width = min(f.width, few)
		}
	}
	return total(all)
}

// total returns the width of a row.
func total(all []fittedColumn) int {
	sum := 0
	for i, f := range all {
		sum += f.width
		if i < len(all)-1 {
			sum += f.space()
		}
	}
	return sum
}

// space returns the number of spaces after a column.
func (f fittedColumn) space() int {
	if f.sign {
		return 1
	}
	return 2
}

// shrunk takes the columns of the terminal that are too many from the widest cells that may be shortened.
func shrunk(all []fittedColumn, limit int) []fittedColumn {
	const least = 12
	for total(all) > limit {
		widest := -1
		for i, f := range all {
			if f.fit != FitNone && f.width > least && (widest < 0 || f.width >= all[widest].width) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		all[widest].width--
	}
	return all
}

// row prints a row of a table.
func (s *Screen) row(cells []Span, columns []fittedColumn) {
	var line, rest []Span
	left := 0 // columns of the terminal before the cell
	for i, f := range columns {
		if f.index >= len(cells) {
			break
		}
		cell := cells[f.index]
		text := s.shortened(s.text(cell), f)
		if f.fit == FitWrap {
			lines := wrapIndented(text, f.limit)
			text = lines[0]
			for _, more := range lines[1:] {
				rest = append(rest, Span{Text: more, paint: cell.paint})
			}
		}
		line = append(line, Span{Text: text, paint: cell.paint})
		if i < len(columns)-1 {
			line = append(line, Plain(strings.Repeat(" ", max(0, f.width-width(text))+f.space())))
			left += f.width + f.space()
		}
	}
	s.Line(line...)
	for _, more := range rest {
		s.Line(Plain(strings.Repeat(" ", left)), more)
	}
}

// shortened returns a cell that fits its column.
func (s *Screen) shortened(text string, f fittedColumn) string {
	switch {
	case f.fit == FitNone || f.fit == FitWrap || width(text) <= f.limit:
		return text
	case f.fit == FitPath:
		return s.shortPath(text, f.limit)
	}
	short := s.t.cut(text, f.limit)
	if at := strings.LastIndexByte(short, ' '); at > f.limit/2 { // at the end of a word
		short = strings.TrimRight(short[:at], " ,;") + s.t.glyphs.cut
	}
	return short
}

// shortPath leaves out directories in the middle of a path, such as ~/src/…/api.
func (s *Screen) shortPath(path string, limit int) string {
	parts := strings.Split(path, "/")
	for left := len(parts) - 1; left > 1; left-- {
		head := (left + 1) / 2
		short := slices.Concat(parts[:head], []string{s.t.glyphs.cut}, parts[len(parts)-left+head:])
		if text := strings.Join(short, "/"); width(text) <= limit {
			return text
		}
	}
	return s.t.cut(path, limit)
}

// Printf prints a line with the values escaped.
func (s *Screen) Printf(format string, args ...any) {
	for i, arg := range args {
		if text, is := arg.(string); is {
			args[i] = diag.EscapeLine(text)
		}
	}
	s.t.line("%s", styled(fmt.Sprintf(format, args...)))
}

// DropEmpty leaves out columns without any text below the head.
func (t *Table) DropEmpty() {
	for i := len(t.Columns) - 1; i >= 0; i-- {
		used := slices.ContainsFunc(t.Rows, func(row []Span) bool {
			return i < len(row) && (row[i].Text != "" || row[i].sign != signNone)
		})
		if used {
			continue
		}
		t.Columns = slices.Delete(t.Columns, i, i+1)
		for r, row := range t.Rows {
			if i < len(row) {
				t.Rows[r] = slices.Delete(row, i, i+1)
			}
		}
	}
}

// State returns the sign of a build's status, and its name in the same color.
func State(status runner.Status) (sign, name Span) {
	text := string(status)
	switch status {
	case runner.Succeeded:
		return SignOK, Good(text)
	case runner.Failed, runner.TimedOut:
		return SignFailed, Bad(text)
	case runner.Stopped:
		return SignStopped, Warn(text)
	case runner.Fault:
		return SignAttention, Bad(text)
	}
	return SignAttention, Warn(text)
}

// Failure prints the position of a failed command, and hints.
func (s *Screen) Failure(p *diag.Problem, hints []string) {
	s.t.explain(failure{problem: p, hints: hints})
}
