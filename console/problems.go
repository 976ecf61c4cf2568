package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
)

// Checked is one buildspec that was checked, or a project document with problems.
type Checked struct {
	File     string // as the user named it
	Problems diag.List
	Warning  string  // CodeBuild's message about unknown keys, or ""
	Fixed    []Fixed // problems that --fix has resolved, and that are not in Problems
	Fixable  int     // number of Problems that --fix would resolve
}

// Report has the problems of several buildspecs.
type Report struct {
	Files  []Checked
	Checks []diag.Check // all that exist, for formats that describe them
	Color  bool         // of the text format
	Width  int          // columns of the terminal for the text format; 0 off a terminal
	ASCII  bool         // use no other characters than those of ASCII in signs of the text format
	Strict bool         // warnings and lints count as errors
	Tool   string       // version of buildlocal
}

// ProblemFormats are the formats of WriteProblems.
var ProblemFormats = []string{"text", "service", "json", "sarif", "github", "junit"}

// WriteProblems writes a report in one of ProblemFormats: for people (text), as CodeBuild
// would log it (service), or for other programs. Nothing is written if it fails. Messages
// quote the files, so invisible characters are escaped in every format; line breaks inside
// messages are escaped by the formats themselves.
func WriteProblems(w io.Writer, format string, r Report) error {
	write := map[string]func(io.Writer, Report) error{
		"text": writeText, "service": writeService, "json": writeJSON, "sarif": writeSARIF, "github": writeGitHub,
		"junit": writeJUnit,
	}[format]
	if write == nil {
		return fmt.Errorf("unknown format %q; expected %s", format, strings.Join(ProblemFormats, ", "))
	}
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		return err
	}
	text := b.String()
	switch format {
	case "text": // with colors, so problems escape the texts in them
	case "json", "sarif":
		text = diag.EscapeJSON(text)
	default:
		text = diag.Escape(text)
	}
	_, err := io.WriteString(w, text)
	return err
}

// writeText writes what was fixed, the problems in file order, and their number.
func writeText(w io.Writer, r Report) error {
	colors := newStyles(r.Color)
	writeFixes(w, r, colors)
	for _, f := range r.Files {
		for _, p := range f.Problems {
			fmt.Fprintln(w, colored(p, colors, r.Width))
		}
	}
	fmt.Fprintln(w, summary(r))
	return nil
}

// summary counts the problems by severity, such as "1 error, 2 lints in 1 file".
func summary(r Report) string {
	fixed, fixable := 0, 0
	for _, f := range r.Files {
		fixed, fixable = fixed+len(f.Fixed), fixable+f.Fixable
	}
	if fixed > 0 {
		return fixedSummary(r, fixed)
	}
	parts := severities(r)
	if len(parts) == 0 {
		parts = []string{"no problems"}
	}
	text := fmt.Sprintf("%s in %s", strings.Join(parts, ", "), human.Count(len(r.Files), "file"))
	if fixable > 0 {
		text += fmt.Sprintf("; --fix repairs %d", fixable)
	}
	return text
}

// severities returns the number of problems of each severity, in words.
func severities(r Report) []string {
	var all diag.List
	for _, f := range r.Files {
		all = append(all, f.Problems...)
	}
	var parts []string
	for _, s := range []diag.Severity{diag.Error, diag.Warning, diag.Lint} {
		if n := all.Count(s); n > 0 {
			parts = append(parts, human.Count(n, s.String()))
		}
	}
	return parts
}

// writeService writes the messages that CodeBuild would log, file by file. Problems of which
// CodeBuild logs nothing, such as lints, are left out.
func writeService(w io.Writer, r Report) error {
	for _, f := range r.Files {
		if len(r.Files) > 1 {
			fmt.Fprintf(w, "%s:\n", f.File)
		}
		if f.Warning != "" {
			fmt.Fprintln(w, f.Warning)
		}
		for _, p := range f.Problems {
			if p.Severity == diag.Error {
				fmt.Fprintf(
					w,
					"Phase context status code: YAML_FILE_ERROR Message: %s\n",
					cmp.Or(p.Service, p.Text()),
				)
			} else if p.Service != "" {
				fmt.Fprintln(w, p.Service)
			}
		}
	}
	return nil
}

// reportVersion is the version of the JSON report. Fields are only ever added.
const reportVersion = 1

// jsonReport is the report as docs/checks.md describes it. Lines and columns begin at 1, in
// characters; a field that does not apply is missing. EndColumn is after the last character.
type jsonReport struct {
	Version  int        `json:"version"`
	Errors   int        `json:"errors"`
	Warnings int        `json:"warnings"`
	Lints    int        `json:"lints"`
	Files    []jsonFile `json:"files"`
}

type jsonFile struct {
	File     string        `json:"file"`
	Problems []jsonProblem `json:"problems"`
}

