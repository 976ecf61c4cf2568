package page

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// blockSize is how much of the log is one piece of data, in bytes: what is not looked
// at is never unpacked.
const blockSize = 512 << 10

// lineMost bounds one line of the log, in bytes.
const lineMost = 64 << 10

// logIndex says what is where in the log.
type logIndex struct {
	Blocks []logBlock `json:"blocks"`
	Folds  []fold     `json:"folds"`
}

// logBlock is one piece of the log.
type logBlock struct {
	First int    `json:"first"` // its first line, from 0
	Lines int    `json:"lines"`
	Style string `json:"style,omitempty"` // the colours at its beginning, as the page's classes
}

// fold is what a command printed, below the line that names it.
type fold struct {
	Line  int    `json:"line"` // of the agent, which names the command, from 0
	Lines int    `json:"lines"`
	Bad   bool   `json:"bad,omitempty"`
	Phase string `json:"phase,omitempty"`
}

// logWriter cuts a log into pieces, and finds its commands.
type logWriter struct {
	piece  func(number int, text []byte) error // is told each piece
	index  logIndex
	block  bytes.Buffer
	lines  int // in the block
	total  int
	style  style // of the text so far
	open   int   // the fold that is open, -1 for none
	phase  string
	before string // the style where the block begins
}

// agent begins a line of the agent (observed).
const agent = "[Container] "

// cutLog reads a log, and returns what is where in its pieces.
func cutLog(in io.Reader, piece func(number int, text []byte) error) (logIndex, error) {
	l := &logWriter{piece: piece, open: -1, index: logIndex{Blocks: []logBlock{}, Folds: []fold{}}}
	lines := bufio.NewReaderSize(in, lineMost)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			if err := l.add(bytes.TrimRight(line, "\r\n")); err != nil {
				return l.index, err
			}
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue // a line that has no end is several
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

// logIndex writes what is where in a log, and goes back to its beginning: with it
// the first pieces can be shown before the last are there.
func (p *pieces) logIndex(in io.ReadSeeker) error {
	index, err := cutLog(in, func(int, []byte) error { return nil })
	if err != nil {
		return err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return p.write("log", index)
}

// log writes the pieces of a log.
func (p *pieces) log(in io.Reader) error {
	_, err := cutLog(in, func(number int, text []byte) error { return p.bytes(fmt.Sprintf("log-%d", number), text) })
	return err
}

func (l *logWriter) add(line []byte) error {
	l.fold(line)
	l.colours(line)
	// What a carriage return has overwritten is not shown.
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

// fold notes where a command's output begins and ends.
func (l *logWriter) fold(line []byte) {
	rest, found := bytes.CutPrefix(line, []byte(agent))
	if !found {
		return
	}
	text := string(rest[:min(len(rest), 200)])
	if _, after, cut := strings.Cut(text, " "); cut && len(text) > 4 && text[4] == '/' {
		_, text, _ = strings.Cut(after, " ") // behind the date and the time
	}
	if l.open >= 0 && strings.HasPrefix(text, "Command did not exit successfully") {
		l.index.Folds[l.open].Bad = true
	}
	l.close()
	switch {
	case strings.HasPrefix(text, "Entering phase "):
		l.phase = strings.TrimPrefix(text, "Entering phase ")
	case strings.HasPrefix(text, "Running command "):
		l.open = len(l.index.Folds)
		l.index.Folds = append(l.index.Folds, fold{Line: l.total, Phase: l.phase})
	}
}

func (l *logWriter) close() {
	if l.open >= 0 {
		l.index.Folds[l.open].Lines = l.total - l.index.Folds[l.open].Line - 1
	}
	l.open = -1
}

// colours follows the colours of a line, which go on in the next one.
func (l *logWriter) colours(line []byte) {
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

// flush writes the block.
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
