package sax

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// startTag reads a start tag.
func (r *Reader) startTag() (Kind, error) {
	// The whole tag is in the buffer from here on.
	end, err := r.tagEnd()
	if err != nil {
		return 0, err
	}
	tag := r.buf[r.pos+1 : r.pos+end]
	if n := len(tag); n > 0 && tag[n-1] == '/' {
		r.closes = true
		tag = tag[:n-1]
	}
	n := nameLength(tag)
	if n == 0 || n > maxName {
		return 0, r.wrong("a < that begins no element")
	}
	// Tools that append to a report file instead of replacing it produce this.
	if len(r.stack) == 0 && r.rooted {
		return 0, r.wrong("a second document begins here, <%s>", tag[:n])
	}
	if len(r.stack) == maxDepth {
		return 0, r.wrong("more than %d elements inside each other", maxDepth)
	}
	if err := r.readAttrs(tag[n:]); err != nil {
		return 0, err
	}
	r.rooted = true
	r.pos += end + 1
	// The name must be copied before the buffer is filled again.
	full := r.intern(tag[:n])
	r.stack = append(r.stack, full)
	r.name = local(full)
	return Start, nil
}

// tagEnd returns the index of the > that ends a tag, from pos. Quoted ones are skipped.
func (r *Reader) tagEnd() (int, error) {
	// A > is allowed in the value of an attribute, so quotes have to be followed.
	i, quote := 1, ""
	for {
		if quote != "" {
			if i = r.find(quote, i, maxTag); i < 0 {
				return 0, r.badTag()
			}
			i, quote = i+1, ""
		}
		rest := r.buf[r.pos:]
		n := tagMark(rest[min(i, len(rest)):])
		if n < 0 {
			i = len(rest)
			if i > maxTag || !r.fill() {
				return 0, r.badTag()
			}
			continue
		}
		i += n
		switch rest[i] {
		case '>':
			return i, nil
		case '<':
			return 0, r.wrong("< inside a tag")
		}
		quote = string(rest[i])
		i++
	}
}

// badTag returns the error for a tag without an end.
func (r *Reader) badTag() error {
	if len(r.buf)-r.pos > maxTag {
		return r.wrong("a tag of more than %d MB", maxTag>>20)
	}
	return r.cut(r.wrong("the file ends inside a tag"))
}

// endTag reads an end tag, which must match the open element.
func (r *Reader) endTag() (Kind, error) {
	end := r.find(">", 2, maxTag)
	if end < 0 {
		return 0, r.badTag()
	}
	name := bytes.TrimRight(r.buf[r.pos+2:r.pos+end], " \t\r\n")
	if len(r.stack) == 0 {
		return 0, r.wrong("an element ends, and none is open")
	}
	if open := r.stack[len(r.stack)-1]; open != string(name) {
		return 0, r.wrong("</%s>, where </%s> is expected", name[:min(len(name), maxName)], open)
	}
	r.pos += end + 1
	r.pop()
	return End, nil
}

// pop closes the innermost element.
func (r *Reader) pop() {
	r.name = local(r.stack[len(r.stack)-1])
	r.stack = r.stack[:len(r.stack)-1]
	r.attrs = r.attrs[:0]
}

// local removes the prefix of a name.
func local(name string) string { return name[strings.LastIndexByte(name, ':')+1:] }

// maxNames limits the number of names that are shared. Documents have a few dozen names. More of
// them are data, or an attack.
const maxNames = 10000

// intern returns a string with a name. Equal names share one string.
func (r *Reader) intern(name []byte) string {
	if s, found := r.names[string(name)]; found {
		return s
	}
	s := string(name)
	if len(r.names) < maxNames {
		r.names[s] = s
	}
	return s
}

// nameLength returns the length of the name at the beginning of a text, or 0. It accepts all characters
// beyond ASCII.
func nameLength(text []byte) int {
	for i, c := range text {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == ':' || c >= utf8.RuneSelf
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return i
		}
	}
	return len(text)
}

