package secrets

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Placeholder replaces a secret in a log (observed).
const Placeholder = "***"

// MinLength is the length of the shortest value that is masked, in bytes. Masking one or
// two characters would reveal them and make the log unreadable.
const MinLength = 3

// Mask replaces secrets, and AWS access key IDs of any kind (documented), by Placeholder.
// If two values overlap, the one that begins first is masked; if they begin at the same
// byte, the longer one. A Mask may be used and extended concurrently.
type Mask struct {
	mu    sync.Mutex // serializes add
	table atomic.Pointer[table]
}

// Maskable reports whether a value is long enough to be masked.
func Maskable(value string) bool { return len(strings.TrimSpace(value)) >= MinLength }

// NewMask returns a Mask for values. Each line of a value is masked too, because a log
// may show lines separately. Blanks around a value or line are not part of it.
func NewMask(values ...string) *Mask {
	m := &Mask{}
	m.table.Store(newTable(nil))
	m.Add(values...)
	return m
}

// Add masks more values in all texts from now on.
func (m *Mask) Add(values ...string) {
	var parts []pattern
	for _, v := range values {
		for _, part := range append(strings.Split(v, "\n"), v) {
			if Maskable(part) {
				parts = append(parts, pattern{text: strings.TrimSpace(part)})
			}
		}
	}
	m.add(parts)
}

// AddEncoded masks the encoded forms of values: base64, also inside a longer text and in
// lines of any length, URLs and JSON.
func (m *Mask) AddEncoded(values ...string) {
	var parts []pattern
	for _, v := range values {
		if Maskable(v) {
			parts = append(parts, encoded(v)...)
		}
	}
	m.add(parts)
}

func (m *Mask) add(parts []pattern) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.table.Load()
	seen := map[pattern]bool{}
	for _, p := range old.patterns {
		seen[p] = true
	}
	all := slices.Clone(old.patterns)
	for _, p := range parts {
		if !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	if len(all) > len(old.patterns) {
		m.table.Store(newTable(all))
	}
}

// pattern is one text to mask.
type pattern struct {
	text    string
	wrapped bool // matches also with line breaks inside
}

// match returns the length of the pattern at the beginning of text, or 0. cut reports
// that text ends inside a possible match.
func (p pattern) match(text []byte) (length int, cut bool) {
	if !p.wrapped {
		n := min(len(text), len(p.text))
		same := string(text[:n]) == p.text[:n]
		if n < len(p.text) || !same {
			return 0, same
		}
		return n, false
	}
	found := 0
	for i, c := range text {
		switch {
		case found > 0 && (c == '\n' || c == '\r'):
			continue
		case c != p.text[found]:
			return 0, false
		}
		if found++; found == len(p.text) {
			return i + 1, false
		}
	}
	return 0, true
}

// Text returns text with all values masked.
func (m *Mask) Text(text string) string {
	shown, _ := m.table.Load().hide([]byte(text), true)
	return string(shown)
}

// Writer masks values in a stream, also values that are split over several writes. It
// holds back the possible beginning of a value until the next Write or Flush. A Writer
// is not safe for concurrent use.
type Writer struct {
	mask *Mask
	to   io.Writer
	held []byte
}

// Writer returns a Writer in front of w.
func (m *Mask) Writer(w io.Writer) *Writer { return &Writer{mask: m, to: w} }

// Write implements io.Writer. The error is that of the underlying writer.
func (w *Writer) Write(p []byte) (int, error) {
	text := p
	if len(w.held) > 0 {
		text = append(w.held, p...)
	}
	shown, rest := w.mask.table.Load().hide(text, false)
	if len(rest) == 0 {
		w.held = nil
	} else {
		w.held = bytes.Clone(rest)
	}
	return len(p), w.pass(shown)
}

// Flush writes the text that was held back. Call it when no more output of the same
// command can follow.
func (w *Writer) Flush() error {
	shown, _ := w.mask.table.Load().hide(w.held, true)
	w.held = nil
	return w.pass(shown)
}

func (w *Writer) pass(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	_, err := w.to.Write(text)
	return err
}

// table is an immutable index of the patterns by their first two bytes. The time for a
// text hardly depends on the number of patterns.
type table struct {
	patterns []pattern
	begin    [1 << 16 / 64]uint64 // one bit for each pair of bytes that begins a pattern
	single   [256]bool            // the first bytes of patterns
	byPair   map[uint16][]pattern // longest first
}

func newTable(patterns []pattern) *table {
	t := &table{patterns: patterns, byPair: map[uint16][]pattern{}}
	for _, p := range patterns {
		at := pair(p.text[0], p.text[1])
		t.byPair[at] = append(t.byPair[at], p)
	}
	for at, all := range t.byPair {
		slices.SortFunc(all, func(a, b pattern) int { return len(b.text) - len(a.text) })
		t.mark(at)
	}
	for _, kind := range keyKinds {
		t.mark(pair(kind[0], kind[1]))
	}
	return t
}

func pair(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

func (t *table) mark(at uint16) {
	t.begin[at/64] |= 1 << (at % 64)
	t.single[at>>8] = true
}

// hide returns text with all values masked. rest is the end of text that may be the
// beginning of a value; it is empty if last is set, which means that no text follows.
func (t *table) hide(text []byte, last bool) (shown, rest []byte) {
	from := 0 // start of the text that is not in shown yet
	for i := 0; i < len(text); {
		if len(t.patterns) == 0 { // only access key IDs, which all begin with the same letter
			next := bytes.IndexByte(text[i:], keyKinds[0][0])
			if next < 0 {
				break
			}
			i += next
		}
		if i+1 < len(text) {
			at := pair(text[i], text[i+1])
			if t.begin[at/64]&(1<<(at%64)) == 0 {
				i++
				continue
			}
		}
		length, unsure := t.at(text[i:])
		switch {
		case unsure && !last:
			return append(shown, text[from:i]...), text[i:]
		case length == 0:
			i++
		default:
			shown = append(append(shown, text[from:i]...), Placeholder...)
			i += length
			from = i
		}
	}
	if from == 0 {
		return text, nil
	}
	return append(shown, text[from:]...), nil
}

// at returns the length of the value at the beginning of text, or 0. unsure reports that
// the answer depends on the text that follows.
func (t *table) at(text []byte) (length int, unsure bool) {
	if len(text) == 1 {
		return 0, t.single[text[0]]
	}
	for _, p := range t.byPair[pair(text[0], text[1])] {
		n, cut := p.match(text)
		if unsure = unsure || cut; n > 0 {
			return n, unsure
		}
	}
	length, cut := accessKey(text)
	return length, unsure || cut
}

// keyLength is the length of an access key ID: four letters for its kind and 16 more
// characters.
const keyLength = 20

// keyKinds begin access key IDs: of users, and of temporary credentials (documented).
// All begin with the same letter.
var keyKinds = []string{"AKIA", "ASIA"}

// accessKey returns the length of the access key ID at the beginning of text, or 0. cut
// reports that text ends inside a possible access key ID.
func accessKey(text []byte) (length int, cut bool) {
	text = text[:min(len(text), keyLength)]
	for _, kind := range keyKinds {
		n := min(len(kind), len(text))
		if string(text[:n]) == kind[:n] && allUpper(text) {
			if len(text) == keyLength {
				return keyLength, false
			}
			return 0, true
		}
	}
	return 0, false
}

func allUpper(text []byte) bool {
	for _, c := range text {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
