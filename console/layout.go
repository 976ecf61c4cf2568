package console

import (
	"strings"

	"github.com/rivo/uniseg"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// The widest text of each kind, in columns. Longer lines of prose are hard to read.
const (
	maxProse = 100
	maxTable = 200
)

// glyphs are the signs of the program. Each is beside a word or a number that says the same.
type glyphs struct{ ok, failed, dot, bar, cut, quote, arrow, stopped, current, breakpoint string }

var (
	unicodeGlyphs = glyphs{"✓", "✗", " · ", "█", "…", "│", "→", "■", "▸", "●"}
	asciiGlyphs   = glyphs{"ok", "X", " - ", "#", "...", "|", "->", "#", ">", "*"}
)

// width returns the number of columns that a text without control characters takes on a
// terminal. Characters are grapheme clusters: a flag or a letter with accents is one.
func width(text string) int { return uniseg.StringWidth(text) }

// cut shortens a text to a number of columns. 0 is no limit.
func (t *Text) cut(text string, limit int) string {
	if limit <= 0 || width(text) <= limit {
		return text
	}
	var b strings.Builder
	left := limit - width(t.glyphs.cut)
	for rest, state := text, -1; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if left -= w; left < 0 {
			break
		}
		b.WriteString(cluster)
	}
	return strings.TrimRight(b.String(), " ") + t.glyphs.cut
}

// cutRunes shortens a text to a number of characters, on any output.
func cutRunes(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// pad adds spaces to a text up to a number of columns.
func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-width(text)))
}

// Wrap breaks a text at spaces into lines of at most limit columns, as long as no word is longer.
func Wrap(text string, limit int) []string { return wrap(text, limit) }

// wrap breaks a text at spaces into lines of at most limit columns. A word that is longer, such
// as a path, stays whole, so that it can be copied. 0 is no limit. The text may have colors,
// but none that spans spaces.
func wrap(text string, limit int) []string {
	if limit <= 0 || width(plain(text)) <= limit {
		return []string{text}
	}
	var lines []string
	line, taken := "", 0
	for _, word := range strings.Split(text, " ") {
		w := width(plain(word))
		if line != "" && taken+1+w > limit {
			lines = append(lines, line)
			line, taken = word, w
			continue
		}
		if line != "" {
			line, taken = line+" ", taken+1
		}
		line, taken = line+word, taken+w
	}
	return append(lines, line)
}

// wrapIndented is wrap with the indentation of the text before each line.
func wrapIndented(text string, limit int) []string {
	trimmed := strings.TrimLeft(text, " ")
	indent := text[:len(text)-len(trimmed)]
	lines := wrap(trimmed, max(1, limit-len(indent)))
	for i, line := range lines {
		lines[i] = indent + line
	}
	return lines
}

// plain removes the colors of a text.
func plain(text string) string {
	if !strings.Contains(text, "\x1b") {
		return text
	}
	return string(diag.Plain([]byte(text)))
}

// columns returns the width of the terminal, at most limit, or 0 off a terminal, where nothing
// is wrapped or shortened.
func (t *Text) columns(limit int) int {
	if t.o.Width == nil {
		return 0
	}
	return min(limit, max(minColumns, t.o.Width()))
}

// minColumns is the narrowest terminal that texts are fitted to.
const minColumns = 40

// paragraph writes a text with a label, such as "hint:", wrapped below the label.
func (t *Text) paragraph(label, text styled) {
	indent := width(plain(string(label))) + 1
	limit := t.columns(maxProse)
	if limit > 0 {
		limit -= indent
	}
	for i, line := range wrap(string(text), limit) {
		if i == 0 {
			t.line("%s %s", label, styled(line))
			continue
		}
		t.line("%s%s", strings.Repeat(" ", indent), styled(line))
	}
}
