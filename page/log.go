package page

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/runner"
)

// blockSize is the size of a piece of the log before it is compressed, in bytes. A piece is
// unpacked only if it is viewed or searched: smaller ones compress worse, larger ones take
// noticeably long to unpack.
const blockSize = 512 << 10

// maxLine limits a line of the page's log, in bytes. Browsers are slow with longer lines,
// such as minified JavaScript; they are continued on the next line.
const maxLine = 64 << 10

// logIndex is the structure of the log for the scripts of the page, in lines from 0. With it
// a script can show any line without unpacking those before.
type logIndex struct {
	Blocks   []logBlock `json:"blocks"`
	Sections []section  `json:"sections"` // in the order of the log; none is inside another
	Agent    []int      `json:"agent"`    // the agent's lines
	Errors   []int      `json:"errors"`   // lines that look like errors
	// Times are pairs of a line and the milliseconds at which it was written, from the
	// beginning of the build, both as differences to the pair before. A pair holds until the
	// next one. It is empty for builds that did not record times.
	Times []int64 `json:"times"`
	Shown [][]int `json:"shown"` // the lines that explain each failure
}

// logBlock is one piece of the log.
type logBlock struct {
	First int    `json:"first"` // its first line, from 0
	Lines int    `json:"lines"`
	Style string `json:"style,omitempty"` // the colors at its beginning, as classes of the page
}

// section is the part of a command.
type section struct {
	Command int    `json:"command"` // its number in the index of the log
	Line    int    `json:"line"`    // the line that names the command, from 0
	Output  int    `json:"output"`  // the first line of its output
	End     int    `json:"end"`     // the line after its output
	Bad     bool   `json:"bad,omitempty"`
	Phase   string `json:"phase,omitempty"`
}

// logWriter cuts a log into pieces, and converts the offsets of its structure to lines. It
// reads the log once, and keeps one piece in memory.
type logWriter struct {
	piece  func(text []byte) error // called for each piece
	index  logIndex
	marks  []mark // those that have not been reached, by their offsets
	at     int64  // offset of the line, in bytes
	block  bytes.Buffer
	lines  int    // in the block
	total  int    // lines before the one that is added
	empty  bool   // the line before is empty
	style  style  // at the end of the text so far
	before string // the style at the beginning of the block
	times  pairs
}

// pairs has the last pair of times.
type pairs struct{ line, ms, next int64 }

// cutLog reads a log, calls piece for its pieces, and returns its structure in lines. The
// text of a piece is valid during the call only. Offsets that are not at the beginning of a
// line, as in a damaged index, are ignored.
func cutLog(in io.Reader, structure builds.LogIndex, failures []runner.Failure, piece func(text []byte) error,
) (logIndex, error) {
	l := &logWriter{
		piece: piece, marks: marksOf(structure, failures),
		index: logIndex{Blocks: []logBlock{}, Agent: []int{}, Errors: []int{}, Times: []int64{},
			Sections: make([]section, len(structure.Commands)), Shown: make([][]int, len(failures))},
	}
	for i, c := range structure.Commands {
		l.index.Sections[i] = section{Command: i, Line: -1, Output: -1, End: -1, Phase: c.Phase, Bad: c.Failed}
	}
	lines := bufio.NewReaderSize(in, maxLine)
	for {
		if plain := l.plain(lines); len(plain) > 0 {
			if err := l.addPlain(plain); err != nil {
				return l.index, err
			}
			_, _ = lines.Discard(len(plain)) // which are buffered
			continue
		}
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			if err := l.add(bytes.TrimRight(line, "\r\n")); err != nil {
				return l.index, err
			}
			l.at += int64(len(line))
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue // the rest of a long line becomes the next one
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return l.index, err
		}
	}
	l.reach() // commands that end with the log
	l.index.finish(l.total)
	return l.index, l.flush()
}

// finish removes commands that do not begin with a line, and completes the others.
func (x *logIndex) finish(total int) {
	var valid []section
	for _, s := range x.Sections {
		if s.Line < 0 {
			continue
		}
		if s.End < 0 {
			s.End = total
		}
		if s.Output < 0 { // in builds that did not record it
			s.Output = min(s.Line+1, s.End)
		}
		valid = append(valid, s)
	}
	x.Sections = append([]section{}, valid...)
	for i, lines := range x.Shown {
		x.Shown[i] = append([]int{}, lines...) // never null for the scripts
	}
}

