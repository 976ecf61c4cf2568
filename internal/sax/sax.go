// Package sax reads XML as a stream of elements and text, with a fixed upper bound on memory.
//
// A Reader works like a pull parser: Next advances to the next start, end or piece of text, and the
// other methods describe it. Document types are skipped: entities that they define are not expanded,
// so that a document cannot grow, and external entities are never opened. Namespaces are ignored;
// names have no prefix.
package sax

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// The limits of the parts that are kept in memory.
const (
	// A tag must fit into the buffer, which grows if necessary. Everything else is processed in
	// pieces.
	bufferSize = 256 << 10
	maxTag     = 4 << 20 // bytes of one tag with its attributes
	maxDepth   = 1000    // nested elements
	maxAttrs   = 1000    // attributes of one element
	maxName    = 1000    // bytes of a name
)

// Kind is the kind of the item that Next has read.
type Kind int

// The kinds. Documents are balanced: each Start has an End.
const (
	Start Kind = iota + 1
	End
	Text // part of the text of an element; a long text has several parts
)

// Error is the position and description of a syntax error. The offset is that of the converted
// text. It differs from that of the file only if that is not in UTF-8.
type Error struct {
	Line   int   // from 1
	Offset int64 // bytes from the beginning of the text in UTF-8
	Text   string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, byte %d: %s", e.Line, e.Offset, e.Text)
}

// Reader reads one document. It must not be used concurrently.
type Reader struct {
	src io.Reader
	// buf[pos:] is the text that was read from the source but not processed yet. Names, attributes and
	// text that a caller gets are slices of buf, valid until the next call of Next.
	buf     []byte
	pos     int   // index in buf of the next unread byte
	passed  int64 // number of bytes before buf
	lines   int   // number of line feeds before counted
	counted int   // index in buf
	srcErr  error // last error of the source

	stack []string // names of the open elements, as written
	names map[string]string
	name  string // of the last Start or End, without its prefix
	attrs []attr
	text  []byte
	// <a/> is reported as Start and End, so that callers need not distinguish it from <a></a>.
	closes bool // the last Start is an empty-element tag
	cdata  bool // inside a CDATA section
	rooted bool // the root element has begun
	err    error
}

// attr is an attribute, with references replaced.
type attr struct{ name, value []byte }

// NewReader returns a Reader for a document in any encoding that is declared or has a byte order mark.
// An unknown encoding is an error of the first call of Next.
func NewReader(src io.Reader) *Reader {
	r := &Reader{buf: make([]byte, 0, bufferSize), names: map[string]string{}}
	r.src, r.err = decoded(src)
	return r
}

// Name returns the name of the current element, without a prefix.
func (r *Reader) Name() string { return r.name }

// Depth returns the number of open elements. It includes the element of Start and excludes that of End.
func (r *Reader) Depth() int { return len(r.stack) }

// Attr returns the value of an attribute of the element that has started, by its name without a prefix,
// or "" if it has no such attribute.
func (r *Reader) Attr(name string) string { value, _ := r.Lookup(name); return value }

// Lookup returns an attribute, and whether the element has it. A linear search is faster than a map
// for the few attributes that elements have.
func (r *Reader) Lookup(name string) (string, bool) {
	for _, a := range r.attrs {
		if string(a.name) == name {
			return string(a.value), true
		}
	}
	return "", false
}

// Text returns the current piece of text, in UTF-8. It is valid until the next call of Next.
func (r *Reader) Text() []byte { return r.text }

// Line returns the current line, from 1.
func (r *Reader) Line() int {
	// Lines are counted on demand, since most documents have no error.
	if r.pos > r.counted {
		r.lines += bytes.Count(r.buf[r.counted:r.pos], newline)
		r.counted = r.pos
	}
	return r.lines + 1
}

// Offset returns the number of bytes read, of the text in UTF-8.
func (r *Reader) Offset() int64 { return r.passed + int64(r.pos) }

