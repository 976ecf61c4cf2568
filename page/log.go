package page

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/builds"
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
	Blocks []logBlock `json:"blocks"`
	Folds  []fold     `json:"folds"` // in the order of the log; none is inside another
	Agent  []int      `json:"agent"` // the agent's lines
}

// logBlock is one piece of the log.
type logBlock struct {
	First int    `json:"first"` // its first line, from 0
	Lines int    `json:"lines"`
	Style string `json:"style,omitempty"` // the colors at its beginning, as classes of the page
}

// fold is the output of a command, below the line that names it.
type fold struct {
	Line  int    `json:"line"` // the line that names the command, from 0
	Lines int    `json:"lines"`
	Bad   bool   `json:"bad,omitempty"` // the command failed
	Phase string `json:"phase,omitempty"`
}

// logWriter cuts a log into pieces, and converts the offsets of its structure to lines. It
// reads the log once, and keeps one piece in memory.
type logWriter struct {
	piece    func(number int, text []byte) error // called for each piece
	index    logIndex
	commands []builds.LogCommand // that have not begun yet
	agent    []int64             // offsets of the agent's lines that have not begun yet
	at       int64               // offset of the line, in bytes
	block    bytes.Buffer
	lines    int    // in the block
	total    int    // lines before the one that is added
	style    style  // at the end of the text so far
	open     int    // the fold that is open, or -1
	end      int64  // of the open fold, in bytes
	before   string // the style at the beginning of the block
}

// cutLog reads a log, calls piece for its pieces, and returns its structure in lines. The
// text of a piece is valid during the call only. Offsets that are not at the beginning of a
// line, as in a damaged index, are ignored.
func cutLog(in io.Reader, structure builds.LogIndex, piece func(number int, text []byte) error) (logIndex, error) {
	l := &logWriter{
		piece: piece, open: -1, commands: structure.Commands, agent: structure.Agent,
		index: logIndex{Blocks: []logBlock{}, Folds: []fold{}, Agent: []int{}},
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
	l.close()
	return l.index, l.flush()
}

// logIndex writes the structure of a log, and goes back to its beginning. The structure
// precedes the pieces, so a browser can show the first ones while it loads the others.
func (p *pieces) logIndex(in io.ReadSeeker, structure builds.LogIndex) error {
	index, err := cutLog(in, structure, func(int, []byte) error { return nil })
	if err != nil {
		return err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return p.write("log", index)
}

// log writes the pieces of a log, as log-0, log-1 and so on.
func (p *pieces) log(in io.Reader, structure builds.LogIndex) error {
	_, err := cutLog(in, structure, func(number int, text []byte) error {
		return p.bytes(fmt.Sprintf("log-%d", number), text)
	})
	return err
}

// plain returns buffered lines that need not be looked at one by one, with their line breaks:
// the structure changes at none of them, they are in one block, and they have neither colors
// nor carriage returns. A log with a million lines is cut ten times faster with it.
func (l *logWriter) plain(in *bufio.Reader) []byte {
	text, _ := in.Peek(in.Buffered())
	next := int64(len(text))
	if l.open >= 0 {
		next = min(next, l.end-l.at)
	}
	if len(l.agent) > 0 {
		next = min(next, l.agent[0]-l.at)
	}
	if len(l.commands) > 0 {
		next = min(next, l.commands[0].Start-l.at)
	}
	if next <= 0 {
		return nil
	}
	text = text[:next]
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
	l.begin()
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
	l.lines++
	l.total++
	if l.block.Len() >= blockSize {
		return l.flush()
	}
	return nil
}

// begin opens and closes folds at the line that begins.
func (l *logWriter) begin() {
	if l.open >= 0 && l.at >= l.end {
		l.close()
	}
	for len(l.agent) > 0 && l.agent[0] <= l.at {
		if l.agent[0] == l.at {
			l.index.Agent = append(l.index.Agent, l.total)
		}
		l.agent = l.agent[1:]
	}
	for len(l.commands) > 0 && l.commands[0].Start <= l.at {
		if c := l.commands[0]; c.Start == l.at {
			l.close()
			l.open, l.end = len(l.index.Folds), c.End
			l.index.Folds = append(l.index.Folds, fold{Line: l.total, Phase: c.Phase, Bad: c.Failed})
		}
		l.commands = l.commands[1:]
	}
}

// close closes the open fold, if there is one.
func (l *logWriter) close() {
	if l.open >= 0 {
		l.index.Folds[l.open].Lines = l.total - l.index.Folds[l.open].Line - 1
	}
	l.open = -1
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
	number := len(l.index.Blocks)
	l.index.Blocks = append(l.index.Blocks, logBlock{First: l.total - l.lines, Lines: l.lines, Style: l.before})
	err := l.piece(number, l.block.Bytes())
	l.block.Reset()
	l.lines, l.before = 0, l.style.String()
	return err
}
