package diag

import (
	"slices"
	"strings"
	"unicode"

	"github.com/agnivade/levenshtein"
)

// Suggest returns the word in known that is most similar to written, or "" if none is similar enough
// to be meant. It ignores case, '-' and '_'.
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
		if len(other) == len(folded) && sorted(other) == letters { // transposed letters
			return word
		}
		if max(len(other)-len(folded), len(folded)-len(other)) >= least { // the distance is at least this
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

// beginning returns the first known word that is a prefix of written: env for environment.
func beginning(written string, known []string) string {
	for _, word := range known {
		if len(word) > 2 && len(written) < len(word)+10 && strings.HasPrefix(written, fold(word)) {
			return word
		}
	}
	return ""
}

// Question returns `did you mean "x"?` with the result of Suggest, or "". It is the hint of a Problem.
func Question(written string, known []string) string {
	if word := Suggest(written, known); word != "" {
		return `did you mean "` + word + `"?`
	}
	return ""
}

// DidYouMean returns Question after a semicolon, to be appended to an error of one line, or "".
func DidYouMean(written string, known []string) string {
	if question := Question(written, known); question != "" {
		return "; " + question
	}
	return ""
}

// Choice returns the hint for a word that is not one of known: Question, or else "use a, b or c". It
// lists the words only if none is similar, because a long list hides the suggestion.
func Choice(written string, known []string) string {
	if question := Question(written, known); question != "" {
		return question
	}
	return "use " + Alternatives(known)
}

// Alternatives joins words as in "a, b or c".
func Alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// sorted returns the letters of a word in alphabetical order.
func sorted(word string) string {
	letters := []rune(word)
	slices.Sort(letters)
	return string(letters)
}

// fold removes '-' and '_' and converts a word to lower case.
func fold(word string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return -1
		}
		return unicode.ToLower(r)
	}, word)
}

// SameLetters reports whether two words differ only in case, '-' and '_'.
func SameLetters(a, b string) bool { return fold(a) == fold(b) }

// Slip returns the word in known of which written is probably a misspelling: one letter is missing,
// added or different, or two are transposed; in long words two letters. It returns "" if there is no
// such word, if several are equally similar, or if the words differ only in digits.
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

// withoutDigits removes the digits of a word.
func withoutDigits(word string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, word)
}
