package console

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/reports"
)

// Limits of failed tests; with Verbose everything is shown. A broken build can have thousands of
// failures, and the reason is nearly always in the first ones.
const (
	maxFullFailures = 10  // failed tests with their messages
	maxMessageLines = 4   // lines of a message
	maxLineWidth    = 160 // of a line of a message, in characters
)

// PageName is the file in a build's directory that shows all of it in a browser.
const PageName = "report.html"

// Reports shows test and coverage reports: failures first, then the sums of each report.
func (t *Text) Reports(set *reports.Set) {
	t.failedTests(set, true)
	t.groups(set)
}

// failedTests shows the failed tests: those that a change probably broke first, and last those
// that failed before too. Tests without a comparison are between the two. Beyond the first ones, all
// names the others, and otherwise they are counted.
func (t *Text) failedTests(set *reports.Set, all bool) {
	var cases []reports.Case
	for _, r := range set.Reports {
		for _, c := range r.Cases {
			if c.Status.Bad() {
				cases = append(cases, c)
			}
		}
	}
	rank := map[reports.Change]int{reports.NewlyFailing: 0, reports.Flaky: 1, "": 2, reports.StillFailing: 3}
	slices.SortStableFunc(cases, func(a, b reports.Case) int { return rank[a.Change] - rank[b.Change] })
	for i, c := range cases {
		whole := t.o.Verbose || i < maxFullFailures
		if more := len(cases) - i; !whole && !all && more > 1 {
			t.line("%s", t.styles.weak.Sprintf("%d more: %s", more, moreTests(set)))
			return
		}
		t.failedTest(c, set, whole)
	}
}

// moreTests returns the command that shows all failed tests.
func moreTests(set *reports.Set) string {
	if set.Build > 0 {
		return fmt.Sprintf("buildlocal report %d", set.Build)
	}
	return "buildlocal report"
}

// changed describes the change of a failed test against earlier builds.
func changed(c reports.Case, set *reports.Set) string {
	switch c.Change {
	case reports.NewlyFailing:
		return "new"
	case reports.Flaky:
		return "flaky"
	case reports.StillFailing:
		if since := failingSince(c, set); since > 0 {
			return fmt.Sprintf("still failing, since #%d", since)
		}
		return "still failing"
	}
	return ""
}

// failingSince returns the number of the first of the builds without interruption in which a test
// failed, or 0 if that is unknown.
func failingSince(c reports.Case, set *reports.Set) int {
	since := 0
	for i := len(c.History) - 1; i >= 0 && i < len(set.Past); i-- {
		if !c.History.Bad(i) {
			break
		}
		since = set.Past[i].Build
	}
	return since
}

// failedTest shows a failed test: its name, its message and the line of the source. The change
// against earlier builds is at the right of the terminal.
func (t *Text) failedTest(c reports.Case, set *reports.Set, whole bool) {
	name, change := caseName(c), changed(c, set)
	columns := t.columns(maxTable)
	if columns > 0 {
		name = t.cut(name, columns-width(t.glyphs.failed)-1-width(change)-2)
	}
	head := formatted("%s %s", t.styles.bad.Sprint(t.glyphs.failed), t.styles.strong.Sprint(name))
	if change != "" {
		gap := max(2, columns-width(plain(string(head)))-width(change))
		head += formatted("%s%s", strings.Repeat(" ", gap), t.styles.warn.Sprint(change))
	}
	t.line("%s", head)
	if !whole {
		c.Message = ""
	}
	for _, line := range t.excerpt(c.Message) {
		t.line("    %s", line)
	}
	if c.Place != nil {
		t.line("    %s", t.link(*c.Place))
	}
}

// caseName returns the name of a test for people. Formats and frameworks fill suite, prefix
// and name in different ways; parts that repeat another one are left out: the suite if the
// prefix contains it, and the prefix if the name begins with it.
func caseName(c reports.Case) string {
	parts := []string{c.Suite, c.Prefix, c.Name}
	if strings.Contains(c.Prefix, c.Suite) {
		parts = parts[1:]
	}
	if strings.HasPrefix(c.Name, c.Prefix) && len(parts) > 1 && c.Prefix != "" {
		parts = slices.Delete(parts, len(parts)-2, len(parts)-1)
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return strings.TrimSpace(p) == "" })
	return cutRunes(diag.EscapeLine(strings.Join(parts, " › ")), maxLineWidth)
}

