package runner

import (
	"bytes"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// errorMark is a text by which programs mark a line as an error. The position of the text
// in its line keeps words in prose, such as "no errors", from counting.
type errorMark struct {
	text   string
	rare   int // offset of a byte in text that is rare in other text; unused at the end of a line
	before place
	after  place
	strong bool // the line describes the error; others only list it, such as a failed test
}

// place restricts what is beside an errorMark in its line.
type place int

const (
	anything place = iota
	word           // the beginning or the end of a word
	failWord       // the end of a word, which may continue with ED or URE
	edge           // the beginning or the end of the line, except for blanks
)

// errorMarks are the marks of compilers, test programs, shells and package managers. Their
// texts are all in English: builds rarely have another locale.
var errorMarks = []errorMark{
	{"FAIL", 0, word, failWord, true},
	{"ERROR", 0, word, word, true},
	{"Error", 0, anything, word, true}, // also the end of a name, such as AssertionError
	{"error:", 5, word, anything, true},
	{"error[", 5, word, anything, true}, // with a code, as of rustc
	{"Exception", 0, anything, word, true},
	{"ERR!", 0, anything, anything, true},
	{"panic:", 5, word, anything, true},
	{"fatal:", 5, word, anything, true},
	{"Traceback (most", 0, edge, anything, true},
	{"not found", 0, word, edge, true}, // of a shell: "sh: 1: make: not found"
	{"is not set", 0, word, edge, true},
	{"unbound variable", 0, word, edge, true},
	{"No such file or directory", 0, word, edge, true},
	{"ermission denied", 0, anything, edge, true},
	{"✗", 0, edge, anything, false},
	{"✖", 0, edge, anything, false},
	{"✕", 0, edge, anything, false},
	{"× ", 0, edge, anything, false},
}

const (
	// maxErrorLines is how many error lines of a build are listed.
	maxErrorLines = 10_000
	// maxClassified is how much of a line is searched for a mark, in bytes.
	maxClassified = 1 << 10
)

// isError reports whether a line looks like an error, and whether it describes one. Colors
// in it are ignored. It is a guess for people: nothing else depends on it.
func isError(line []byte) (found, strong bool) {
	line = diag.Plain(line[:min(len(line), maxClassified)])
	for _, m := range errorMarks {
		for from := 0; ; {
			i := bytes.Index(line[from:], []byte(m.text))
			if i < 0 {
				break
			}
			before, after := line[:from+i], line[from+i+len(m.text):]
			if m.before.endsIn(before) && m.after.begins(after) && !isCountOfZero(after) {
				found, strong = true, strong || m.strong
				break
			}
			from += i + len(m.text)
		}
		if strong {
			break
		}
	}
	return found, strong
}

// endsIn reports whether a text may be in front of a mark.
func (p place) endsIn(text []byte) bool {
	switch p {
	case edge:
		return len(bytes.TrimSpace(text)) == 0
	case word:
		return !isWordPart(utf8.DecodeLastRune(text))
	}
	return true
}

// begins reports whether a text may follow a mark.
func (p place) begins(text []byte) bool {
	switch p {
	case edge:
		return len(bytes.TrimSpace(text)) == 0
	case failWord:
		text = bytes.TrimPrefix(bytes.TrimPrefix(text, []byte("ED")), []byte("URE"))
		return !isWordPart(utf8.DecodeRune(text))
	case word:
		return !isWordPart(utf8.DecodeRune(text))
	}
	return true
}

// isWordPart reports whether a decoded character belongs to a word.
func isWordPart(r rune, size int) bool {
	return size > 0 && r != utf8.RuneError && (r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r))
}

// isCountOfZero reports whether a text says that there were no errors, as in "# FAIL:  0".
func isCountOfZero(text []byte) bool {
	rest := bytes.TrimLeft(text, " :=")
	return len(rest) < len(text) && len(rest) > 0 && rest[0] == '0' && !isWordPart(utf8.DecodeRune(rest[1:]))
}

// markFinder finds candidates for error lines in a text. It looks at each byte once, and
// compares marks only at the places of few bytes, because most output has no error.
type markFinder struct {
	triggers [256]bool
	marks    [256][]errorMark // by their trigger
}

// findMarks returns the finder of all marks, which is made once.
var findMarks = sync.OnceValue(func() *markFinder {
	f := &markFinder{}
	for _, m := range errorMarks {
		trigger := m.trigger()
		f.triggers[trigger], f.marks[trigger] = true, append(f.marks[trigger], m)
	}
	return f
})

// trigger returns the byte at which a mark is compared. A mark at the end of a line is
// compared at the line break.
func (m errorMark) trigger() byte {
	if m.after == edge {
		return '\n'
	}
	return m.text[m.rare]
}

// next returns a place in the first line with a candidate at or after an offset, or len(text).
func (f *markFinder) next(text []byte, offset int) int {
	for i, c := range text[offset:] {
		if !f.triggers[c] {
			continue
		}
		for j := range f.marks[c] {
			if at := f.marks[c][j].occursAt(text, offset+i); at >= 0 {
				return at
			}
		}
	}
	return len(text)
}

// occursAt returns where a mark begins whose trigger is at an offset, or -1.
func (m *errorMark) occursAt(text []byte, trigger int) int {
	end := trigger - m.rare + len(m.text)
	if m.after == edge {
		end = trigger
		if end > 0 && text[end-1] == '\r' {
			end--
		}
	}
	at := end - len(m.text)
	if at < 0 || end > len(text) || text[end-1] != m.text[len(m.text)-1] || string(text[at:end]) != m.text {
		return -1
	}
	return at
}
