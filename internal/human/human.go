// Package human formats sizes, durations, ages and lists for people. It is the one place
// that decides how they look, so all commands, the log and the page agree.
package human

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
)

const day = 24 * time.Hour

// Bytes returns a number of bytes in decimal units, with one decimal below 10: 238B, 2.3kB, 12MB.
func Bytes(bytes int64) string {
	const unit = 1000
	size, name := float64(bytes), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if size < unit-0.5 { // which would be rounded to 1000
			break
		}
		size, name = size/unit, next
	}
	return shortNumber(size, name == "B") + name
}

// shortNumber returns a number with one decimal if it is below 10 and has one.
func shortNumber(n float64, whole bool) string {
	const ten = 9.95 // which is rounded to 10.0
	if whole || n >= ten {
		return fmt.Sprintf("%.0f", n)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0")
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

// Memory returns an amount of memory in bytes, in binary units: 115MiB, 1.5GiB.
func Memory(bytes int64) string {
	const gib, mib = 1 << 30, 1 << 20
	if bytes < gib*19/20 { // 0.95 GiB, which would be rounded to 0.9 or 1 GiB
		return fmt.Sprintf("%dMiB", max(1, bytes/mib))
	}
	return shortNumber(float64(bytes)/gib, false) + "GiB"
}

// Duration returns a duration that flags accept too: milliseconds below 0.1 s, seconds with one
// decimal below a minute, and then two units: 34ms, 9.5s, 2m05s, 1h02m.
func Duration(d time.Duration) string {
	const least, minute = 100 * time.Millisecond, time.Minute - 50*time.Millisecond // which is rounded to 60.0s
	switch {
	case d < least:
		return d.Round(time.Millisecond).String()
	case d < minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour-time.Second/2:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}

// Clock returns a duration as a clock: 0:23, 1:02:05.
func Clock(d time.Duration) string {
	const minute, hour = 60, 3600 // seconds
	seconds := max(0, int(d/time.Second))
	if seconds >= hour {
		return fmt.Sprintf("%d:%02d:%02d", seconds/hour, seconds/minute%minute, seconds%minute)
	}
	return fmt.Sprintf("%d:%02d", seconds/minute, seconds%minute)
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
	}
	return fmt.Sprintf("%d d ago", d/day)
}

// When returns a time as people speak of it at another time: relative for a week, and then as
// a date in the local time zone.
func When(t, now time.Time) string {
	const week = 7 * day
	if d := now.Sub(t); d < week {
		return Ago(d)
	}
	return t.Local().Format("2006-01-02 15:04")
}

// ShortCommit returns the first seven digits of a commit's ID.
func ShortCommit(id string) string {
	const length = 7
	return id[:min(length, len(id))]
}

// Plural returns one or many, depending on n.
func Plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Count returns a number with its noun: "no files", "1 file", "12,480 files". For a noun with
// another plural than -s, use Plural.
func Count(n int, noun string) string {
	if n == 0 {
		return "no " + noun + "s"
	}
	return Number(n) + " " + Plural(n, noun, noun+"s")
}

// Number returns a count, with a comma before each three digits from 10,000 on.
func Number(n int) string {
	const first, group = 10_000, 1000
	if n < first {
		return strconv.Itoa(n)
	}
	text := ""
	for ; n >= group; n /= group {
		text = fmt.Sprintf(",%03d%s", n%group, text)
	}
	return strconv.Itoa(n) + text
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
