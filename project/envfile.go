package project

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/internal/diag"
)

const blanks = " \t\r"

// ParseEnvFile reads a dotenv file: lines of NAME=VALUE, or of NAME, whose value
// lookup knows. A line may begin with "export ". A # begins a comment at the
// start of a line, or behind white space after a value. 'Single quotes' keep
// everything as it is; in "double quotes" \n, \r, \t, \", \\ and \$ are escapes;
// both may span lines. A $ is never expanded: values are literal, as the
// service's are. Of a name given twice the last counts. file is only named in
// problems, which never show a value: it may be a secret.
func ParseEnvFile(file string, text []byte, lookup func(string) (string, bool)) ([]Variable, diag.List) {
	f := &envFile{findings: findings{file: file}, lookup: lookup, lines: map[string]int{}}
	text = toUTF8(text)
	nul := bytes.IndexByte(text, 0)
	switch {
	case len(text) > maxSize:
		f.error(place{}, "the file has %d bytes; an environment file has at most %d", len(text), maxSize)
	case nul >= 0:
		f.error(placeAt(text, nul), "found a NUL character; a variable cannot hold one, and a file in UTF-8 has none")
	default:
		f.read(strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
	return lastOfEach(f.vars), f.list()
}

// envFile is a file being read.
type envFile struct {
	findings
	lookup func(string) (string, bool)
	line   int // of what is read now
	vars   []Variable
	lines  map[string]int // where a name was defined last
}

func (f *envFile) read(text string) {
	f.line = 1
	for text != "" {
		begin := text
		text = f.definition(text)
		f.line += strings.Count(begin[:len(begin)-len(text)], "\n")
	}
}

// definition reads one definition and returns what stands behind it.
func (f *envFile) definition(text string) (rest string) {
	line, rest, _ := strings.Cut(text, "\n")
	if start := strings.TrimLeft(line, blanks); start == "" || start[0] == '#' {
		return rest
	}
	before, _, given := strings.Cut(uncomment(line), "=")
	name, at := f.name(before)
	if !ValidName(name) {
		f.error(at, "%s", noName(name, given))
		return rest
	}
	if !given {
		f.inherit(name, at)
		return rest
	}
	value := line[len(before)+1:]
	switch quoted := strings.TrimLeft(value, blanks); {
	case quoted != "" && (quoted[0] == '\'' || quoted[0] == '"'):
		return f.quoted(name, at, text[len(line)-len(quoted):])
	default:
		f.define(name, at, strings.Trim(uncomment(value), blanks))
	}
	return rest
}

// uncomment returns s without the comment that a # behind white space begins.
func uncomment(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] == '#' && strings.IndexByte(blanks, s[i-1]) >= 0 {
			return s[:i]
		}
	}
	return s
}

// name returns the name that before, all that stands before the "=", defines.
func (f *envFile) name(before string) (string, place) {
	name := strings.TrimLeft(before, blanks)
	if rest, ok := strings.CutPrefix(name, "export"); ok && strings.TrimLeft(rest, blanks) != rest {
		name = strings.TrimLeft(rest, blanks)
	}
	column := 1 + utf8.RuneCountInString(before[:len(before)-len(name)])
	return strings.TrimRight(name, blanks), place{f.line, column}
}

// noName says what is wrong with name. Without "=" or when it is long it may be
// part of a secret, as a line of a key without quotes is, and is not repeated.
func noName(name string, given bool) string {
	switch {
	case name == "":
		return "found no name before the \"=\"; expected NAME=VALUE"
	case !given || len(name) > 40:
		return "found neither NAME=VALUE nor NAME; put a value of several lines in quotes"
	}
	return badName(name)
}

// inherit defines a variable that has no value in the file.
func (f *envFile) inherit(name string, at place) {
	value, ok := look(f.lookup, name)
	if !ok {
		f.warn(at, "%s has no value here and is not set in your environment; it is left out", name)
		return
	}
	f.define(name, at, value)
}

func (f *envFile) define(name string, at place, value string) {
	if before, ok := f.lines[name]; ok {
		f.warn(at, "%s was defined on line %d already; the last one counts", name, before)
	}
	if ReservedName(name) {
		f.warn(at, "%s", reservedName(name))
	}
	f.lines[name] = at.line
	f.vars = append(f.vars, Variable{Name: name, Value: value, Type: Plaintext, Line: at.line})
}

// quoted reads a value that text begins with, in quotes, to the end of its line.
func (f *envFile) quoted(name string, at place, text string) (rest string) {
	size := closing(text)
	if size < 0 {
		f.error(at, "the value of %s begins with %c on line %d, and no %c ends it", name, text[0], at.line, text[0])
		return ""
	}
	behind, rest, _ := strings.Cut(text[size:], "\n")
	if strings.Trim(uncomment(behind), blanks) != "" {
		line := at.line + strings.Count(text[:size], "\n")
		f.error(place{line, 0}, "found text behind the closing %c of %s; expected the end of the line, or a blank and a # comment", text[0], name)
		return rest
	}
	value := text[1 : size-1]
	if text[0] == '"' {
		value = unescape.Replace(value)
	}
	f.define(name, at, value)
	return rest
}

// closing returns how long the quoted value is that text begins with, or -1.
func closing(text string) int {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == quote:
			return i + 1
		case text[i] == '\\' && quote == '"':
			i++
		}
	}
	return -1
}

// unescape works from left to right; a backslash before anything else stays.
var unescape = strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\"`, `"`, `\\`, `\`, `\$`, "$")

func (f *envFile) error(at place, format string, args ...any) {
	f.at(diag.Error, at, format, args...)
}

func (f *envFile) warn(at place, format string, args ...any) {
	f.at(diag.Warning, at, format, args...)
}
