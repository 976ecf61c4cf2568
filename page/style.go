package page

import (
	"slices"
	"strconv"
	"strings"
)

// style is the look of a text after SGR sequences (ECMA-48, "Select Graphic Rendition"), as
// the classes of page.css: a1 to a9 for attributes such as bold, c0 to c7 for the color of
// the text, b0 to b7 for the background. The scripts of the page do the same (nextStyle).
type style struct {
	attributes [10]bool  // by their number; 0 is not used
	color      [2]string // of the text and the background: a digit, or "" if not set
}

// String returns the classes, sorted, separated by spaces.
func (s style) String() string {
	var all []string
	for i, on := range s.attributes {
		if on {
			all = append(all, "a"+strconv.Itoa(i))
		}
	}
	for i, kind := range []string{"c", "b"} {
		if s.color[i] != "" {
			all = append(all, kind+s.color[i])
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// next applies the numbers of one SGR sequence, separated by semicolons. Unknown numbers have
// no effect.
func (s *style) next(numbers string) {
	parts := strings.Split(numbers, ";")
	for i := 0; i < len(parts); i++ {
		n, _ := strconv.Atoi(parts[i]) // a missing number is 0, which resets everything
		switch {
		case n == 0:
			*s = style{}
		case n <= 9:
			s.attributes[n] = true
		case n == 22: // ends both bold (1) and faint (2)
			s.attributes[1], s.attributes[2] = false, false
		case n >= 23 && n <= 29: // ends one of 3 to 9
			s.attributes[n-20] = false
		case n == 38 || n == 48:
			i += s.indexed(n/10-3, parts[i+1:])
		default:
			s.plain(n)
		}
	}
}

// plain applies one of the sixteen colors, or resets a color (39 and 49). The bright ones (90
// to 97 and 100 to 107) have the classes of the normal ones: the page's palette is readable
// in light and dark mode, where bright colors are not.
func (s *style) plain(n int) {
	digit := strconv.Itoa(n % 10)
	switch {
	case n >= 30 && n <= 37 || n >= 90 && n <= 97:
		s.color[0] = digit
	case n >= 40 && n <= 47 || n >= 100 && n <= 107:
		s.color[1] = digit
	case n == 39:
		s.color[0] = ""
	case n == 49:
		s.color[1] = ""
	}
}

// indexed applies an extended color (38 or 48), and returns how many numbers it took after
// that: 5;N is one of 256, the first sixteen of which have a class, and 2;R;G;B is a color
// without a class. The text is then shown in the default color.
func (s *style) indexed(which int, rest []string) int {
	switch {
	case len(rest) > 1 && rest[0] == "5":
		s.color[which] = ""
		if n, _ := strconv.Atoi(rest[1]); n < 16 {
			s.color[which] = strconv.Itoa(n % 8)
		}
		return 2
	case len(rest) > 0 && rest[0] == "2":
		return 4
	}
	return 0
}