type jsonProblem struct {
	Severity  string   `json:"severity"`
	Name      string   `json:"name,omitempty"`
	File      string   `json:"file,omitempty"`
	Line      int      `json:"line,omitempty"`
	Column    int      `json:"column,omitempty"`
	EndColumn int      `json:"endColumn,omitempty"`
	Path      string   `json:"path,omitempty"`
	Message   string   `json:"message"`
	Hint      string   `json:"hint,omitempty"`
	Service   string   `json:"service,omitempty"`
	Excerpt   string   `json:"excerpt,omitempty"`
	Fix       *jsonFix `json:"fix,omitempty"`
}

type jsonFix struct {
	Title string     `json:"title"`
	Safe  bool       `json:"safe"`
	Edits []jsonEdit `json:"edits"`
}

type jsonEdit struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

func writeJSON(w io.Writer, r Report) error {
	report := jsonReport{Version: reportVersion, Files: []jsonFile{}}
	for _, f := range r.Files {
		file := jsonFile{File: f.File, Problems: []jsonProblem{}}
		for _, p := range f.Problems {
			file.Problems = append(file.Problems, jsonOf(p))
		}
		report.Errors += f.Problems.Count(diag.Error)
		report.Warnings += f.Problems.Count(diag.Warning)
		report.Lints += f.Problems.Count(diag.Lint)
		report.Files = append(report.Files, file)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // excerpts have < and >
	e.SetIndent("", "  ")
	return e.Encode(report)
}

// jsonOf converts a problem. A problem without a width marks one character.
func jsonOf(p diag.Problem) jsonProblem {
	j := jsonProblem{
		Severity: p.Severity.String(), Name: p.Name, File: p.File, Line: p.Line, Column: p.Column, Path: p.Path,
		Message: p.Message, Hint: p.Hint, Service: p.Service, Excerpt: p.Excerpt,
	}
	if p.Column > 0 {
		j.EndColumn = p.Column + max(1, p.Width)
	}
	if p.Fix != nil {
		j.Fix = &jsonFix{Title: p.Fix.Title, Safe: p.Fix.Safe}
		for _, e := range p.Fix.Edits {
			j.Fix.Edits = append(j.Fix.Edits, jsonEdit{Line: e.Line, Column: e.Column, Old: e.Old, New: e.Text})
		}
	}
	return j
}

// writeGitHub writes the commands by which a step of GitHub Actions annotates files
// (docs.github.com, "Workflow commands for GitHub Actions"). The values of properties need
// more escapes than the message, because they end at a colon or comma (actions/toolkit,
// packages/core/src/command.ts). Columns are shown only if the line does not change.
func writeGitHub(w io.Writer, r Report) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, f := range r.Files {
		for _, p := range f.Problems {
			level := map[diag.Severity]string{diag.Error: "error", diag.Warning: "warning", diag.Lint: "notice"}[p.Severity]
			place := "file=" + property.Replace(cmp.Or(p.File, f.File))
			if p.Line > 0 {
				place += fmt.Sprintf(",line=%d,endLine=%d", p.Line, p.Line)
			}
			if p.Column > 0 {
				place += fmt.Sprintf(",col=%d,endColumn=%d", p.Column, p.Column+max(1, p.Width))
			}
			fmt.Fprintf(w, "::%s %s,title=%s::%s\n", level, place, property.Replace(cmp.Or(p.Name, "buildspec")),
				data.Replace(p.Text()))
		}
	}
	return nil
}

// testName returns a name that identifies a problem in its file, and stays the same while
// the line does: CI systems compare tests by their names.
func testName(p diag.Problem) string {
	if p.Line == 0 {
		return cmp.Or(p.Name, "buildspec")
	}
	return fmt.Sprintf("%s line %d", cmp.Or(p.Name, "buildspec"), p.Line)
}

// junitSuites is the part of the JUnit XML format that CI systems agree on. It has no
// schema of its own; the names are those that Ant's junitreport introduced.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitFailure `xml:"failure"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes a test suite for each file, with a test for each problem. It failed if
// the problem counts as an error; others have their text in the output of the test. A file
// without problems has one successful test, because some CI systems reject empty suites.
func writeJUnit(w io.Writer, r Report) error {
	var all junitSuites
	for _, f := range r.Files {
		// The class is the file, because CI systems group tests by class.
		suite := junitSuite{Name: f.File, Tests: max(1, len(f.Problems))}
		for _, p := range f.Problems {
			test := junitCase{Name: testName(p), Class: f.File}
			if p.Severity == diag.Error || r.Strict {
				suite.Failures++
				test.Failure = &junitFailure{Type: p.Severity.String(), Message: p.Text(), Text: p.String()}
			} else {
				test.Out = p.String()
			}
			suite.Cases = append(suite.Cases, test)
		}
		if len(f.Problems) == 0 {
			suite.Cases = []junitCase{{Name: "buildspec", Class: f.File}}
		}
		all.Suites = append(all.Suites, suite)
	}
	fmt.Fprint(w, xml.Header)
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