// stackLine matches lines of stack traces, which do not explain a failure: of JavaScript and
// Java (at), Python (File), Ruby (from), Go (RUN, FAIL), vitest (❯), and a bare file:line.
var stackLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`^\s*(at .*[(:]|File ".*", line \d+|from .*:\d+:in |Traceback \(most recent|=== RUN |--- FAIL: |❯ ` +
			`.*:\d+:\d+$|\[?[\w./-]*:\d+\]?:?$)`,
	)
})

// maxSearchedLines is the number of lines of a message that are searched for useful ones.
// Some frameworks put the whole output of a test into its message.
const maxSearchedLines = 200

// relevantLines returns the lines of a message that explain a failure. pytest marks them
// with an E; in other formats they are around the stack trace. A first line such as Go's
// "Failed" says nothing. Repeated lines are dropped: several formats have the message again
// at the beginning of the trace, with the type of the error before it.
func relevantLines(message string) []string {
	var lines, marked []string
	seen := map[string]bool{}
	all := strings.SplitN(message, "\n", maxSearchedLines+1)
	for _, line := range all[:min(len(all), maxSearchedLines)] {
		line = strings.TrimRight(line, " \t\r")
		if text, found := strings.CutPrefix(line, "E   "); found {
			marked = append(marked, strings.TrimPrefix(text, "    "))
		}
		again := seen[line] || len(lines) > 0 && strings.HasSuffix(line, ": "+lines[0])
		if line != "" && !again && !stackLine().MatchString(cutRunes(line, maxLineWidth)) {
			lines = append(lines, line)
			seen[line] = true
		}
	}
	switch {
	case len(marked) > 0:
		return marked
	case len(lines) > 1 && (lines[0] == "Failed" || strings.HasPrefix(lines[0], "No message")):
		return lines[1:]
	}
	return lines
}

// excerpt returns the relevant lines of a message, or with Verbose all of it, as lines that
// are safe on a terminal.
func (t *Text) excerpt(message string) []string {
	if t.o.Verbose {
		lines := strings.Split(strings.TrimRight(message, "\n"), "\n")
		for i, line := range lines {
			lines[i] = safeLine(line)
		}
		if strings.TrimSpace(message) == "" {
			return nil // Split returns one line for it
		}
		return lines
	}
	lines := relevantLines(message)
	more := len(lines) > maxMessageLines
	lines = lines[:min(len(lines), maxMessageLines)]
	for i, line := range lines {
		lines[i] = cutRunes(safeLine(line), maxLineWidth)
	}
	if more {
		lines[maxMessageLines-1] += " …"
	}
	return lines
}

// safeLine escapes control characters of a line. Tabs become spaces, which do not depend on
// the column, and trailing spaces and the CR of Windows are dropped.
func safeLine(line string) string {
	return strings.TrimRight(diag.EscapeLine(strings.ReplaceAll(strings.TrimRight(line, "\r"), "\t", "    ")), " ")
}

// link returns a line of the source as file:line, relative to the working directory. Many
// terminals and editors open such texts on a click; those with Links get a hyperlink too
// (OSC 8), whose target is absolute.
func (t *Text) link(p reports.Place) styled {
	text := diag.EscapeLine(path.Join(t.o.Source, p.File))
	if p.Line > 0 {
		text += fmt.Sprintf(":%d", p.Line)
	}
	return t.hyperlink(styled(text), path.Join(t.o.SourceDir, p.File), p.Line)
}

// hyperlink makes a text a link to a line of a file, or to the file for 0, on terminals that can open
// it. The name of the file is slash-separated and absolute.
func (t *Text) hyperlink(text styled, file string, line int) styled {
	if !t.o.Links {
		return text
	}
	// On Windows the name begins with a drive, which a file URL has after a slash. The line
	// is in the fragment; a terminal that does not know this form opens the file.
	target := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(file, "/")}
	if line > 0 {
		target.Fragment = fmt.Sprint(line)
	}
	return styled("\x1b]8;;"+target.String()+"\x1b\\") + text + "\x1b]8;;\x1b\\"
}

// groups shows the sums of each report: a row for its tests, one for tests that were fixed, and
// one for its coverage. Rows name the report if there are several.
func (t *Text) groups(set *reports.Set) {
	for _, r := range set.Reports {
		name := ""
		if len(set.Reports) > 1 {
			name = diag.EscapeLine(t.groupName(set, r)) + ": "
		}
		t.tests(r, name)
		t.coverage(r, name)
		if t.o.Verbose {
			for _, line := range t.slowestTests(r) {
				t.row("", line)
			}
		}
		if r.Truncated {
			t.row("", formatted("%s%d of %d test cases kept, as in CodeBuild; --full-reports keeps all", styled(name),
				len(r.Cases), r.Tests.Total))
		}
		for _, p := range r.Problems {
			t.row("report", formatted("%s%s %s", styled(name), t.styles.bad.Sprint(string(reports.Incomplete)),
				diag.EscapeLine(p.Error())))
		}
	}
}

