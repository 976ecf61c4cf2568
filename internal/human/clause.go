package human

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// properNames begin sentences of this program and keep their capital letter in a clause.
var properNames = []string{
	"AWS", "CodeBuild", "Docker", "Git", "GitHub", "Lambda", "Linux", "Parameter", "Secrets", "Windows",
}

// Clause returns a sentence as it follows a label, such as "note:" or "hint:": without its full
// stop, and with a small letter at the beginning unless that is a name. Messages of other packages
// are sentences, because they are also shown alone: in JSON and on the page.
func Clause(sentence string) string {
	text := TrimStop(sentence)
	word, _, _ := strings.Cut(text, " ")
	first, size := utf8.DecodeRuneInString(text)
	second, _ := utf8.DecodeRuneInString(text[size:])
	if !unicode.IsUpper(first) || !unicode.IsLower(second) && second != ' ' ||
		slices.Contains(properNames, strings.TrimRight(word, "'s:,")) {
		return text
	}
	return string(unicode.ToLower(first)) + text[size:]
}

// TrimStop removes the full stop of a sentence. A dot after a space, a slash or another dot
// is part of a directory's name or of an ellipsis.
func TrimStop(line string) string {
	sentence, found := strings.CutSuffix(line, ".")
	if !found || strings.HasSuffix(sentence, " ") || strings.HasSuffix(sentence, "/") ||
		strings.HasSuffix(sentence, ".") {
		return line
	}
	return sentence
}
