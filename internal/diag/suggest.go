package diag

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Suggest returns the word of known that is nearest to what was written, or ""
// when none is near enough to be meant. Case, '-' and '_' count as nothing.
func Suggest(written string, known []string) string {
	best, least := "", 1+max(1, len(written)/3)
	for _, word := range known {
		if len(written) > 2 && strings.HasPrefix(fold(word), fold(written)) {
			return word
		}
		if sorted(fold(word)) == sorted(fold(written)) { // letters that changed places
			return word
		}
		if d := levenshtein.ComputeDistance(fold(written), fold(word)); d < least {
			best, least = word, d
		}
	}
	return best
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

func fold(word string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(word))
}

// SameLetters reports whether two words differ in nothing but case, '-' and '_'.
func SameLetters(a, b string) bool { return fold(a) == fold(b) }
