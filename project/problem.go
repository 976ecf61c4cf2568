package project

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

const (
	maxProblems = 100 // of each severity
	maxExcerpt  = 160 // characters of a line, which may be a whole JSON document
	maxShown    = 60  // characters of a word somebody wrote
	maxChoice   = 12  // words to choose from
)

// findings is what was found wrong with one file.
type findings struct {
	file     string
	lines    []string // what to quote from; none when nothing is to be quoted
	problems diag.List
	counts   [2]int // by severity
}

// problem keeps what is wrong with n.
func (r *reader) problem(s diag.Severity, n node, format string, args ...any) {
	p := diag.Problem{Severity: s, Line: n.Line, Column: n.Column, Width: n.width(), Path: n.path}
	p.Message = fmt.Sprintf(format, args...)
	r.add(p)
}

// wrong keeps that n is not of the type it must be.
func (r *reader) wrong(n node, want string) {
	way := "; expected " + want
	if isFunction(n) {
		way = ", which only CloudFormation can work out; write its value, " + want
	}
	r.problem(diag.Error, n, "found %s for %s%s", n.kind(), n.path, way)
}

// unknown keeps that nobody knows the key of f.
func (r *reader) unknown(f entry, known []string) {
	if r.full(diag.Warning) {
		return
	}
	where := ""
	if f.key.path != "" {
		where = " in " + f.key.path
	}
	written := f.key.resolved().Value
	r.problem(diag.Warning, f.key, "unknown key %s%s is ignored%s", shown(written), where, expected(written, known))
}

// at keeps what is wrong with one place.
func (f *findings) at(s diag.Severity, p place, format string, args ...any) {
	f.add(diag.Problem{Severity: s, Line: p.line, Column: p.column, Message: fmt.Sprintf(format, args...)})
}

// full counts one more problem when no more of its severity are kept. Asking
// first saves the search for what was meant.
func (f *findings) full(s diag.Severity) bool {
	full := f.counts[s] >= maxProblems
	if full {
		f.counts[s]++
	}
	return full
}

func (f *findings) add(p diag.Problem) {
	if f.full(p.Severity) {
		return
	}
	f.counts[p.Severity]++
	p.File = f.file
	if p.Line > 0 && p.Line <= len(f.lines) && p.Column <= maxExcerpt {
		p.Excerpt = cut(printable(f.lines[p.Line-1]), maxExcerpt)
		p.Width = min(p.Width, max(1, len([]rune(p.Excerpt))-p.Column+1))
	}
	f.problems = append(f.problems, p)
}

// list returns every problem in the order of the file.
func (f *findings) list() diag.List {
	f.problems.Sort()
	for s, n := range f.counts {
		if n > maxProblems {
			f.problems = append(f.problems, diag.Problem{
				Severity: diag.Severity(s),
				File:     f.file,
				Message:  fmt.Sprintf("found %d more like these; they are not shown", n-maxProblems),
			})
		}
	}
	return f.problems
}

// width returns how many characters of its line a scalar takes.
func (n node) width() int {
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

// expected returns the known word that was meant, or all of them.
func expected(written string, known []string) string {
	if len(written) <= maxShown {
		if meant := diag.DidYouMean(written, known); meant != "" {
			return meant
		}
	}
	if len(known) > maxChoice {
		return "; CreateProject has none such"
	}
	return "; expected " + either(known)
}

// either writes words as one of which is to be chosen: a, b or c.
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// quoted returns names as a person can read them, not too many.
func quoted(names []string) string {
	const most = 20
	var all []string
	for _, name := range names[:min(most, len(names))] {
		all = append(all, shown(name))
	}
	if more := len(names) - most; more > 0 {
		all = append(all, fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, ", ")
}

// shown returns a word somebody wrote, in quotes and not too long.
func shown(word string) string {
	return strconv.Quote(short(word))
}

func short(word string) string {
	return cut(printable(word), maxShown)
}

// printable returns s with a mark for each character a terminal might obey.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if odd(c) {
			return utf8.RuneError
		}
		return c
	}, s)
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	if chars := []rune(s); len(chars) > most {
		return string(chars[:most-3]) + "..."
	}
	return s
}
