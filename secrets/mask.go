package secrets

import (
	"bytes"
	"io"
	"slices"
	"strings"
)

// Stars is what stands in a log where a secret stood (observed).
const Stars = "***"

// Shortest is the length in bytes of the shortest value that is hidden. Hiding
// one or two characters would tell them, and make the log unreadable.
const Shortest = 3

// Mask hides values: secrets, and AWS access key IDs of any sort (documented).
// The zero value hides only the latter.
type Mask struct{ values [][]byte }

// NewMask returns a Mask for values. Of a value of several lines each line is
// hidden too, as a log shows them.
func NewMask(values ...string) *Mask {
	seen := map[string]bool{}
	m := &Mask{}
	for _, v := range values {
		for _, part := range append(strings.Split(v, "\n"), v) {
			part = strings.TrimSuffix(part, "\r")
			if len(strings.TrimSpace(part)) >= Shortest && !seen[part] {
				seen[part] = true
				m.values = append(m.values, []byte(part))
			}
		}
	}
	slices.SortFunc(m.values, func(a, b []byte) int { return len(b) - len(a) })
	return m
}

// Text returns text with the values hidden.
func (m *Mask) Text(text string) string {
	var b bytes.Buffer
	w := m.Writer(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Flush()
	return b.String()
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
	shown, rest := w.mask.hide(text, false)
	if len(rest) == 0 {
		w.held = nil
	} else {
		w.held = bytes.Clone(rest)
	}
	return len(p), w.pass(shown)
}

// Flush passes on what was held back: nothing follows that belongs to it.
func (w *Writer) Flush() error {
	shown, _ := w.mask.hide(w.held, true)
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

// hide returns text with the values hidden, and the end of it that may be the
// beginning of one. Of two values that overlap the one that begins first
// counts, of two that begin together the longer one.
func (m *Mask) hide(text []byte, last bool) (shown, rest []byte) {
	limit := len(text)
	if !last {
		limit = m.unsure(text, 0)
	}
	from, next := 0, m.first(text, 0)
	if next.start >= limit {
		return text[:limit], text[limit:]
	}
	for next.start < limit {
		shown = append(append(shown, text[from:next.start]...), Stars...)
		from = next.end
		if from > limit {
			limit = m.unsure(text, from)
		}
		next = m.first(text, from)
	}
	return append(shown, text[from:limit]...), text[limit:]
}

type span struct{ start, end int }

// first returns the first value in text, seen from a place on.
func (m *Mask) first(text []byte, from int) span {
	best := span{len(text) + 1, 0}
	for _, v := range m.values {
		// No need to look behind the best one yet, but it may begin there.
		window := text[from:min(len(text), best.start+len(v)-1)]
		if best.start > len(text) {
			window = text[from:]
		}
		if at := bytes.Index(window, v); at >= 0 && from+at < best.start {
			best = span{from + at, from + at + len(v)}
		}
	}
	if key := accessKey(text, from); key.start < best.start {
		return key
	}
	return best
}

// unsure returns where the end of text begins that may become a value.
func (m *Mask) unsure(text []byte, from int) int {
	least := len(text)
	for _, v := range m.values {
		for k := min(len(v)-1, len(text)-from); k > len(text)-least; k-- {
			if bytes.HasSuffix(text[from:], v[:k]) {
				least = len(text) - k
				break
			}
		}
	}
	return min(least, unsureKey(text, from))
}

// An access key ID is four letters that say its kind and sixteen more.
const keyLength = 20

var keyKinds = [][]byte{[]byte("AKIA"), []byte("ASIA")}

// accessKey returns the first access key ID in text.
func accessKey(text []byte, from int) span {
	best := span{len(text) + 1, 0}
	for _, kind := range keyKinds {
		for at := from; ; at++ {
			i := bytes.Index(text[at:], kind)
			if i < 0 || at+i >= best.start {
				break
			}
			at += i
			if at+keyLength <= len(text) && allUpper(text[at:at+keyLength]) {
				best = span{at, at + keyLength}
				break
			}
		}
	}
	return best
}

// unsureKey returns where the end of text begins that may become an access key
// ID.
func unsureKey(text []byte, from int) int {
	for at := max(from, len(text)-keyLength+1); at < len(text); at++ {
		tail := text[at:]
		for _, kind := range keyKinds {
			n := min(len(kind), len(tail))
			if bytes.Equal(tail[:n], kind[:n]) && allUpper(tail) {
				return at
			}
		}
	}
	return len(text)
}

func allUpper(text []byte) bool {
	for _, c := range text {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
