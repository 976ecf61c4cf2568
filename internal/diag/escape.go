package diag

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes text from outside safe to print. Control characters become \x1b, characters that
// change the order of the surrounding text become \u202e, and bytes that are not valid UTF-8 become
// \xff. Line feeds and tabs are kept.
func Escape(text string) string { return escape(text, "\n\t") }

// EscapeLine is Escape for text that must stay in one line or in one cell of a table. A line feed
// becomes \n and a tab becomes \t.
func EscapeLine(text string) string { return escape(text, "") }

// escape is Escape with a set of control characters to keep.
func escape(text, keep string) string {
	if isSafe(text, keep) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case !unsafe(r) || strings.ContainsRune(keep, r):
			b.WriteString(text[:size])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		text = text[size:]
	}
	return b.String()
}

// EscapeJSON makes JSON safe to print. The characters that Escape replaces become JSON escapes, so
// the values do not change.
func EscapeJSON(text string) string {
	if isSafe(text, "\n\t") {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || r == '\t' || !unsafe(r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

// isSafe reports whether text needs no escapes.
func isSafe(text, keep string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool { return unsafe(r) && !strings.ContainsRune(keep, r) }) < 0
}

// unsafe reports whether a terminal could interpret a character, or would display the surrounding text
// in a different order.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// EscapeWriter returns a writer that applies Escape to everything it writes to w. A character may be
// split between two calls of Write.
func EscapeWriter(w io.Writer) io.Writer { return &escapeWriter{w: w} }

// escapeWriter is the writer of EscapeWriter.
type escapeWriter struct {
	w    io.Writer
	held []byte // first bytes of an incomplete character
}

// Write implements io.Writer. It reports all of p as written unless the underlying writer fails.
func (e *escapeWriter) Write(p []byte) (int, error) {
	text := append(e.held, p...)
	whole := len(text) - unfinished(text)
	e.held = append([]byte(nil), text[whole:]...)
	if whole == 0 {
		return len(p), nil
	}
	if _, err := io.WriteString(e.w, Escape(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// unfinished returns the number of bytes at the end of text that begin an incomplete character.
func unfinished(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}
