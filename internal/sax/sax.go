// Package sax reads XML as a stream of elements and text, in an amount of memory that
// no document can raise. It knows no document type: what one defines is not read, so
// that no entity can grow and nothing outside is opened.
package sax

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of what is held at once.
const (
	bufferSize = 256 << 10
	tagLimit   = 4 << 20 // of one tag with its attributes, in bytes
	depthLimit = 1000    // of nested elements
	attrLimit  = 1000    // of attributes of one element
	nameLimit  = 1000    // of a name, in bytes
)

// Kind says what Next has read.
type Kind int

// The kinds. A document is balanced: each Start has its End.
const (
	Start Kind = iota + 1
	End
	Text // a piece of the text of an element; a long text comes in several
)

// Error is where a document is no XML, or no document.
type Error struct {
	Line   int   // from 1
	Offset int64 // in bytes, from 0, of the text as UTF-8
	Text   string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, byte %d: %s", e.Line, e.Offset, e.Text)
}

// Reader reads one document.
type Reader struct {
	src     io.Reader
	buf     []byte
	pos     int   // of what was not read yet, in buf
	passed  int64 // bytes before buf
	lines   int   // line ends before counted
	counted int   // in buf
	srcErr  error // what the source said last

	stack  []string // names of the open elements, as written
	names  map[string]string
	name   string // of the last Start or End, without its prefix
	attrs  []attr
	text   []byte
	closes bool // the last Start closes itself
	cdata  bool // inside a CDATA section
	rooted bool // the document's element has begun
	err    error
}

type attr struct{ name, value []byte }

// NewReader returns a Reader of a document in any encoding that is declared, or has a
// byte order mark. An encoding that is not known is the first error of Next.
func NewReader(src io.Reader) *Reader {
	r := &Reader{buf: make([]byte, 0, bufferSize), names: map[string]string{}}
	r.src, r.err = decoded(src)
	return r
}

// Name is the name of the element that Next has come to, without a prefix.
func (r *Reader) Name() string { return r.name }

// Depth is how many elements are open; after Start its own counts, after End not.
func (r *Reader) Depth() int { return len(r.stack) }

// Attr returns an attribute of the element that began, by its name without a prefix;
// nothing where it has none.
func (r *Reader) Attr(name string) string { value, _ := r.Lookup(name); return value }

// Lookup returns an attribute, and whether the element has it.
func (r *Reader) Lookup(name string) (string, bool) {
	for _, a := range r.attrs {
		if string(a.name) == name {
			if !utf8.Valid(a.value) {
				return strings.ToValidUTF8(string(a.value), "\uFFFD"), true
			}
			return string(a.value), true
		}
	}
	return "", false
}

// Text is the piece of text that Next has read. It is valid until the next call, and
// may hold bytes that are no UTF-8 where the document does.
func (r *Reader) Text() []byte { return r.text }

// Line is the line that is read, from 1.
func (r *Reader) Line() int {
	if r.pos > r.counted {
		r.lines += bytes.Count(r.buf[r.counted:r.pos], newline)
		r.counted = r.pos
	}
	return r.lines + 1
}

// Offset is how many bytes were read, of the text as UTF-8.
func (r *Reader) Offset() int64 { return r.passed + int64(r.pos) }

var newline = []byte("\n")

// Next reads up to the next element's begin or end, or a piece of text. At the end of
// the document it returns io.EOF; else an *Error, or what the source returned.
func (r *Reader) Next() (Kind, error) {
	if r.err != nil {
		return 0, r.err
	}
	kind, err := r.next()
	if err != nil {
		r.err = err
	}
	return kind, err
}

func (r *Reader) next() (Kind, error) {
	if r.closes {
		r.closes = false
		r.pop()
		return End, nil
	}
	for {
		if r.pos == len(r.buf) && !r.fill() {
			return 0, r.end()
		}
		if r.cdata {
			if more, err := r.inCData(); more || err != nil {
				return Text, err
			}
			continue
		}
		if r.buf[r.pos] != '<' {
			if some, err := r.readText(); some || err != nil {
				return Text, err
			}
			continue
		}
		kind, err := r.markup()
		if kind != 0 || err != nil {
			return kind, err
		}
	}
}

