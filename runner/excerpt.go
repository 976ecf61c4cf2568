package runner

import (
	"bytes"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// OutputLine is a line of a command's output that explains its failure.
type OutputLine struct {
	Offset int64  `json:"offset"` // of its beginning, in bytes from that of the command's output
	Text   string `json:"text"`   // with its colors
	Error  bool   `json:"error,omitempty"`
}

const (
	maxFirstError = 14      // lines that are kept from the first error on
	minFirstError = 6       // of these, lines that are kept even if another error follows
	maxLastLines  = 12      // last lines that are kept of output without an error
	maxLinesAfter = 4       // last lines that are kept in addition to the first error
	maxShownLine  = 1 << 10 // bytes of a line that are kept
)

// outputLines follows the output of one command while it runs: it finds the lines that look
// like errors, and keeps those that explain a failure. The zero value is ready.
type outputLines struct {
	size   int64  // of the output so far, in bytes
	rest   []byte // the beginning of the last line, if that is not complete; cut
	restAt int64  // offset of rest
	count  int    // error lines of all commands

	first   []OutputLine // from the first error that describes itself
	firstAt int64        // offset from which lines are kept in first
	failing bool         // there is such an error
}

// reset begins with the output of another command.
func (o *outputLines) reset() { *o = outputLines{count: o.count, rest: o.rest[:0]} }

// write adds output. It returns the offsets of the error lines that are complete now, from
// the beginning of the command's output.
func (o *outputLines) write(text []byte) []int64 {
	var found []int64
	at := o.size
	o.size += int64(len(text))
	if len(o.rest) > 0 {
		line, more, complete := bytes.Cut(text, []byte("\n"))
		o.keepRest(line)
		if !complete {
			return nil
		}
		found = o.end()
		at += int64(len(text) - len(more))
		text = more
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	found = o.scan(found, text[:whole], at)
	o.restAt = at + int64(whole)
	o.keepRest(text[whole:])
	return found
}

// end completes a line without a line break, at the end of the output.
func (o *outputLines) end() []int64 {
	if len(o.rest) == 0 {
		return nil
	}
	found := o.scan(nil, append(o.rest, '\n'), o.restAt)
	o.rest = o.rest[:0]
	return found
}

// keepRest adds to the incomplete line, up to the length that is classified.
func (o *outputLines) keepRest(text []byte) {
	room := max(0, maxClassified-len(o.rest))
	o.rest = append(o.rest, text[:min(room, len(text))]...)
}

// scan searches complete lines, which begin at an offset, for errors.
func (o *outputLines) scan(found []int64, text []byte, at int64) []int64 {
	marks := findMarks()
	for i := 0; o.count < maxErrorLines; {
		if i = marks.next(text, min(i, len(text))); i >= len(text) {
			break
		}
		begin := bytes.LastIndexByte(text[:i], '\n') + 1
		length := bytes.IndexByte(text[begin:], '\n')
		if length < 0 {
			length = len(text) - begin
		}
		is, strong := isError(text[begin : begin+length])
		if is {
			found = append(found, at+int64(begin))
			o.count++
		}
		if strong && !o.failing {
			o.failing, o.firstAt = true, at+int64(begin)
		}
		i = begin + length + 1 // after the line break, at which some marks are found
	}
	if o.failing && len(o.first) < maxFirstError {
		skip := min(max(0, o.firstAt-at), int64(len(text)))
		o.first = appendLines(o.first, text[skip:], at+skip, maxFirstError)
	}
	return found
}

// appendLines adds the lines of a text that begins at an offset, up to a number of lines.
// Lines without content are left out.
func appendLines(all []OutputLine, text []byte, at int64, limit int) []OutputLine {
	for line := range bytes.Lines(text) {
		if len(all) == limit {
			break
		}
		if shown := shownLine(line); hasContent(shown) {
			is, _ := isError(shown)
			all = append(all, OutputLine{Offset: at, Text: string(shown[:min(len(shown), maxShownLine)]), Error: is})
		}
		at += int64(len(line))
	}
	return all
}

// shownLine returns a line as a terminal shows it at the end: text before a carriage return
// was overwritten.
func shownLine(line []byte) []byte {
	line = bytes.TrimRight(line, "\r\n")
	return line[bytes.LastIndexByte(line, '\r')+1:]
}

// hasContent reports whether a line has more than blanks and a rule.
func hasContent(line []byte) bool {
	return strings.Trim(string(diag.Plain(line)), " \t-=*_─━⎯═") != ""
}

// explain returns the lines that explain the failure of the command, whose output ends with
// tail: those from the first error on, and the last ones.
func (o *outputLines) explain(tail []byte) []OutputLine {
	cut := o.size - int64(len(tail))
	if cut > 0 { // the first line of tail may be cut
		skip := bytes.IndexByte(tail, '\n') + 1
		tail, cut = tail[skip:], cut+int64(skip)
	}
	last := appendLines(nil, tail, cut, len(tail)+1)
	if !o.failing {
		return last[max(0, len(last)-maxLastLines):]
	}
	first := o.firstError()
	end := first[len(first)-1].Offset
	last = slices.DeleteFunc(last, func(l OutputLine) bool { return l.Offset <= end })
	return slices.Concat(first, last[max(0, len(last)-maxLinesAfter):])
}

// firstError returns the lines of the first error, up to the next one.
func (o *outputLines) firstError() []OutputLine {
	for i := minFirstError; i < len(o.first); i++ {
		if _, strong := isError([]byte(o.first[i].Text)); strong {
			return o.first[:i]
		}
	}
	return o.first
}
