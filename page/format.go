package page

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/reports"
)

func itoa(n int) string { return strconv.Itoa(n) }

// plural returns a number with a noun. Digits are grouped, as the scripts do.
func plural(n int, noun string) string { return grouped(n) + " " + human.Plural(n, noun, noun+"s") }

// grouped returns a number with commas between groups of three digits.
func grouped(n int) string {
	text := itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// percent returns the covered part, rounded down: only full coverage is 100 %.
func percent(c reports.Counts) string {
	const tenths = 10
	return strconv.FormatFloat(math.Floor(tenths*c.Percent())/tenths, 'f', 1, 64) + " %"
}

// seconds returns a duration for people, such as 28.9 s. The scripts format numbers alike.
func seconds(d time.Duration) string {
	s := d.Seconds()
	switch {
	case s <= 0:
		return "0 s"
	case s < 0.0005:
		return "<1 ms"
	case s < 0.9995:
		return fmt.Sprintf("%.0f ms", 1000*s)
	case s < 9.995:
		return fmt.Sprintf("%.2f s", s)
	case s < 59.95:
		return fmt.Sprintf("%.1f s", s)
	}
	whole := int(math.Round(s))
	h, m := whole/3600, whole/60%60
	if h > 0 {
		return fmt.Sprintf("%d h %d min", h, m)
	}
	return fmt.Sprintf("%d min %d s", m, whole%60)
}
