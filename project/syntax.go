package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// explanation is the message of a problem and its hint.
type explanation struct{ message, hint string }

// syntaxError returns the position of a JSON or YAML syntax error and explains it.
func syntaxError(text []byte, lines []string, err error) (place, explanation) {
	var broken *json.SyntaxError
	if looksLikeJSON(text) && errors.As(json.Unmarshal(text, new(any)), &broken) {
		return jsonError(text, broken)
	}
	return yamlError(lines, err)
}

// looksLikeJSON reports whether the author probably meant to write JSON, so that JSON's rules
// explain the error better than YAML's.
func looksLikeJSON(text []byte) bool {
	s := strings.TrimSpace(string(text))
	return strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")
}

// jsonHints are the hints for errors of encoding/json that contain certain words. The message names
// the unexpected character.
var jsonHints = []struct{ words, hint string }{
	{"exceeded max depth", "reduce the levels of nesting"},
	{"unexpected end of JSON input", `add a closing "}", "]" or quote`},
	{"looking for beginning of object key string", `write a key in double quotes (no comment, no comma before "}")`},
	{"after object key:value pair", `write "," or "}" here`},
	{"after object key", `write ":" here`},
	{"after array element", `write "," or "]" here`},
	{"in numeric literal", "write a number here"},
	{"in literal", "write true, false or null here"},
	{"looking for beginning of value", `write a value here: "...", a number, true, false, null, {...} or [...]`},
	{"after top-level value", "remove the text after the end of the document"},
	{"in string escape code", `use one of the escapes \" \\ \/ \b \f \n \r \t \u0000`},
	{`in \u hexadecimal`, "write four hexadecimal digits"},
	{"in string literal", `write \n, \t or another escape`},
}

// jsonError converts an error of encoding/json.
func jsonError(text []byte, err *json.SyntaxError) (place, explanation) {
	hint := err.Error()
	for _, h := range jsonHints {
		if strings.Contains(hint, h.words) {
			hint = h.hint
			break
		}
	}
	end := min(int(err.Offset), len(text))
	if strings.HasPrefix(err.Error(), "unexpected end") {
		return placeAt(text, end), explanation{"unexpected end of the file", hint}
	}
	// Offset counts the bytes that were read, including the unexpected character.
	start := max(0, end-1)
	for start > 0 && !utf8.RuneStart(text[start]) {
		start--
	}
	c, _ := utf8.DecodeRune(text[start:])
	return placeAt(text, start), explanation{fmt.Sprintf("unexpected %q", c), hint}
}

// placeAt converts a byte offset to a line and a column.
func placeAt(text []byte, offset int) place {
	lines := splitLines(text[:offset])
	return place{len(lines), 1 + utf8.RuneCountInString(lines[len(lines)-1])}
}

// yamlErrors explain the errors of yaml.v3 that contain certain words.
var yamlErrors = []struct {
	words string
	explanation
}{
	{"tab character", explanation{"tab in the indentation", "indent with spaces"}},
	{"cannot start any token", explanation{"a value cannot begin with this character", "put the value in quotes"}},
	{"mapping values are not allowed",
		explanation{`unexpected ": "`, `put a value with ": " in quotes, or check the indentation`}},
	{"could not find expected ':'", explanation{`a key has no ":"`, `write "key: value"`}},
	{"unexpected end of stream", explanation{"a quote is not closed", "add the closing quote"}},
	{"expected ',' or ']'", explanation{"a list is not closed", `write "," or "]" here`}},
	{"expected ',' or '}'", explanation{"a mapping is not closed", `write "," or "}" here`}},
	{"expected '-' indicator", explanation{`no "-" here`, "add a list item, or fix the indentation"}},
	{"did not find expected key",
		explanation{"no key here", "align it with the keys above, or put the value in quotes"}},
	{"did not find expected node content", explanation{"no value here", "add one"}},
	{"unknown escape character",
		explanation{"unknown escape", `write \\ for a backslash, or use 'single quotes'`}},
	{"exceeded max depth", explanation{message: "too many levels of nesting"}},
}

var unknownAnchor = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`unknown anchor '(.+)' referenced`)
})

// yamlError converts an error of yaml.v3.
func yamlError(lines []string, err error) (place, explanation) {
	at, message := yamlPlace(lines, err), strings.TrimPrefix(err.Error(), "yaml: ")
	message = reportedLine().ReplaceAllString(message, "")
	if m := unknownAnchor().FindStringSubmatch(message); m != nil {
		return at, explanation{
			fmt.Sprintf("alias *%s has no anchor &%s before it", m[1], m[1]), "define it, or put the value in quotes",
		}
	}
	if at.column > 0 && strings.Contains(lines[at.line-1][:indentation(lines[at.line-1])], "\t") {
		message = "tab character"
	}
	for _, e := range yamlErrors {
		if strings.Contains(message, e.words) {
			return at, e.explanation
		}
	}
	return at, explanation{message: message}
}

// indentation returns the number of tabs and spaces at the beginning of a line.
func indentation(line string) int {
	return len(line) - len(strings.TrimLeft(line, " \t"))
}

var reportedLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^line (\d+): `)
})

// yamlPlace finds the position of a YAML syntax error: the end of the longest prefix that
// parses. yaml.v3 reports no column, and often the line in which the broken construct begins.
// If the search exceeds its budget, yamlPlace returns the line of yaml.v3.
func yamlPlace(lines []string, err error) place {
	// Parsing prefixes is quadratic, so the search has a budget and falls back to the line of the
	// parser.
	s := search{budget: maxSize}
	firstLines := func(n int) string { return strings.Join(lines[:n], "\n") + "\n" }
	line := s.longest(s.enough(len(lines), firstLines, err), firstLines)
	if line >= len(lines) || s.budget < 0 {
		return place{reported(err, len(lines)), 0}
	}
	before, broken := firstLines(line), []rune(lines[line])
	column := s.longest(len(broken), func(n int) string { return before + string(broken[:n]) })
	if s.budget < 0 {
		return place{line + 1, 0}
	}
	return place{line + 1, min(column+1, max(1, len(broken)))}
}

// reported returns the line number in an error of yaml.v3, or 1.
func reported(err error, lines int) int {
	m := reportedLine().FindStringSubmatch(strings.TrimPrefix(err.Error(), "yaml: "))
	if m == nil {
		return 1
	}
	n, _ := strconv.Atoi(m[1]) // cannot fail: the pattern has digits only
	return min(max(1, n), lines)
}

// search parses prefixes of a text. budget is the number of bytes that it may still read.
type search struct{ budget int }

// parse parses a prefix. An empty one is not an error.
func (s *search) parse(text string) error {
	s.budget -= len(text)
	_, _, err := decodeYAML([]byte(text))
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// enough returns the smallest number up to n whose prefix has the same error as the whole
// text. The parser did not look at the text after it, so longest can begin there.
func (s *search) enough(n int, beginning func(n int) string, whole error) int {
	return sort.Search(n, func(n int) bool {
		if s.budget < 0 {
			return true
		}
		err := s.parse(beginning(n))
		return err != nil && err.Error() == whole.Error()
	})
}

// longest returns the largest number up to n whose prefix parses.
func (s *search) longest(n int, beginning func(n int) string) int {
	for ; n > 0 && s.budget >= 0; n-- {
		if s.parse(beginning(n)) == nil {
			return n
		}
	}
	return 0
}
