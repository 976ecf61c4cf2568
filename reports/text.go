package reports

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// text collects a message in pieces, up to a limit. The limit applies while reading, because a
// single message may be larger than the memory.
type text struct {
	buf  []byte
	most int // bytes
}

// reset keeps the buffer, which the next case uses again.
func (t *text) reset() { t.buf = t.buf[:0] }

// add appends a piece, cut at the limit. A cut in the middle of a character is repaired by take.
func (t *text) add(piece []byte) {
	t.buf = append(t.buf, piece[:min(len(piece), max(0, t.most-len(t.buf)))]...)
}

// line adds a line.
func (t *text) line(text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	if len(t.buf) > 0 {
		t.add([]byte("\n"))
	}
	t.add([]byte(text))
}

// merge adds the text of an element to that of its attributes. Many tools write the same text in
// both.
func (t *text) merge(body *text) {
	more := bytes.TrimRight(bytes.TrimLeft(body.buf, "\r\n"), " \t\r\n")
	// The comparison is with the last line only, because a case may have several such elements.
	said := t.buf[bytes.LastIndexByte(t.buf, '\n')+1:]
	switch trimmed := bytes.TrimSpace(more); {
	case len(trimmed) == 0 || bytes.Equal(trimmed, said):
		return
	// The attribute is the beginning of the text.
	case bytes.HasPrefix(trimmed, said):
		t.buf = t.buf[:len(t.buf)-len(said)]
	case len(t.buf) > 0:
		t.add([]byte("\n"))
	}
	t.add(more)
}

// take returns the text and resets it.
func (t *text) take() string {
	s := strings.TrimSpace(strings.ToValidUTF8(string(t.buf), "\uFFFD"))
	t.reset()
	return s
}

// cut limits a text to a number of characters. 0 is unlimited.
func cut(text string, most int) string {
	if most == 0 || len(text) <= most {
		return text
	}
	n := 0
	for i := range text {
		if n == most {
			return strings.Clone(text[:i]) // the rest is not held
		}
		n++
	}
	return text
}

// seconds parses a duration in seconds, with a point or a comma as decimal separator, commas between
// thousands, or a unit. An invalid duration is 0.
func seconds(text string) time.Duration {
	text = strings.TrimSpace(text)
	if strings.Contains(text, ":") {
		return clock(text)
	}
	// With a unit: 1.5s and 20ms by Go tools, PT0.5S by XML Schema.
	if n := len(text); n > 0 && (text[n-1] < '0' || text[n-1] > '9') {
		d, _ := time.ParseDuration(strings.ToLower(strings.TrimPrefix(text, "PT")))
		return max(0, min(d, maxDuration))
	}
	return number(text, time.Second)
}

// maxDuration is longer than any test. Larger values are invalid. One of them would make the total
// meaningless.
const maxDuration = 365 * 24 * time.Hour

// number parses a number of units.
func number(text string, unit time.Duration) time.Duration {
	text = strings.TrimSpace(text)
	// The last of the two is the decimal separator. Tools that format with the locale of the host
	// write 1,234.5 or 1.234,5.
	if point, comma := strings.LastIndexByte(text, '.'), strings.LastIndexByte(text, ','); point > comma {
		text = strings.ReplaceAll(text, ",", "")
	} else if comma >= 0 {
		text = strings.ReplaceAll(text, ".", "")
		text = strings.ReplaceAll(text[:strings.LastIndexByte(text, ',')], ",", "") + "." +
			text[strings.LastIndexByte(text, ',')+1:]
	}
	f, err := strconv.ParseFloat(text, 64)
	f *= float64(unit)
	if err != nil || !(f > 0) || f > float64(maxDuration) {
		return 0
	}
	return time.Duration(math.Round(f))
}

// clock parses days, hours, minutes and seconds: 1.02:03:04.5. It is the format of .NET,
// [d.]hh:mm:ss[.fffffff], and of some tools mm:ss.
func clock(text string) time.Duration {
	sum := 0.0
	parts := strings.Split(text, ":")
	for i, part := range parts {
		days, rest, dotted := strings.Cut(part, ".")
		if i == 0 && dotted && len(parts) == 3 {
			d, err := strconv.Atoi(days)
			if err != nil {
				return 0
			}
			sum, part = 24*float64(d), rest
		}
		f, err := strconv.ParseFloat(strings.Replace(part, ",", ".", 1), 64)
		if err != nil || f < 0 {
			return 0
		}
		if i > 0 {
			sum *= 60
		}
		sum += f
	}
	if f := sum * float64(time.Second); len(parts) <= 3 && f >= 0 && f <= float64(maxDuration) {
		return time.Duration(math.Round(f))
	}
	return 0
}
