package page

import (
	"slices"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/runner"
)

// mark is a place in a log, in bytes, at which its structure changes.
type mark struct {
	offset int64
	kind   markKind
	number int   // of the command, or of the failure
	ms     int64 // of a time
}

// markKind is the kind of a mark.
type markKind int

const (
	commandEnds markKind = iota // before the others at one offset: it belongs to the line before
	commandBegins
	outputBegins
	agentLine
	errorLine
	shownLine
	timeChanges
)

// marksOf returns the marks of a log, by their offsets.
func marksOf(x builds.LogIndex, failures []runner.Failure) []mark {
	var all []mark
	for i, c := range x.Commands {
		all = append(all, mark{offset: c.Start, kind: commandBegins, number: i},
			mark{offset: c.End, kind: commandEnds, number: i})
		if c.Output > 0 {
			all = append(all, mark{offset: c.Output, kind: outputBegins, number: i})
		}
	}
	for _, offset := range x.Agent {
		all = append(all, mark{offset: offset, kind: agentLine})
	}
	for _, offset := range x.Errors {
		all = append(all, mark{offset: offset, kind: errorLine})
	}
	for i, f := range failures {
		if f.Command < 0 || f.Command >= len(x.Commands) {
			continue
		}
		for _, line := range f.Output {
			all = append(all, mark{offset: x.Commands[f.Command].Output + line.Offset, kind: shownLine, number: i})
		}
	}
	offset, ms := int64(0), int64(0)
	for i := 0; i+1 < len(x.Times); i += 2 {
		offset, ms = offset+x.Times[i], ms+x.Times[i+1]
		all = append(all, mark{offset: offset, kind: timeChanges, ms: ms})
	}
	slices.SortStableFunc(all, func(a, b mark) int {
		if a.offset != b.offset {
			return int(min(max(a.offset-b.offset, -1), 1))
		}
		return int(a.kind - b.kind)
	})
	return all
}

// reach takes the marks up to the line that begins. Times and ends of commands may be inside
// the line before; the others are ignored there.
func (l *logWriter) reach() {
	for len(l.marks) > 0 && l.marks[0].offset <= l.at {
		m := l.marks[0]
		l.marks = l.marks[1:]
		if m.offset == l.at || m.kind == timeChanges || m.kind == commandEnds {
			l.take(m)
		}
	}
	if l.times.next > l.times.ms {
		l.index.Times = append(l.index.Times, int64(l.total)-l.times.line, l.times.next-l.times.ms)
		l.times.line, l.times.ms = int64(l.total), l.times.next
	}
}

// take applies a mark to the line that begins.
func (l *logWriter) take(m mark) {
	switch m.kind {
	case commandBegins:
		l.index.Sections[m.number].Line = l.total
		l.style = style{} // whatever colors the command before left behind
		if l.lines == 0 {
			l.before = ""
		}
	case outputBegins:
		l.index.Sections[m.number].Output = l.total
	case commandEnds:
		// The agent ends all output with a line break, so the last line is often empty.
		l.index.Sections[m.number].End = l.total
		if l.empty && l.total > l.index.Sections[m.number].Output {
			l.index.Sections[m.number].End--
		}
	case agentLine:
		l.index.Agent = append(l.index.Agent, l.total)
	case errorLine:
		l.index.Errors = append(l.index.Errors, l.total)
	case shownLine:
		l.index.Shown[m.number] = append(l.index.Shown[m.number], l.total)
	case timeChanges:
		l.times.next = m.ms
	}
}