var newline = []byte("\n")

// Next reads the next start or end of an element, or piece of text. At the end of the document it
// returns io.EOF. Other errors are an *Error or an error of the source. An error is final: further
// calls return it again.
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

// next is Next without the error state.
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

// end returns the error for the end of the source.
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

// wrong returns an error at the current position.
func (r *Reader) wrong(format string, args ...any) error {
	return &Error{r.Line(), r.Offset(), fmt.Sprintf(format, args...)}
}

// fill reads more of the source. It returns false at its end.
func (r *Reader) fill() bool {
	if r.srcErr != nil {
		return false
	}
	r.makeRoom()
	rest := len(r.buf)
	// A source may return nothing without an error, but not forever.
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

// makeRoom discards bytes that were read, if the buffer is full.
func (r *Reader) makeRoom() {
	if len(r.buf) < cap(r.buf) {
		return
	}
	// The line feeds in the discarded bytes must be counted first.
	_ = r.Line()
	r.passed += int64(r.pos)
	r.counted = 0
	rest := copy(r.buf, r.buf[r.pos:])
	r.buf, r.pos = r.buf[:rest], 0
	// Only a long tag leaves so much unread. Doubling keeps the cost linear.
	if rest > cap(r.buf)/2 {
		r.buf = append(make([]byte, 0, 2*cap(r.buf)), r.buf...)
	}
}

// refuseControls returns an error for characters that are not allowed in XML. They occur in test
// output that was written without escaping, mostly as ANSI colors, and make the document malformed.
func (r *Reader) refuseControls(from int) {
	for i, c := range r.buf[from:] {
		if c >= ' ' || c == '\n' || c == '\t' || c == '\r' {
			continue
		}
		// Everything before the character is still reported, so the error is at the right place.
		r.buf = r.buf[:from+i]
		at := &Error{r.Line() + bytes.Count(r.buf[r.pos:], newline), r.passed + int64(len(r.buf)), ""}
		at.Text = fmt.Sprintf("the character %U is not allowed in XML", c)
		r.srcErr = at
		return
	}
}

// find returns the index of a text at or after offset, relative to pos, and reads more of the source if
// needed. It returns -1 at the end of the source or beyond the limit.
func (r *Reader) find(text string, offset, limit int) int {
	for {
		from := min(r.pos+offset, len(r.buf))
		if i := bytes.Index(r.buf[from:], []byte(text)); i >= 0 {
			return from + i - r.pos
		}
		// The text may begin in the last bytes of this piece.
		offset = max(offset, len(r.buf)-r.pos-len(text)+1)
		if len(r.buf)-r.pos > limit || !r.fill() {
			return -1
		}
	}
}

// markup reads an item that begins with <. It returns 0 for items that are skipped.
func (r *Reader) markup() (Kind, error) {
	// The longest prefix must be in the buffer to be recognized.
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
	// JaCoCo writes one.
	case bytes.HasPrefix(rest, []byte("<!DOCTYPE")) && !r.rooted:
		return 0, r.doctype()
	case bytes.HasPrefix(rest, []byte("<!")):
		return 0, r.wrong("invalid markup that begins with <!")
	case bytes.HasPrefix(rest, []byte("</")):
		return r.endTag()
	}
	return r.startTag()
}

// pass skips a piece that ends with a text, without keeping it in memory.
func (r *Reader) pass(begin, end string) error {
	line, offset := r.Line(), r.Offset()
	r.pos += len(begin)
	for {
		if i := bytes.Index(r.buf[r.pos:], []byte(end)); i >= 0 {
			r.pos += i + len(end)
			return nil
		}
		// The end may begin in the last bytes of this piece.
		r.pos = max(r.pos, len(r.buf)-len(end)+1)
		if !r.fill() {
			return r.cut(&Error{line, offset, "the file ends inside " + begin})
		}
	}
}

