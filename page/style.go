package page

import (
	"slices"
	"strconv"
	"strings"
)

// style is how a text looks after SGR sequences, as the classes of page.css: a1 to a9 for
// bold and the like, c0 to c7 for the colour, b0 to b7 for what is behind it. The scripts
// of the page do the same (nextStyle).
type style struct {
	attributes [10]bool
	colour     [2]string // in front and behind, a digit; empty for none
}

// String returns the classes, sorted.
func (s style) String() string {
	var all []string
	for i, on := range s.attributes {
		if on {
			all = append(all, "a"+strconv.Itoa(i))
		}
	}
	for i, kind := range []string{"c", "b"} {
		if s.colour[i] != "" {
			all = append(all, kind+s.colour[i])
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// next applies the numbers of one SGR sequence.
func (s *style) next(numbers string) {
	parts := strings.Split(numbers, ";")
	for i := 0; i < len(parts); i++ {
		n, _ := strconv.Atoi(parts[i]) // nothing is 0
		switch {
		case n == 0:
			*s = style{}
		case n <= 9:
			s.attributes[n] = true
		case n == 22:
			s.attributes[1], s.attributes[2] = false, false
		case n >= 23 && n <= 29:
			s.attributes[n-20] = false
		case n == 38 || n == 48:
			i += s.indexed(n/10-3, parts[i+1:])
		default:
			s.plain(n)
		}
	}
}

// plain applies one of the sixteen colours, or takes a colour away.
func (s *style) plain(n int) {
	digit := strconv.Itoa(n % 10)
	switch {
	case n >= 30 && n <= 37 || n >= 90 && n <= 97:
		s.colour[0] = digit
	case n >= 40 && n <= 47 || n >= 100 && n <= 107:
		s.colour[1] = digit
	case n == 39:
		s.colour[0] = ""
	case n == 49:
		s.colour[1] = ""
	}
}

// indexed applies a colour of 256, of which the first sixteen have a class, or of red,
// green and blue, which have none; it returns how many numbers that took.
func (s *style) indexed(which int, rest []string) int {
	switch {
	case len(rest) > 1 && rest[0] == "5":
		s.colour[which] = ""
		if n, _ := strconv.Atoi(rest[1]); n < 16 {
			s.colour[which] = strconv.Itoa(n % 8)
		}
		return 2
	case len(rest) > 0 && rest[0] == "2":
		return 4
	}
	return 0
}
