package validate

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/lint"
)

// utf8BOM begins UTF-8 files of some editors. It is kept, and is not part of line 1.
const utf8BOM = "\xef\xbb\xbf"

// maxSingleFixes limits how many fixes are tried one by one. Each try parses the whole text.
const maxSingleFixes = 50

// applyFixes returns a text after all fixes that are safe and remove a problem, and these fixes in
// the order of their lines. No fix adds or removes lines.
//
// Fixes are made for the text as it was parsed. Two of them can edit the same place, and a
// fixed syntax error reveals the problems behind it. So fixes are applied in rounds: each
// round parses the text again, and is kept only if it is an improvement. The loop ends,
// because every round reduces a count or moves a syntax error down.
func applyFixes(ctx context.Context, name, before string, ignore []string) (string, []console.Fixed) {
	var fixed []console.Fixed
	bom := ""
	if strings.HasPrefix(before, utf8BOM) {
		bom = utf8BOM
	}
	text := strings.TrimPrefix(before, utf8BOM)
	problems := problemsOf(name, text, ignore)
	for ctx.Err() == nil {
		next, done, left := applyOnce(name, text, problems, ignore)
		if len(done) == 0 {
			break
		}
		for _, p := range done {
			line, was, is := p.Fix.Change(text)
			fixed = append(fixed, console.Fixed{
				Line: line, Before: lint.WithoutCredentials(was), After: lint.WithoutCredentials(is), Check: p.Name,
			})
		}
		text, problems = next, left
	}
	slices.SortStableFunc(fixed, func(a, b console.Fixed) int { return cmp.Compare(a.Line, b.Line) })
	return bom + text, fixed
}

// problemsOf returns the problems of a text by itself that are not ignored. Checks against
// the project, image and source have no safe fixes, and would be slow in each round.
func problemsOf(name, text string, ignore []string) diag.List {
	spec, problems := buildspec.Parse(name, []byte(text))
	return lint.CheckText(spec, problems, ignore)
}

// applyOnce applies some fixes: all at once, which nearly always works, else the first
// single one that improves the text. It returns the new text, the fixed problems, which is an empty
// list if no fix helps, and the problems of the new text.
func applyOnce(name, text string, problems diag.List, ignore []string) (next string, done, left diag.List) {
	var safe diag.List
	for _, p := range problems {
		if p.Fix != nil && p.Fix.Safe {
			safe = append(safe, p)
		}
	}
	tries := []diag.List{safe}
	for i := range min(len(safe), maxSingleFixes) {
		tries = append(tries, safe[i:i+1])
	}
	for _, try := range tries {
		next, done := diag.Apply(text, try)
		if len(done) == 0 {
			continue
		}
		if left := problemsOf(name, next, ignore); isImprovement(problems, left) {
			return next, done, left
		}
	}
	return text, nil, problems
}

// isImprovement reports whether a fix helped. Fixing a syntax error may reveal later
// errors, so an error further down counts as progress.
func isImprovement(before, after diag.List) bool {
	// After a syntax error the rest of the text is not checked, so other counts say nothing.
	was, is := syntaxErrorLine(before), syntaxErrorLine(after)
	switch {
	case was > 0 && is > 0:
		return is > was
	case was > 0 || is > 0:
		return was > 0
	}
	// A fix must not add errors, even if it removes several warnings.
	if e := after.Count(diag.Error); e != before.Count(diag.Error) {
		return e < before.Count(diag.Error)
	}
	return countFixable(after) < countFixable(before)
}

// countFixable returns how many problems have a safe fix.
func countFixable(l diag.List) int {
	n := 0
	for _, p := range l {
		if p.Fix != nil && p.Fix.Safe {
			n++
		}
	}
	return n
}

// syntaxErrorLine returns the line of a YAML syntax error, or 0.
func syntaxErrorLine(l diag.List) int {
	for _, p := range l {
		if p.Name == buildspec.YAMLSyntax {
			return max(1, p.Line)
		}
	}
	return 0
}