// cut returns the error for an unexpected end: that of the source, if it has one.
func (r *Reader) cut(at error) error {
	if r.srcErr != io.EOF {
		return r.srcErr
	}
	return at
}

// comment skips a comment. XML does not allow -- in it, which would otherwise hide where it ends.
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

// doctype skips a document type with all of its definitions. JaCoCo reports name an external DTD,
// which must not be fetched.
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

// typeScan finds the end of a document type. Definitions contain < and > in pairs, and quoted texts
// with any characters.
type typeScan struct {
	depth int
	quote byte // the open quote, or 0
}

// end returns the index of the end of the type in a piece of text, or -1.
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

// inCData reads a piece of a CDATA section, and reports whether there is one. The text of a section
// is passed on as it is: it has no references.
func (r *Reader) inCData() (bool, error) {
	rest := r.buf[r.pos:]
	i := bytes.Index(rest, []byte("]]>"))
	if i == 0 {
		r.cdata = false
		r.pos += len("]]>")
		return false, nil
	}
	if i < 0 {
		// The last two bytes may begin the end of the section, and a character must not be divided.
		i = max(0, len(rest)-len("]]"))
		for i > 0 && len(rest)-i < utf8.UTFMax+2 && !utf8.RuneStart(rest[i]) {
			i--
		}
	}
	if i > 0 {
		if at, problem := wrongText(rest[:i]); problem != "" {
			r.pos += at
			return false, r.wrong("%s", problem)
		}
		r.text = rest[:i]
		r.pos += i
		return true, nil
	}
	if !r.fill() {
		return false, r.cut(r.wrong("the file ends inside <![CDATA["))
	}
	return false, nil
}

// maxEntity limits the length of a reference such as &#x10FFFF;, in bytes.
const maxEntity = 64

// readText reads text up to the next <, or as much as is in the buffer.
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
	// Outside of the root element only white space is allowed.
	if len(r.stack) == 0 {
		if blank := blanks(rest[:i]); blank < i {
			r.pos += blank
			return false, r.wrong("text outside the document's element")
		}
		r.pos += i
		return false, nil
	}
	// It is the end of a CDATA section that did not begin.
	if at := bytes.Index(rest[:i], []byte("]]>")); at >= 0 {
		r.pos += at
		return false, r.wrong("]]> in a text (expected ]]&gt;)")
	}
	text, at, problem := unescape(rest[:i])
	if problem != "" {
		r.pos += at
		return false, r.wrong("%s", problem)
	}
	r.text = text
	r.pos += i
	return true, nil
}

// wrongText returns the index and a description of the first bytes that make a text invalid, or "".
// encoding/xml, whose words CodeBuild prints, refuses the same. A test that prints bytes of another
// encoding produces such a text.
func wrongText(text []byte) (at int, problem string) {
	if !utf8.Valid(text) {
		for {
			c, n := utf8.DecodeRune(text[at:])
			if c == utf8.RuneError && n <= 1 {
				return at, "a text that is not valid in UTF-8"
			}
			at += n
		}
	}
	for _, c := range []string{"\uFFFE", "\uFFFF"} {
		if at := bytes.Index(text, []byte(c)); at >= 0 {
			return at, "a character that is not allowed in XML, U+FFFE or U+FFFF"
		}
	}
	return 0, ""
}

// whole returns the length of the part of a text that can be processed without the rest: it does not end
// within a reference, a character or a ]]>. The rest stays in the buffer until more of the source has been
// read.
func whole(text []byte) int {
	if n := len(bytes.TrimRight(text[max(0, len(text)-len("]]")):], "]")); n < min(len(text), len("]]")) {
		return len(text) - min(len(text), len("]]")) + n
	}
	if i := bytes.LastIndexByte(text, '&'); i >= 0 && len(text)-i < maxEntity && bytes.IndexByte(text[i:], ';') < 0 {
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
