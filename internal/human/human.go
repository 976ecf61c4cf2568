// Package human formats sizes, durations, ages and lists for people. It is the one place
// that decides how they look, so all commands, the log and the page agree.
package human

import (
	"fmt"
	"strings"
	"time"

	"github.com/docker/go-units"
)

const day = 24 * time.Hour

// Bytes returns a number of bytes in decimal units, such as 1.2MB.
func Bytes(bytes int64) string {
	const digits = 3
	text := units.HumanSizeWithPrecision(float64(bytes), digits)
	if strings.Contains(text, "e+") { // the library writes 999.9kB as 1e+03kB
		text = units.HumanSizeWithPrecision(float64(bytes)*1.001, digits)
	}
	return text
}

// ParseBytes parses a size such as 500MB, in bytes. Units are decimal, as in the output of
// Bytes. A size without a unit is in bytes.
func ParseBytes(text string) (int64, error) {
	n, err := units.FromHumanSize(text)
	if err == nil && n < 0 {
		err = fmt.Errorf("%s is negative", text)
	}
	return n, err
}

// Memory returns an amount of memory in bytes as compute types are written: 4 GiB.
func Memory(bytes int64) string {
	const gib, mib = 1 << 30, 1 << 20
	if bytes < gib*19/20 { // 0.95 GiB, which would be rounded to 0.9 or 1 GiB
		return fmt.Sprintf("%d MiB", max(1, bytes/mib))
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(bytes)/gib), ".0") + " GiB"
}

// Duration returns a duration with about three digits: 27ms, 1.46s, 16.1s, 2m3s.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// Ago returns the time since an event in its largest unit, such as "3 h ago".
func Ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	case d < 2*day:
		return "1 day ago"
	}
	return fmt.Sprintf("%d days ago", d/day)
}

// Plural returns one or many, depending on n.
func Plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Count returns a number with its noun: "1 file", "3 files". For a noun with another plural
// than -s, use Plural.
func Count(n int, noun string) string {
	return fmt.Sprintf("%d %s", n, Plural(n, noun, noun+"s"))
}

// Series joins words as in a sentence: "a, b and c".
func Series(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// ShortID returns the first 12 digits of a digest or an ID, as Docker prints them.
func ShortID(id string) string {
	const length = 12
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(length, len(id))]
}

// CutMiddle shortens a text to a number of characters in the middle, because both ends
// of a path matter.
func CutMiddle(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	half := (limit - 1) / 2 // one character is the ellipsis
	return string(runes[:half]) + "…" + string(runes[len(runes)-half:])
}

// ShellWord quotes a word for a POSIX shell if that is necessary. In single quotes only the
// single quote itself is special: it ends the quotes, is escaped, and begins them again.
func ShellWord(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