// end is the error at the end of the source.
func (r *Reader) end() error {
	switch {
	case r.srcErr != io.EOF:
		return r.srcErr
	case len(r.stack) > 0:
		return r.wrong("the file ends inside <%s>", r.stack[len(r.stack)-1])
	case r.Offset() == 0:
		return r.wrong("the file is empty")
	case !r.rooted:
		return r.wrong("the file has no element")
	}
	return io.EOF
}

func (r *Reader) wrong(format string, args ...any) error {
	return &Error{r.Line(), r.Offset(), fmt.Sprintf(format, args...)}
}

// fill reads more of the source behind what was not read yet; false at its end.
func (r *Reader) fill() bool {
	if r.srcErr != nil {
		return false
	}
	r.makeRoom()
	rest := len(r.buf)
	for range 100 {
		n, err := r.src.Read(r.buf[rest:cap(r.buf)])
		r.buf, r.srcErr = r.buf[:rest+n], err
		r.refuseControls(rest)
		if n > 0 || err != nil {
			return len(r.buf) > rest
		}
	}
	r.srcErr = io.ErrNoProgress
	return false
}

// makeRoom forgets what was read, where there is no room behind what was not.
func (r *Reader) makeRoom() {
	if len(r.buf) < cap(r.buf) {
		return
	}
	_ = r.Line()
	r.passed += int64(r.pos)
	r.counted = 0
	rest := copy(r.buf, r.buf[r.pos:])
	r.buf, r.pos = r.buf[:rest], 0
	if rest > cap(r.buf)/2 {
		r.buf = append(make([]byte, 0, 2*cap(r.buf)), r.buf...)
	}
}

// refuseControls ends the text before a character that XML does not have.
func (r *Reader) refuseControls(from int) {
	for i, c := range r.buf[from:] {
		if c >= ' ' || c == '\n' || c == '\t' || c == '\r' {
			continue
		}
		r.buf = r.buf[:from+i]
		at := &Error{r.Line() + bytes.Count(r.buf[r.pos:], newline), r.passed + int64(len(r.buf)), ""}
		at.Text = fmt.Sprintf("the character %U is not allowed in XML", c)
		r.srcErr = at
		return
	}
}

// find returns where a text begins at or after offset, counted from pos, and reads
// more of the source for it; -1 at its end, or beyond the limit.
func (r *Reader) find(text string, offset, limit int) int {
	for {
		from := min(r.pos+offset, len(r.buf))
		if i := bytes.Index(r.buf[from:], []byte(text)); i >= 0 {
			return from + i - r.pos
		}
		offset = max(offset, len(r.buf)-r.pos-len(text)+1)
		if len(r.buf)-r.pos > limit || !r.fill() {
			return -1
		}
	}
}

// markup reads what begins with <. It returns 0 for what is passed over.
func (r *Reader) markup() (Kind, error) {
	for len(r.buf)-r.pos < len("<![CDATA[") && r.fill() {
	}
	rest := r.buf[r.pos:]
	switch {
	case bytes.HasPrefix(rest, []byte("<?")):
		return 0, r.pass("<?", "?>")
	case bytes.HasPrefix(rest, []byte("<!--")):
		return 0, r.comment()
	case bytes.HasPrefix(rest, []byte("<![CDATA[")) && len(r.stack) > 0:
		r.pos += len("<![CDATA[")
		r.cdata = true
		return 0, nil
	case bytes.HasPrefix(rest, []byte("<!DOCTYPE")) && !r.rooted:
		return 0, r.doctype()
	case bytes.HasPrefix(rest, []byte("<!")):
		return 0, r.wrong("what begins with <! here is no XML")
	case bytes.HasPrefix(rest, []byte("</")):
		return r.endTag()
	}
	return r.startTag()
}

