package console

import (
	"fmt"
	"io"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
)

// Fixed is a problem that --fix has resolved.
type Fixed struct {
	Line          int
	Before, After string // the changed part of the line
	Check         string
}

// writeFixes writes what --fix has changed, aligned: the place, the change and the check. On a terminal
// that is too narrow for a change, the change is below its place, as a whole.
func writeFixes(w io.Writer, r Report, s styles) {
	var places, changes, checks []string
	for _, file := range r.Files {
		for _, f := range file.Fixed {
			places = append(places, diag.EscapeLine(fmt.Sprintf("%s:%d", file.File, f.Line)))
			changes = append(changes, diag.EscapeLine(f.Before)+" "+r.glyphs().arrow+" "+diag.EscapeLine(f.After))
			checks = append(checks, diag.EscapeLine(f.Check))
		}
	}
	const label, gap = "fixed", "  "
	place := widest(places)
	change := min(widest(changes), maxAlignedChange)
	for i := range places {
		head := pad(places[i], place) + gap + string(s.good.Sprint(label)) + gap
		room := maxTable // for the change
		if r.Width > 0 {
			room = r.Width - place - len(label) - width(checks[i]) - 3*len(gap)
		}
		if r.Width <= 0 || width(changes[i]) <= room {
			fmt.Fprintf(w, "%s%s%s%s\n", head, pad(changes[i], min(change, room)), gap, checks[i])
			continue
		}
		fmt.Fprintf(w, "%s%s\n", head, checks[i])
		for _, line := range hanging(strings.Repeat(" ", hangingIndent)+changes[i], min(r.Width, maxProse),
			strings.Repeat(" ", hangingIndent)) {
			fmt.Fprintln(w, line)
		}
	}
}

// maxAlignedChange is the widest change to which the others are aligned, in columns.
const maxAlignedChange = 60

func widest(texts []string) int {
	most := 0
	for _, t := range texts {
		most = max(most, width(t))
	}
	return most
}

// glyphs returns the signs of the report.
func (r Report) glyphs() glyphs {
	if r.ASCII {
		return asciiGlyphs
	}
	return unicodeGlyphs
}

// fixedSummary counts what --fix has done and has left: fixed 3 of 4 problems; 1 lint left in 1 file.
func fixedSummary(r Report, fixed int) string {
	left := 0
	for _, f := range r.Files {
		left += len(f.Problems)
	}
	files := human.Count(len(r.Files), "file")
	text := fmt.Sprintf("fixed %d of %s", fixed, human.Count(fixed+left, "problem"))
	if left == 0 {
		return text + " in " + files
	}
	return text + "; " + strings.Join(severities(r), ", ") + " left in " + files
}
