package project

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/internal/diag"
)

const blanks = " \t\r"

// ParseEnvFile parses a dotenv file. Its lines are NAME=VALUE, or NAME to take the value
// from lookup, which is usually os.LookupEnv. A line may begin with "export ". A # begins a
// comment at the start of a line, or after white space behind a value. Text in 'single
// quotes' is literal; "double quotes" have the escapes \n, \r, \t, \", \\ and \$. Both may
// span lines. A $ is never expanded, because values are literal in CodeBuild as well. If a
// name occurs twice, the last value wins.
//
// file is used in problems only. Problems never contain a value, which may be a secret.
func ParseEnvFile(file string, text []byte, lookup func(string) (string, bool)) ([]Variable, diag.List) {
	f := &envFile{findings: findings{file: file}, lookup: lookup, lines: map[string]int{}}
	// PowerShell writes UTF-16 when output is redirected to a file.
	text = toUTF8(text)
	nul := bytes.IndexByte(text, 0)
	switch {
	case len(text) > maxSize:
		f.error(place{}, "the file has %d bytes; the maximum for an environment file is %d", len(text), maxSize)
	case nul >= 0:
		f.error(placeAt(text, nul), "NUL character").Hint = "remove it, or save the file as UTF-8"
	default:
		f.read(strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
	return lastOfEach(f.vars), f.list()
}

// envFile is the state of one call of ParseEnvFile.
type envFile struct {
	findings
	lookup func(string) (string, bool)
	line   int            // line number of the current definition
	vars   []Variable     // all definitions, duplicates included
	lines  map[string]int // line of the last definition, by name
}

// read reads all definitions of a file.
func (f *envFile) read(text string) {
	f.line = 1
	for text != "" {
		begin := text
		text = f.definition(text)
		f.line += strings.Count(begin[:len(begin)-len(text)], "\n")
	}
}

// definition reads one definition and returns the text after it.
func (f *envFile) definition(text string) (rest string) {
	line, rest, _ := strings.Cut(text, "\n")
	// Empty lines and comments.
	if start := strings.TrimLeft(line, blanks); start == "" || start[0] == '#' {
		return rest
	}
	before, _, given := strings.Cut(uncomment(line), "=")
	name, at := f.name(before)
	if !ValidName(name) {
		message, hint := invalidNameMessage(name, given)
		f.error(at, "%s", message).Hint = hint
		return rest
	}
	if !given {
		f.inherit(name, at)
		return rest
	}
	// The text before the = was searched without its comment; the value may contain a #.
	value := line[len(before)+1:]
	switch quoted := strings.TrimLeft(value, blanks); {
	case quoted != "" && (quoted[0] == '\'' || quoted[0] == '"'):
		return f.quoted(name, at, text[len(line)-len(quoted):])
	default:
		f.define(name, at, strings.Trim(uncomment(value), blanks))
	}
	return rest
}

// uncomment removes a comment that begins with # after white space.
func uncomment(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] == '#' && strings.IndexByte(blanks, s[i-1]) >= 0 {
			return s[:i]
		}
	}
	return s
}

// name returns the name in the text before the "=", and its position.
func (f *envFile) name(before string) (string, place) {
	name := strings.TrimLeft(before, blanks)
	// export must be a word of its own: exported=1 is a variable.
	if rest, ok := strings.CutPrefix(name, "export"); ok && strings.TrimLeft(rest, blanks) != rest {
		name = strings.TrimLeft(rest, blanks)
	}
	column := 1 + utf8.RuneCountInString(before[:len(before)-len(name)])
	return strings.TrimRight(name, blanks), place{f.line, column}
}

// invalidNameMessage describes an invalid name. A name that is long or has no "=" may be
// part of a secret, such as a line of an unquoted private key, and is not repeated.
func invalidNameMessage(name string, given bool) (message, hint string) {
	switch {
	case name == "":
		return `no name before the "="`, "write NAME=VALUE"
	// 40 characters are longer than the names in use, and shorter than a line of a key.
	case !given || len(name) > 40:
		return "the line is neither NAME=VALUE nor NAME", "put a value of several lines in quotes"
	}
	return badName(name), nameHint
}

// inherit defines a variable with the value that lookup returns.
func (f *envFile) inherit(name string, at place) {
	value, ok := look(f.lookup, name)
	if !ok {
		f.warn(at, "%s is ignored, because it is not set in your environment", name)
		return
	}
	f.define(name, at, value)
}

// define adds a variable. Duplicate and reserved names are warnings.
func (f *envFile) define(name string, at place, value string) {
	if before, ok := f.lines[name]; ok {
		f.warn(at, "%s is already defined on line %d; the last definition wins", name, before)
	}
	if ReservedName(name) {
		f.warn(at, "%s", reservedName(name)).Hint = "use another name"
	}
	f.lines[name] = at.line
	f.vars = append(f.vars, Variable{Name: name, Value: value, Type: Plaintext, Line: at.line})
}

// quoted reads a quoted value at the beginning of text, and the rest of its last line.
func (f *envFile) quoted(name string, at place, text string) (rest string) {
	// The rest of the file is passed, since the value may span lines.
	size := closing(text)
	if size < 0 {
		f.error(at, "the value of %s begins with %c on line %d but has no closing %c", name, text[0], at.line, text[0])
		return ""
	}
	behind, rest, _ := strings.Cut(text[size:], "\n")
	if strings.Trim(uncomment(behind), blanks) != "" {
		line := at.line + strings.Count(text[:size], "\n")
		f.error(place{line, 0}, "text after the closing %c of %s", text[0], name).
			Hint = `end the line there, or begin a comment with " #"`
		return rest
	}
	value := text[1 : size-1]
	if text[0] == '"' {
		value = unescape.Replace(value)
	}
	f.define(name, at, value)
	return rest
}

// closing returns the length of the quoted value at the beginning of text, with its quotes,
// or -1 if it has no end.
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

// unescape replaces the escapes in double quotes. A backslash before any other character is
// kept.
var unescape = strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\"`, `"`, `\\`, `\`, `\$`, "$")

// error reports a problem that makes the file unusable, and warn one that does not.
func (f *envFile) error(at place, format string, args ...any) *diag.Problem {
	return f.at(diag.Error, at, format, args...)
}

func (f *envFile) warn(at place, format string, args ...any) *diag.Problem {
	return f.at(diag.Warning, at, format, args...)
}