// pass reads past a piece that ends with a text, and holds none of it.
func (r *Reader) pass(begin, end string) error {
	line, offset := r.Line(), r.Offset()
	r.pos += len(begin)
	for {
		if i := bytes.Index(r.buf[r.pos:], []byte(end)); i >= 0 {
			r.pos += i + len(end)
			return nil
		}
		r.pos = max(r.pos, len(r.buf)-len(end)+1)
		if !r.fill() {
			return r.cut(&Error{line, offset, "the file ends inside " + begin})
		}
	}
}

// cut is the error where the source ended too early: its own, if it has one.
func (r *Reader) cut(at error) error {
	if r.srcErr != io.EOF {
		return r.srcErr
	}
	return at
}

func (r *Reader) comment() error {
	if err := r.pass("<!--", "--"); err != nil {
		return err
	}
	if r.pos == len(r.buf) && !r.fill() || r.buf[r.pos] != '>' {
		return r.wrong("-- inside a comment")
	}
	r.pos++
	return nil
}

// doctype reads past a document type, with all that it defines.
func (r *Reader) doctype() error {
	line, offset := r.Line(), r.Offset()
	s := typeScan{}
	for {
		if i := s.end(r.buf[r.pos:]); i >= 0 {
			r.pos += i + 1
			return nil
		}
		r.pos = len(r.buf)
		if !r.fill() {
			return r.cut(&Error{line, offset, "the file ends inside <!DOCTYPE"})
		}
	}
}

// typeScan looks for the end of a document type.
type typeScan struct {
	depth int
	quote byte // the one that is open, 0 for none
}

// end returns where the type ends in a piece of text, -1 for not there.
func (s *typeScan) end(text []byte) int {
	for i, c := range text {
		switch {
		case s.quote != 0 && c == s.quote:
			s.quote = 0
		case s.quote != 0:
		case c == '"' || c == '\'':
			s.quote = c
		case c == '<':
			s.depth++
		case c == '>':
			s.depth--
		}
		if s.depth == 0 {
			return i
		}
	}
	return -1
}

// inCData reads a piece of a CDATA section, and reports whether there is one.
func (r *Reader) inCData() (bool, error) {
	rest := r.buf[r.pos:]
	i := bytes.Index(rest, []byte("]]>"))
	if i == 0 {
		r.cdata = false
		r.pos += len("]]>")
		return false, nil
	}
	if i < 0 {
		i = max(0, len(rest)-len("]]"))
		for i > 0 && len(rest)-i < utf8.UTFMax+2 && !utf8.RuneStart(rest[i]) {
			i--
		}
	}
	if i > 0 {
		r.text = rest[:i]
		r.pos += i
		return true, nil
	}
	if !r.fill() {
		return false, r.cut(r.wrong("the file ends inside <![CDATA["))
	}
	return false, nil
}

// entityLimit is how long a reference such as &#x10FFFF; can be, in bytes.
const entityLimit = 64

// readText reads text up to the next <, or as much as there is.
func (r *Reader) readText() (bool, error) {
	rest := r.buf[r.pos:]
	i := bytes.IndexByte(rest, '<')
	if i < 0 {
		i = whole(rest)
	}
	if i == 0 {
		if r.fill() {
			return false, nil
		}
		if r.srcErr != io.EOF {
			return false, r.srcErr
		}
		i = len(r.buf) - r.pos
		rest = r.buf[r.pos:]
	}
	if len(r.stack) == 0 {
		if blank := blanks(rest[:i]); blank < i {
			r.pos += blank
			return false, r.wrong("text outside the document's element")
		}
		r.pos += i
		return false, nil
	}
	text, err := r.unescape(rest[:i])
	if err != nil {
		return false, err
	}
	r.text = text
	r.pos += i
	return true, nil
}

// whole is how much of a text can be read before the rest of it is there: not half a
// reference, nor half a character.
func whole(text []byte) int {
	if i := bytes.LastIndexByte(text, '&'); i >= 0 && len(text)-i < entityLimit && bytes.IndexByte(text[i:], ';') < 0 {
		return i
	}
	n := len(text)
	for back := 1; back < utf8.UTFMax && back <= n; back++ {
		if utf8.RuneStart(text[n-back]) {
			if !utf8.FullRune(text[n-back:]) {
				return n - back
			}
			break
		}
	}
	return n
}
