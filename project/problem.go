package project

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// The limits of the output for one file.
const (
	maxProblems = 100 // problems of each severity
	maxExcerpt  = 160 // characters of a line; a minified JSON document is a single line
	maxShown    = 60  // characters of a word from the document
	maxChoice   = 12  // words in a list of alternatives
)

// findings collects the problems of one file.
type findings struct {
	file     string
	lines    []string // lines for excerpts; nil if none may be shown
	problems diag.List
	// Lints do not occur here, so there are two severities.
	counts [2]int // number of problems by severity, suppressed ones included
}

// problem reports a problem at n and returns it, so that the caller can set its hint.
func (r *reader) problem(s diag.Severity, n node, format string, args ...any) *diag.Problem {
	p := diag.Problem{Severity: s, Line: n.Line, Column: n.Column, Width: n.width(), Path: n.path}
	p.Message = fmt.Sprintf(format, args...)
	return r.add(p)
}

// wrong reports that n has the wrong type.
func (r *reader) wrong(n node, want string) {
	if isFunction(n) {
		r.problem(diag.Error, n, "%s is %s, which only CloudFormation can evaluate", n.path, n.kind()).
			Hint = "write its value, " + want
		return
	}
	r.problem(diag.Error, n, "%s must be %s, not %s", n.path, want, n.kind())
}

// unknown reports an unknown key. The API ignores none of them, but new keys appear from time
// to time, so it is a warning.
func (r *reader) unknown(f entry, known []string) {
	if r.full(diag.Warning) {
		return
	}
	where := ""
	if f.key.path != "" {
		where = " in " + f.key.path
	}
	written := f.key.resolved().Value
	r.problem(diag.Warning, f.key, "unknown key %s%s is ignored", shown(written), where).Hint = hintFor(written, known)
}

// at reports a problem at a position and returns it, so that the caller can set its hint.
func (f *findings) at(s diag.Severity, p place, format string, args ...any) *diag.Problem {
	return f.add(diag.Problem{Severity: s, Line: p.line, Column: p.column, Message: fmt.Sprintf(format, args...)})
}

// full reports whether the limit for a severity is reached. If so, it counts another
// suppressed problem. Callers check it before they search for a suggestion.
func (f *findings) full(s diag.Severity) bool {
	full := f.counts[s] >= maxProblems
	if full {
		f.counts[s]++
	}
	return full
}

// add adds a problem with an excerpt of its line and returns it. It returns a dummy if the limit
// is reached, so that callers can set fields without a check.
func (f *findings) add(p diag.Problem) *diag.Problem {
	if f.full(p.Severity) {
		return &diag.Problem{}
	}
	f.counts[p.Severity]++
	p.File = f.file
	// A column beyond the excerpt could not be marked.
	if p.Line > 0 && p.Line <= len(f.lines) && p.Column <= maxExcerpt {
		p.Excerpt = cut(printable(f.lines[p.Line-1]), maxExcerpt)
		p.Width = min(p.Width, max(1, len([]rune(p.Excerpt))-p.Column+1))
	}
	f.problems = append(f.problems, p)
	return &f.problems[len(f.problems)-1]
}

// list returns all problems, sorted by position.
func (f *findings) list() diag.List {
	f.problems.Sort()
	for s, n := range f.counts {
		if n > maxProblems {
			f.problems = append(f.problems, diag.Problem{
				Severity: diag.Severity(s),
				File:     f.file,
				Message:  fmt.Sprintf("%d more problems like these are not shown", n-maxProblems),
			})
		}
	}
	return f.problems
}

// width returns the number of characters of a scalar in its line, or 1 if it has several lines.
func (n node) width() int {
	// A tag such as !Ref is before the value and is the part in question.
	if isFunction(n) && n.Kind == yaml.ScalarNode {
		return len([]rune(n.Tag))
	}
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || strings.Contains(n.Value, "\n") {
		return 1
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		return len([]rune(n.Value)) + 2
	}
	return max(1, len([]rune(n.Value)))
}

// hintFor is diag.Choice, except that it compares no word that is longer than any key, and lists
// no more than maxChoice words: the API has sections with dozens of keys.
func hintFor(written string, known []string) string {
	if len(known) > maxChoice {
		return cmp.Or(diag.Question(short(written), known), "CreateProject has no such key")
	}
	return diag.Choice(short(written), known)
}

// quoted returns a list of names in quotes, limited in length.
func quoted(names []string) string {
	// A BatchGetProjects response has up to 100 projects (documented).
	const maxNames = 20
	var all []string
	for _, name := range names[:min(maxNames, len(names))] {
		all = append(all, shown(name))
	}
	if more := len(names) - maxNames; more > 0 {
		all = append(all, fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, ", ")
}

// shown returns a word from the document in quotes, limited in length.
func shown(word string) string {
	return strconv.Quote(short(word))
}

// short returns a word from the document without quotes, limited in length.
func short(word string) string {
	return cut(printable(word), maxShown)
}

// printable replaces characters that a terminal could interpret.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if odd(c) {
			return utf8.RuneError
		}
		return c
	}, s)
}

// cut limits a string to a number of characters.
func cut(s string, maxChars int) string {
	if len(s) <= maxChars {
		return s
	}
	if chars := []rune(s); len(chars) > maxChars {
		return string(chars[:maxChars-3]) + "..."
	}
	return s
}
