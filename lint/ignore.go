package lint

import (
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/internal/diag"
)

var ignoreCheck = diag.Check{Name: "unknown-ignore", Severity: diag.Warning, Summary: "A comment ignores a check that does not exist, or an error."}

// ignoreComment names checks, on the line of a problem or on the line above when
// nothing else stands there.
var ignoreComment = lazy(`#\s*buildlocal:ignore\b[ \t]*([a-z0-9, \t-]*)`)

// ignored leaves out what the author does not want to be told. Errors are always
// told.
func ignored(spec *buildspec.Buildspec, problems diag.List, names []string) diag.List {
	byLine, wrong := ignoreComments(spec)
	var kept diag.List
	for _, p := range problems {
		if p.Severity == diag.Error || !slices.Contains(names, p.Name) && !slices.Contains(byLine[p.Line], p.Name) {
			kept = append(kept, p)
		}
	}
	if len(wrong) > 0 {
		kept = append(kept, wrong...)
		kept.Sort()
	}
	return kept
}

func ignoreComments(spec *buildspec.Buildspec) (map[int][]string, diag.List) {
	byLine := map[int][]string{}
	var wrong diag.List
	for i, line := range spec.Lines() {
		if !strings.Contains(line, "buildlocal:ignore") {
			continue
		}
		m := ignoreComment().FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		names := strings.FieldsFunc(line[m[2]:m[3]], func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		at := i + 1
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			at++
		}
		byLine[at] = append(byLine[at], names...)
		byLine[i+1] = append(byLine[i+1], names...)
		wrong = append(wrong, wrongIgnores(spec, i+1, line, names)...)
	}
	return byLine, wrong
}

func wrongIgnores(spec *buildspec.Buildspec, number int, line string, names []string) diag.List {
	var wrong diag.List
	for _, name := range names {
		message := WrongIgnore(name)
		if message == "" {
			continue
		}
		column := len([]rune(line[:strings.LastIndex(line, name)])) + 1
		p := spec.At(number, column, len(name), message)
		p.Name, p.Severity = ignoreCheck.Name, ignoreCheck.Severity
		wrong = append(wrong, p)
	}
	return wrong
}

// WrongIgnore says why a check cannot be ignored by a name, or "".
func WrongIgnore(name string) string {
	var names []string
	for _, check := range All() {
		if check.Name == name && check.Severity == diag.Error {
			return name + " is an error and cannot be ignored: the service would refuse the buildspec"
		}
		names = append(names, check.Name)
	}
	if slices.Contains(names, name) {
		return ""
	}
	return "there is no check " + name + diag.DidYouMean(name, names) + " to be ignored; docs/checks.md lists them"
}
