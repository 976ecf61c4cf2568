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

// syntaxError says where text stops being JSON or YAML and what is wrong there.
func syntaxError(text []byte, lines []string, err error) (place, string) {
	var broken *json.SyntaxError
	if looksLikeJSON(text) && errors.As(json.Unmarshal(text, new(any)), &broken) {
		return jsonError(text, broken)
	}
	return yamlError(lines, err)
}

func looksLikeJSON(text []byte) bool {
	s := strings.TrimSpace(string(text))
	return strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")
}

// hint is what to tell about a parser's message that contains words.
type hint struct{ words, message string }

func advise(hints []hint, message string) string {
	for _, h := range hints {
		if strings.Contains(message, h.words) {
			return h.message
		}
	}
	return message
}

// jsonHints translate encoding/json; what was found goes before each.
var jsonHints = []hint{
	{"exceeded max depth", "expected fewer levels of nesting"},
	{"unexpected end of JSON input", `expected a closing "}", "]" or quote`},
	{"looking for beginning of object key string", `expected a key in double quotes (no comment, no comma before "}")`},
	{"after object key:value pair", `expected "," or "}"`},
	{"after object key", `expected ":"`},
	{"after array element", `expected "," or "]"`},
	{"in numeric literal", "expected a number"},
	{"in literal", "expected true, false or null"},
	{"looking for beginning of value", `expected a value: "...", a number, true, false, null, {...} or [...]`},
	{"after top-level value", "expected nothing after the end of the document"},
	{"in string escape code", `expected one of the escapes \" \\ \/ \b \f \n \r \t \u0000`},
	{`in \u hexadecimal`, "expected four hexadecimal digits"},
	{"in string literal", `expected \n, \t or another escape`},
}

func jsonError(text []byte, err *json.SyntaxError) (place, string) {
	end := min(int(err.Offset), len(text))
	if strings.HasPrefix(err.Error(), "unexpected end") {
		return placeAt(text, end), "found the end of the file; " + advise(jsonHints, err.Error())
	}
	start := max(0, end-1)
	for start > 0 && !utf8.RuneStart(text[start]) {
		start--
	}
	c, _ := utf8.DecodeRune(text[start:])
	return placeAt(text, start), fmt.Sprintf("found %q; %s", c, advise(jsonHints, err.Error()))
}

func placeAt(text []byte, offset int) place {
	lines := splitLines(text[:offset])
	return place{len(lines), 1 + utf8.RuneCountInString(lines[len(lines)-1])}
}

// yamlHints translate yaml.v3.
var yamlHints = []hint{
	{"tab character", "found a tab; expected spaces: YAML is not indented with tabs"},
	{"cannot start any token", `found a character that no value can begin with; put the value in quotes`},
	{"mapping values are not allowed", `found ": " where no key is expected; put a value with ": " in quotes, or check the indentation`},
	{"could not find expected ':'", `found a key without ":"; expected "key: value"`},
	{"unexpected end of stream", "found a quote that is not closed; expected the same quote again"},
	{"expected ',' or ']'", `found a list that is not closed; expected "," or "]"`},
	{"expected ',' or '}'", `found a mapping that is not closed; expected "," or "}"`},
	{"expected '-' indicator", `found no "-"; expected another item of the list, or other indentation`},
	{"did not find expected key", "found no key here; expected one, indented like those before it, or quotes around the value"},
	{"did not find expected node content", "found no value here; expected one"},
	{"unknown escape character", `found an unknown escape; expected \\ for a backslash, or 'single quotes'`},
	{"exceeded max depth", "found too many levels of nesting"},
}

var unknownAnchor = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`unknown anchor '(.+)' referenced`)
})

func yamlError(lines []string, err error) (place, string) {
	at, message := yamlPlace(lines, err), strings.TrimPrefix(err.Error(), "yaml: ")
	message = reportedLine().ReplaceAllString(message, "")
	if m := unknownAnchor().FindStringSubmatch(message); m != nil {
		return at, fmt.Sprintf(`found *%s, but no &%s before it; define it, or put the value in quotes`, m[1], m[1])
	}
	if at.column > 0 && strings.Contains(lines[at.line-1][:indentation(lines[at.line-1])], "\t") {
		message = "tab character"
	}
	return at, advise(yamlHints, message)
}

func indentation(line string) int {
	return len(line) - len(strings.TrimLeft(line, " \t"))
}

var reportedLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^line (\d+): `)
})

// yamlPlace finds where lines stop being YAML: behind the longest beginning of
// them that parses. yaml.v3 itself names no column, and often the line where
// something began that went wrong later.
func yamlPlace(lines []string, err error) place {
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

func reported(err error, lines int) int {
	m := reportedLine().FindStringSubmatch(strings.TrimPrefix(err.Error(), "yaml: "))
	if m == nil {
		return 1
	}
	n, _ := strconv.Atoi(m[1]) // the pattern says it is a number
	return min(max(1, n), lines)
}

// search parses beginnings of a text until it has read budget bytes.
type search struct{ budget int }

func (s *search) parse(text string) error {
	s.budget -= len(text)
	_, _, err := decodeYAML([]byte(text))
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// enough returns the least number up to n whose beginning has the same error as
// the whole text: what stands behind that was not looked at.
func (s *search) enough(n int, beginning func(n int) string, whole error) int {
	return sort.Search(n, func(n int) bool {
		if s.budget < 0 {
			return true
		}
		err := s.parse(beginning(n))
		return err != nil && err.Error() == whole.Error()
	})
}

// longest returns the greatest number up to n whose beginning parses.
func (s *search) longest(n int, beginning func(n int) string) int {
	for ; n > 0 && s.budget >= 0; n-- {
		if s.parse(beginning(n)) == nil {
			return n
		}
	}
	return 0
}