// groupName returns the name of a report group in the buildspec. CodeBuild prefixes it with
// the name of the project.
func (t *Text) groupName(set *reports.Set, r *reports.Report) string {
	if name, found := strings.CutPrefix(r.Group, set.Project+"-"); found && set.Project != "" {
		return name
	}
	return r.Group
}

// tests shows the counts of a report, the time of all tests, and the comparison with the last build.
func (t *Text) tests(r *reports.Report, name string) {
	if r.Tests == nil || len(r.Files) == 0 {
		return
	}
	text := formatted("%s%d", styled(name), r.Tests.Total)
	if r.Tests.Duration >= time.Millisecond {
		text += formatted(" in %s", human.Duration(r.Tests.Duration))
	}
	if counts := t.counts(r.Tests); counts != "" {
		text += ": " + counts
	}
	if r.Changes != nil {
		var parts []string
		for _, c := range []struct {
			n    int
			word string
		}{{r.Changes.NewlyFailing, "new"}, {r.Changes.StillFailing, "still failing"}, {r.Changes.Flaky, "flaky"}} {
			if c.n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
			}
		}
		if len(parts) > 0 {
			text += formatted(" (%s)", t.styles.warn.Sprint(strings.Join(parts, ", ")))
		}
	}
	t.row("tests", text)
	if r.Changes != nil && r.Changes.Fixed > 0 {
		t.row("", formatted("fixed since #%d: %s", r.Changes.Build, fixed(r)))
	}
}

// maxFixed is the number of fixed tests that are named.
const maxFixed = 3

// fixed names the tests of a report that were fixed.
func fixed(r *reports.Report) string {
	var names []string
	for _, c := range r.Cases {
		if c.Change == reports.Fixed && len(names) < maxFixed {
			names = append(names, caseName(c))
		}
	}
	text := strings.Join(names, ", ")
	if more := r.Changes.Fixed - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// counts returns the numbers of tests by result that are not zero, such as "3 passed, 1 failed".
func (t *Text) counts(s *reports.TestSummary) styled {
	var parts []string
	for _, p := range []struct {
		status     reports.CaseStatus
		one, other string
	}{
		{reports.CaseSucceeded, "passed", "passed"}, {reports.CaseFailed, "failed", "failed"},
		{reports.CaseError, "error", "errors"}, {reports.CaseSkipped, "skipped", "skipped"},
		{reports.CaseUnknown, "unknown", "unknown"},
	} {
		n := s.Counts[p.status]
		if n == 0 {
			continue
		}
		text := formatted("%d %s", n, human.Plural(n, p.one, p.other))
		if p.status.Bad() {
			text = t.styles.bad.Sprint(text)
		}
		parts = append(parts, string(text))
	}
	return styled(strings.Join(parts, ", "))
}

// coverage shows the covered lines and branches in percent, with the change since the last build. A
// change that would be shown as 0.0 is left out.
func (t *Text) coverage(r *reports.Report, name string) {
	if r.Sum == nil {
		return
	}
	var lines, branches *float64
	build := 0
	if r.Changes != nil {
		lines, branches, build = r.Changes.Lines, r.Changes.Branches, r.Changes.Build
	}
	text := formatted("%slines %s", styled(name), styled(share(r.Sum.Lines, lines, build)))
	if r.Sum.Branches.Total() > 0 {
		text += styled(t.glyphs.dot) + formatted("branches %s", styled(share(r.Sum.Branches, branches, build)))
	}
	t.row("coverage", text)
}

// share returns a coverage such as "80.0%, 1.2 less than #11". change is in percentage points.
func share(c reports.Counts, change *float64, build int) string {
	const least = 0.05
	text := fmt.Sprintf("%.1f%%", c.Percent())
	switch {
	case change == nil || *change < least && *change > -least:
		return text
	case *change > 0:
		return fmt.Sprintf("%s, %.1f more than #%d", text, *change, build)
	}
	return fmt.Sprintf("%s, %.1f less than #%d", text, -*change, build)
}

// slowestTests lists the slowest tests, including those over the limit of kept test cases.
func (t *Text) slowestTests(r *reports.Report) []styled {
	var lines []styled
	for _, c := range r.Slowest {
		if c.Duration > time.Millisecond {
			lines = append(lines, formatted("%8s  %s", human.Duration(c.Duration), caseName(c)))
		}
	}
	if len(lines) > 0 {
		lines = append([]styled{"slowest:"}, lines...)
	}
	return lines
}