// blanks returns the length of the white space at the beginning of a text.
func blanks(text []byte) int {
	for i, c := range text {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return i
		}
	}
	return len(text)
}

// tagMark returns the index of the next significant character in a tag, or -1.
func tagMark(text []byte) int {
	for i, c := range text {
		if c == '>' || c == '"' || c == '\'' || c == '<' {
			return i
		}
	}
	return -1
}

// readAttrs reads the part of a tag after the name.
func (r *Reader) readAttrs(rest []byte) error {
	r.attrs = r.attrs[:0]
	for {
		gap := blanks(rest)
		rest = rest[gap:]
		if len(rest) == 0 {
			return nil
		}
		n := nameLength(rest)
		if len(r.attrs) == maxAttrs {
			return r.wrong("more than %d attributes", maxAttrs)
		}
		// White space is required before each attribute.
		if n == 0 || gap == 0 || n > maxName {
			return r.wrong("an attribute is expected")
		}
		name := rest[:n]
		rest = rest[n:]
		rest = rest[blanks(rest):]
		if len(rest) == 0 || rest[0] != '=' {
			return r.wrong("attribute %s has no value", name)
		}
		rest = rest[1:]
		rest = rest[blanks(rest):]
		end := -1
		if len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
			end = bytes.IndexByte(rest[1:], rest[0])
		}
		if end < 0 {
			return r.wrong("the value of attribute %s is not in quotes", name)
		}
		value, _, problem := unescape(rest[1 : 1+end])
		if problem != "" {
			return r.wrong("%s", problem)
		}
		// &lt; is allowed, a < itself is not.
		if bytes.IndexByte(value, '<') >= 0 && bytes.IndexByte(rest[1:1+end], '<') >= 0 {
			return r.wrong("< in the value of attribute %s", name)
		}
		r.attrs = append(r.attrs, attr{name[bytes.LastIndexByte(name, ':')+1:], value})
		rest = rest[2+end:]
	}
}

// unescape replaces the references in a text. Line endings are not normalized. If the text is invalid,
// it returns the index of the problem and its description.
func unescape(text []byte) (out []byte, at int, problem string) {
	if at, problem := wrongText(text); problem != "" {
		return nil, at, problem
	}
	i := bytes.IndexByte(text, '&')
	if i < 0 {
		return text, 0, ""
	}
	all := len(text)
	// The result is never longer than the text, because each reference is longer than its character.
	out = make([]byte, 0, all)
	for i >= 0 {
		out = append(out, text[:i]...)
		text = text[i:]
		at = all - len(text)
		end := bytes.IndexByte(text, ';')
		if end < 0 || end > maxEntity {
			return nil, at, "an & that begins no reference (expected such as &amp;)"
		}
		c, ok := reference(string(text[1:end]))
		if !ok {
			return nil, at, fmt.Sprintf("the entity &%s; is not known; definitions of a document type are not read", text[1:end])
		}
		out = utf8.AppendRune(out, c)
		text = text[end+1:]
		i = bytes.IndexByte(text, '&')
	}
	return append(out, text...), 0, ""
}

var entities = map[string]rune{"lt": '<', "gt": '>', "amp": '&', "apos": '\'', "quot": '"'}

// reference returns the character of a reference, given without & and ;.
func reference(name string) (rune, bool) {
	if c, found := entities[name]; found {
		return c, true
	}
	digits, found := strings.CutPrefix(name, "#")
	base := 10
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	// The characters are those of XML 1.0, section 2.2.
	n, err := strconv.ParseUint(digits, base, 32)
	c := rune(n)
	allowed := c >= ' ' || c == '\t' || c == '\n' || c == '\r'
	return c, found && err == nil && n <= utf8.MaxRune && utf8.ValidRune(c) && allowed && c != 0xFFFE && c != 0xFFFF
}
