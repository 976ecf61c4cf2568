package diag

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes a text from outside safe to print: control characters become \x1b,
// characters that change the order of the text around them \u202e, and bytes that
// are not UTF-8 \xff. Line feeds and tabs stay.
func Escape(text string) string { return escape(text, "\n\t") }

// EscapeLine is Escape for a text that must stay in one line, or in one cell of a
// table: a line feed becomes \n, a tab \t.
func EscapeLine(text string) string { return escape(text, "") }

func escape(text, keep string) string {
	if plain(text, keep) {
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

// EscapeJSON makes JSON safe to print: the characters that Escape replaces and that a
// JSON string can hold as they are become the escapes of JSON, so the value stays.
func EscapeJSON(text string) string {
	if plain(text, "\n\t") {
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

func plain(text, keep string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool { return unsafe(r) && !strings.ContainsRune(keep, r) }) < 0
}

// unsafe reports whether a terminal may obey a character, or shows the text around
// it in another order.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// EscapeWriter returns a writer that passes on what is written to it as Escape
// does. A character that is cut in two by two writes is put together again.
func EscapeWriter(w io.Writer) io.Writer { return &escapeWriter{w: w} }

type escapeWriter struct {
	w    io.Writer
	held []byte // the beginning of a character
}

// Write escapes p. It reports all of p as written unless the writer behind it fails.
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

// unfinished returns how many bytes at the end of text begin a character.
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
