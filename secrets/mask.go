package secrets

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Stars is what stands in a log where a secret stood (observed).
const Stars = "***"

// Shortest is the length in bytes of the shortest value that is hidden. Hiding
// one or two characters would tell them, and make the log unreadable.
const Shortest = 3

// Mask hides values: secrets, and AWS access key IDs of any sort (documented).
// It may be used and added to by several goroutines. Of two values that overlap
// the one that begins first counts, of two that begin together the longer one.
type Mask struct {
	mu    sync.Mutex // held by who adds
	table atomic.Pointer[table]
}

// Hideable reports whether a value is long enough to be hidden.
func Hideable(value string) bool { return len(strings.TrimSpace(value)) >= Shortest }

// NewMask returns a Mask for values. Of a value of several lines each line is
// hidden too, as a log shows them. Blanks around either are not.
func NewMask(values ...string) *Mask {
	m := &Mask{}
	m.table.Store(newTable(nil))
	m.Add(values...)
	return m
}

// Add hides more values, from the next text on.
func (m *Mask) Add(values ...string) {
	var parts []pattern
	for _, v := range values {
		for _, part := range append(strings.Split(v, "\n"), v) {
			if Hideable(part) {
				parts = append(parts, pattern{text: strings.TrimSpace(part)})
			}
		}
	}
	m.add(parts)
}

// AddEncoded hides what values look like in base64, also behind or before other bytes
// and in lines of any length; in a URL; and in JSON.
func (m *Mask) AddEncoded(values ...string) {
	var parts []pattern
	for _, v := range values {
		if Hideable(v) {
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

// pattern is one text that is hidden.
type pattern struct {
	text    string
	wrapped bool // line ends may stand in it
}

// match returns how long the pattern is that text begins with, 0 for none, and
// whether text may be the beginning of it.
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

// Text returns text with the values hidden.
func (m *Mask) Text(text string) string {
	shown, _ := m.table.Load().hide([]byte(text), true)
	return string(shown)
}

// Writer hides values in what is written to it, also those cut in two by a
// write. It holds back what may be the beginning of one until Flush.
type Writer struct {
	mask *Mask
	to   io.Writer
	held []byte
}

// Writer returns a Writer that passes on to w.
func (m *Mask) Writer(w io.Writer) *Writer { return &Writer{mask: m, to: w} }

// Write takes p. The error is that of the writer behind it.
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

// Flush passes on what was held back: nothing follows that belongs to it.
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

// table finds values by the two bytes they begin with: how long a text takes hardly
// depends on how many there are, and not on how often one is in it.
type table struct {
	patterns []pattern
	begin    [1 << 16 / 64]uint64 // a bit for each two bytes that something begins with
	single   [256]bool            // and one byte
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

// hide returns text with the values hidden, and the end of it that may be the
// beginning of one; with last nothing follows, and nothing is left.
func (t *table) hide(text []byte, last bool) (shown, rest []byte) {
	from := 0 // of what is not shown yet
	for i := 0; i < len(text); {
		if len(t.patterns) == 0 { // all that is left to find begins alike
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
			shown = append(append(shown, text[from:i]...), Stars...)
			i += length
			from = i
		}
	}
	if from == 0 {
		return text, nil
	}
	return append(shown, text[from:]...), nil
}

// at returns how long the value is that text begins with, 0 for none, and whether
// that depends on what follows text.
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

// An access key ID is four letters that say its kind, the first always the same, and
// sixteen more.
const keyLength = 20

var keyKinds = []string{"AKIA", "ASIA"}

// accessKey returns the length of the access key ID that text begins with, and
// whether it may be one that goes on.
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