// logIndex writes the structure of a log, and goes back to its beginning. The structure
// precedes the pieces, so a browser can show the first ones while it loads the others.
func (p *pieces) logIndex(b Build) error {
	index, err := cutLog(b.Log, b.Index, b.failures(), func([]byte) error { return nil })
	if err != nil {
		return err
	}
	if _, err := b.Log.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return p.json("log", index)
}

// failures returns the failures of a build. Those of commands that a damaged record does not
// have are left out.
func (b Build) failures() []runner.Failure {
	if b.Record == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(b.Record.Failures), func(f runner.Failure) bool {
		return f.Command < 0 || f.Command >= len(b.Record.Commands)
	})
}

// log writes the pieces of a log, as log-0, log-1 and so on.
func (p *pieces) log(b Build) error {
	k := p.newPacker()
	_, err := cutLog(b.Log, b.Index, nil, func(text []byte) error {
		k.add(text)
		return nil
	})
	return errors.Join(err, k.end())
}

// plain returns buffered lines that need not be looked at one by one, with their line breaks:
// the structure changes at none of them, they are in one block, and they have neither colors
// nor carriage returns. A log with a million lines is cut ten times faster with it.
func (l *logWriter) plain(in *bufio.Reader) []byte {
	text, _ := in.Peek(in.Buffered())
	if len(l.marks) > 0 {
		next := min(int64(len(text)), l.marks[0].offset-l.at)
		if next <= 0 {
			return nil
		}
		text = text[:next]
	}
	// The line that fills the block is the last one of it.
	if room := blockSize - l.block.Len(); room < len(text) {
		text = text[:room+bytes.IndexByte(text[room-1:], '\n')]
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	if bytes.IndexByte(text, '\x1b') >= 0 || bytes.IndexByte(text, '\r') >= 0 || !utf8.Valid(text) {
		return nil
	}
	return text
}

// addPlain adds lines that plain has returned.
func (l *logWriter) addPlain(text []byte) error {
	n := bytes.Count(text, []byte("\n"))
	l.block.Write(text)
	l.empty = text[0] == '\n' && len(text) == 1 || bytes.HasSuffix(text, []byte("\n\n"))
	l.lines += n
	l.total += n
	l.at += int64(len(text))
	if l.block.Len() >= blockSize {
		return l.flush()
	}
	return nil
}

// add adds a line, without its line break, to the block.
func (l *logWriter) add(line []byte) error {
	l.reach()
	l.trackColors(line) // before text is dropped, because its colors remain
	// Text before a carriage return was overwritten on a terminal, as by a progress bar. Only
	// its last state is of interest.
	if i := bytes.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	if utf8.Valid(line) {
		l.block.Write(line)
	} else {
		l.block.WriteString(strings.ToValidUTF8(string(line), "\uFFFD"))
	}
	l.block.WriteByte('\n')
	l.empty = len(line) == 0
	l.lines++
	l.total++
	if l.block.Len() >= blockSize {
		return l.flush()
	}
	return nil
}

// trackColors follows the colors of a line, which continue in the next one. The style at the
// beginning of a block is stored with it. Other escape sequences are skipped; the scripts
// remove them.
func (l *logWriter) trackColors(line []byte) {
	for {
		i := bytes.Index(line, []byte("\x1b["))
		if i < 0 {
			return
		}
		line = line[i+2:]
		n := 0
		for n < len(line) && (line[n] >= '0' && line[n] <= '9' || line[n] == ';') {
			n++
		}
		if n < len(line) && line[n] == 'm' {
			l.style.next(string(line[:n]))
		}
	}
}

// flush writes the block and begins the next one.
func (l *logWriter) flush() error {
	if l.lines == 0 {
		return nil
	}
	l.index.Blocks = append(l.index.Blocks, logBlock{First: l.total - l.lines, Lines: l.lines, Style: l.before})
	err := l.piece(l.block.Bytes())
	l.block.Reset()
	l.lines, l.before = 0, l.style.String()
	return err
}
