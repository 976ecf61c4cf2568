package lint

import (
	"cmp"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

var ignoreCheck = diag.Check{Name: "unknown-ignore", Severity: diag.Warning,
	Summary: "A comment ignores a check that does not exist or that is an error."}

// ignoreComment matches the comment that ignores checks. It applies to its own line, to the
// next line if it is alone in its line, and to a whole block if it follows the | of one.
var ignoreComment = lazy(`#\s*buildlocal:ignore\b[ \t:]*([^#]*)`)

// Kept returns the problems that are ignored neither by a comment in the buildspec nor by
// name.
func Kept(spec *buildspec.Buildspec, problems diag.List, names []string) diag.List {
	c := &checker{Input: Input{Spec: spec}}
	c.prepare()
	return c.ignored(problems, names)
}

// ignored removes the problems that the author ignores. Errors cannot be ignored. Errors are exempt
// because CodeBuild would reject the file: hiding them would only move the failure to the service.
func (c *checker) ignored(problems diag.List, names []string) diag.List {
	byLine, wrong := c.ignoreComments()
	// The problems of a command in a block are at lines of the block. A comment beside the | or >
	// applies to all of them.
	header := map[string]int{} // the line of a command's |, by path
	for _, s := range c.scripts {
		if s.Style == buildspec.Literal || s.Style == buildspec.Folded {
			header[s.Path] = s.Line - 1
		}
	}
	var kept diag.List
	for _, p := range problems {
		off := slices.Contains(names, p.Name) || slices.Contains(byLine[p.Line], p.Name) ||
			slices.Contains(byLine[header[p.Path]], p.Name)
		if p.Severity == diag.Error || !off {
			kept = append(kept, p)
		}
	}
	if len(wrong) > 0 {
		kept = append(kept, wrong...)
		kept.Sort()
	}
	return kept
}

// ignoreComments returns the ignored checks by line, and problems with the comments.
func (c *checker) ignoreComments() (map[int][]string, diag.List) {
	byLine := map[int][]string{}
	var wrong diag.List
	var known []string
	for i, line := range c.Spec.Lines() {
		// The expression is slow compared with the search for a fixed text, and few files have such a
		// comment.
		if !strings.Contains(line, "buildlocal:ignore") {
			continue
		}
		m := ignoreComment().FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		if known == nil {
			known = checkNames()
		}
		names := namesOf(line[m[2]:m[3]])
		at := i + 1
		// A comment that is alone in its line applies to the next line.
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			at++
		}
		byLine[at] = append(byLine[at], names...)
		byLine[i+1] = append(byLine[i+1], names...)
		if len(wrong) < maxProblems {
			wrong = append(wrong, c.wrongIgnores(i+1, line, names, known)...)
		}
	}
	return byLine, wrong
}

// namesOf returns the names in a comment, which commas separate. Text after a name without
// a comma is a remark.
func namesOf(text string) []string {
	var names []string
	for _, part := range strings.Split(text, ",") {
		words := strings.Fields(part)
		if len(words) == 0 {
			break
		}
		names = append(names, words[0])
		if len(words) > 1 {
			break
		}
	}
	return names
}

// wrongIgnores reports the names in a comment that cannot be ignored.
func (c *checker) wrongIgnores(number int, line string, names, known []string) diag.List {
	say := func(column, width int, message, hint string) diag.Problem {
		p := c.Spec.At(number, column, width, message)
		p.Name, p.Severity, p.Hint = ignoreCheck.Name, ignoreCheck.Severity, hint
		return p
	}
	if len(names) == 0 {
		// The word itself is marked, as there is no name to point at.
		at := strings.Index(line, "buildlocal:ignore")
		return diag.List{say(len([]rune(line[:at]))+1, len("buildlocal:ignore"),
			"buildlocal:ignore without a check", "add the names of checks, separated by commas")}
	}
	var wrong diag.List
	for _, name := range names {
		if message, hint := wrongIgnore(name, known); message != "" {
			wrong = append(wrong, say(len([]rune(line[:strings.LastIndex(line, name)]))+1, len(name), message, hint))
		}
	}
	return wrong
}

// checkNames returns the names of all checks.
func checkNames() []string {
	var names []string
	for _, check := range All() {
		names = append(names, check.Name)
	}
	return names
}

// WrongIgnore returns why a check cannot be ignored by its name, or "" if it can.
func WrongIgnore(name string) string {
	message, hint := wrongIgnore(name, checkNames())
	return diag.Problem{Message: message, Hint: hint}.Text()
}

// wrongIgnore is WrongIgnore with the names of all checks, and with the hint apart.
func wrongIgnore(name string, known []string) (message, hint string) {
	if !slices.Contains(known, name) {
		return "unknown check " + name, cmp.Or(diag.Question(name, known), "docs/checks.md lists the checks")
	}
	for _, check := range All() {
		if check.Name == name && check.Severity == diag.Error && !check.Softer {
			return name + " is an error and cannot be ignored, because CodeBuild rejects the buildspec", ""
		}
	}
	return "", ""
}
