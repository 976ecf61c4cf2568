package diag

import (
	"slices"
	"strings"
	"unicode"

	"github.com/agnivade/levenshtein"
)

// Suggest returns the word of known that is nearest to what was written, or ""
// when none is near enough to be meant. Case, '-' and '_' count as nothing.
func Suggest(written string, known []string) string {
	folded := fold(written)
	if folded == "" {
		return ""
	}
	letters := sorted(folded)
	best, least := "", 1+max(1, len(written)/3)
	for _, word := range known {
		other := fold(word)
		if len(written) > 2 && strings.HasPrefix(other, folded) {
			return word
		}
		if len(other) == len(folded) && sorted(other) == letters { // letters that changed places
			return word
		}
		if max(len(other)-len(folded), len(folded)-len(other)) >= least { // no need to look
			continue
		}
		if d := levenshtein.ComputeDistance(folded, other); d < least {
			best, least = word, d
		}
	}
	if best == "" {
		return beginning(folded, known)
	}
	return best
}

// beginning returns the one word that written begins with: environment is env.
func beginning(written string, known []string) string {
	for _, word := range known {
		if len(word) > 2 && len(written) < len(word)+10 && strings.HasPrefix(written, fold(word)) {
			return word
		}
	}
	return ""
}

// DidYouMean returns `; did you mean "x"?` for the word Suggest finds, or "".
func DidYouMean(written string, known []string) string {
	if word := Suggest(written, known); word != "" {
		return `; did you mean "` + word + `"?`
	}
	return ""
}

func sorted(word string) string {
	letters := []rune(word)
	slices.Sort(letters)
	return string(letters)
}

// fold leaves out case, '-' and '_'.
func fold(word string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return -1
		}
		return unicode.ToLower(r)
	}, word)
}

// SameLetters reports whether two words differ in nothing but case, '-' and '_'.
func SameLetters(a, b string) bool { return fold(a) == fold(b) }

// Slip returns the one of known that written is a slip of: two letters changed
// places, or one is missing, added or another; of long words two. "" for none,
// where several are as near, and where only a number is another.
func Slip(written string, known []string) string {
	best, least, same := "", 1+min(2, len(written)/5), false
	for _, word := range known {
		d := levenshtein.ComputeDistance(written, word)
		if d == 2 && sorted(written) == sorted(word) {
			d = 1
		}
		if withoutDigits(word) == withoutDigits(written) {
			continue
		}
		if d > 0 && d < least {
			best, least, same = word, d, false
		} else if d == least && best != "" {
			same = true
		}
	}
	if same {
		return ""
	}
	return best
}

func withoutDigits(word string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, word)
}
