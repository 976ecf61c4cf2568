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
	if best == "" {
		return beginning(fold(written), known)
	}
	return best
}

// beginning returns the one word that written begins with: environment is env.
func beginning(written string, known []string) string {
	for _, word := range known {
		if len(word) > 2 && strings.HasPrefix(written, fold(word)) {
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

func fold(word string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(word))
}

// SameLetters reports whether two words differ in nothing but case, '-' and '_'.
func SameLetters(a, b string) bool { return fold(a) == fold(b) }

// Slip returns the one of known that written is a slip of: two letters changed
// places, or one is missing, added or another; of long words two. "" for none,
// and where several are as near.
func Slip(written string, known []string) string {
	best, least, same := "", 1+min(2, len(written)/5), false
	for _, word := range known {
		d := levenshtein.ComputeDistance(written, word)
		if d == 2 && sorted(written) == sorted(word) {
			d = 1
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
